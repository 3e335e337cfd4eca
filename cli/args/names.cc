// names.cc: walks the catalogues.
#include "cli/args/names.h"

#include <algorithm>

#include "cli/args/script_files.h"
#include "engine/base/suggest.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

std::string theme_of(const std::string& name) { return name.substr(0, name.find('/')); }

}  // namespace

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios::catalogue()) names.push_back(scenario.name);
  return names;
}

std::vector<std::string> theme_names() {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios::catalogue()) {
    if (const std::string theme = theme_of(scenario.name); names.empty() || names.back() != theme)
      names.push_back(theme);
  }
  return names;
}

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const Scenario& scenario : scenarios::catalogue()) {
    if (scenario.runs_under_load()) names.push_back(scenario.name);
  }
  return names;
}

bool is_theme(const std::string& name) {
  const std::vector<std::string> themes = theme_names();
  return std::find(themes.begin(), themes.end(), name) != themes.end();
}

std::vector<std::string> store_names() {
  std::vector<std::string> names;
  for (const BackendKind& kind : backends()) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> store_names_in_prose() {
  std::vector<std::string> names;
  for (const Waits waits : {Waits::in_process, Waits::external}) {
    for (const BackendKind& kind : backends()) {
      if (kind.traits.waits == waits) names.emplace_back(kind.name);
    }
  }
  return names;
}

std::string listed_in_prose(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

std::vector<std::string> verdict_names() {
  std::vector<std::string> names;
  for (int v = 0; v <= static_cast<int>(record::kLastVerdict); ++v) {
    names.emplace_back(record::name_of(static_cast<record::Verdict>(v)));
  }
  return names;
}

std::vector<const Scenario*> scenarios_named(const std::vector<std::string>& wanted, std::string& error) {
  std::vector<std::string> known = theme_names();
  for (std::string& name : scenario_names()) known.push_back(std::move(name));
  for (const std::string& name : wanted) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (is_script_file(name)) {
      if (script_at(name, error) == nullptr) return {};
      continue;
    }
    const bool scenario = name.find('/') != std::string::npos;
    error = unknown_name(scenario ? "scenario" : "theme", name, scenario ? scenario_names() : theme_names());
    return {};
  }
  std::vector<const Scenario*> found;
  for (const Scenario& scenario : scenarios::catalogue()) {
    const bool in = std::any_of(wanted.begin(), wanted.end(), [&scenario](const std::string& name) {
      return name == scenario.name || name == theme_of(scenario.name);
    });
    if (wanted.empty() || in) found.push_back(&scenario);
  }
  for (const std::string& name : wanted) {
    if (const script::Script* const file = is_script_file(name) ? script_at(name, error) : nullptr)
      found.push_back(&file->scenario());
  }
  return found;
}

const Scenario* scenario_named(const std::string& name, std::string& error) {
  const Scenario* scenario = scenarios::find(name);
  if (scenario != nullptr) return scenario;
  if (is_script_file(name)) {
    const script::Script* const file = script_at(name, error);
    return file == nullptr ? nullptr : &file->scenario();
  }
  if (const std::string near = nearest(name, scenario_names()); !near.empty()) {
    error = "no scenario \"" + name + "\"; did you mean \"" + near + "\"?";
  } else {
    error = "no scenario \"" + name + "\" (lockstep list), and no file";
  }
  return nullptr;
}

std::string store_title(const std::string& store) { return store == record::kNoStore ? "in-process" : store; }

}  // namespace lockstep::cli
