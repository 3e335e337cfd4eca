// script_files.cc: see script_files.h.
#include "cli/args/script_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "cli/args/names.h"
#include "engine/spec/spec_file.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

constexpr std::string_view kScriptSuffix = ".spec";

std::vector<std::unique_ptr<script::Script>>& scripts_read() {
  static std::vector<std::unique_ptr<script::Script>> all;
  return all;
}

const script::Script* keep_script(Result<std::unique_ptr<script::Script>> read, std::string& error) {
  if (!read) {
    error = read.error().message;
    return nullptr;
  }
  return scripts_read().emplace_back(std::move(*read)).get();
}

}  // namespace

bool is_script_file(const std::string& name) {
  if (scenarios::find(name) != nullptr || is_theme(name)) return false;
  std::error_code none;
  return name.ends_with(kScriptSuffix) || std::filesystem::is_regular_file(name, none);
}

std::vector<std::string> script_files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  if (is_theme(folder) || !std::filesystem::is_directory(folder, error)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == kScriptSuffix) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

const script::Script* script_at(const std::string& path, std::string& error) {
  for (const auto& each : scripts_read()) {
    if (each->file().path == path) return each.get();
  }
  return keep_script(script::Script::read(path), error);
}

const script::Script* script_of(const Scenario& scenario) {
  for (const auto& each : scripts_read()) {
    if (&each->scenario() == &scenario) return each.get();
  }
  return scenarios::file_of(scenario);
}

const Scenario* recorded_scenario(const record::Run& run, std::string& error, std::string& note) {
  if (!run.documents.contains(script::kSourceDocument)) return scenario_named(run.scenario, error);
  const script::Script* const recorded = keep_script(script::Script::recorded_in(run), error);
  if (recorded == nullptr) return nullptr;
  if (const Scenario* const own = scenarios::find(run.scenario)) {
    const script::Script* const file = scenarios::file_of(*own);
    if (file != nullptr && file->file().text == recorded->file().text) return own;
    note = fmt::format("{} has changed since; the text in the recording is used", run.scenario);
    return &recorded->scenario();
  }
  const Result<spec::SpecFile> now = spec::read_file(run.scenario);
  if (!now || now->text != recorded->file().text)
    note = fmt::format("{} {}; the text in the recording is used", run.scenario,
                       now || now.fault() == Fault::invalid ? "has changed since" : "is not there any more");
  return &recorded->scenario();
}

void note_script(const Scenario& scenario, record::Run& run) {
  if (const script::Script* const script = script_of(scenario)) script->note_source(run);
}

}  // namespace lockstep::cli
