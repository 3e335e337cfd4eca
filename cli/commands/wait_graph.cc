// wait_graph.cc: see wait_graph.h.
#include "cli/commands/wait_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/waits.h"

namespace lockstep::cli {
namespace {

using reports::Waits;
using reports::Want;
using Json = nlohmann::ordered_json;

Json null_if_empty(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json json_of(const Want& want, bool in_cycle) {
  return {{"from", want.from},
          {"wants", want.object},
          {"wants_at", null_if_empty(want.wants_at)},
          {"to", null_if_empty(want.to)},
          {"held_at", null_if_empty(want.held_at)},
          {"in_cycle", in_cycle}};
}

/// In double quotes, as DOT wants it.
std::string dot(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + '"';
}

std::string at(const std::string& line) { return line.empty() ? std::string() : fmt::format(" ({})", line); }

std::string edge_of(const Want& want, bool in_cycle) {
  std::string label = want.event ? fmt::format("waits for {}", want.object) : fmt::format("wants {}", want.object);
  label += at(want.wants_at);
  std::string taken;
  if (!want.held_at.empty()) taken = fmt::format("{} has it{}", want.to, at(want.held_at));
  const std::string to = want.to.empty() ? want.object : want.to;
  std::string quoted = dot(label);
  if (!taken.empty()) {
    quoted.pop_back();
    quoted += "\\n" + dot(taken).substr(1);
  }
  return fmt::format("  {} -> {} [label={}{}];\n", dot(want.from), dot(to), quoted,
                     in_cycle ? ", style=bold, color=red" : "");
}

}  // namespace

OptionSpec wait_graph_option() {
  return {"graph", "FILE",
          "write the waits between actors as they stood when the cycle closed (or the run got stuck), with the locks "
          "and the lines that ask for and took them: JSON, or for graphviz when the name ends in .dot",
          Names::file};
}

std::string wait_graph_json(const record::Run& run) {
  const Waits waits = reports::waits_of(run);
  Json cycle = Json::array(), all = Json::array();
  for (const Want& want : waits.cycle) {
    cycle.push_back(want.from);
    all.push_back(json_of(want, true));
  }
  for (const Want& want : waits.others) all.push_back(json_of(want, false));
  const Json json = {{"format", "lockstep-wait-graph"},
                     {"version", 1},
                     {"id", null_if_empty(run.id)},
                     {"scenario", run.scenario},
                     {"store", run.store},
                     {"protocol", run.protocol},
                     {"pattern", run.pattern},
                     {"verdict", record::name_of(run.verdict)},
                     {"actors", run.actors},
                     {"cycle", std::move(cycle)},
                     {"more_cycles", waits.more_cycles},
                     {"waits", std::move(all)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string wait_graph_dot(const record::Run& run) {
  const Waits waits = reports::waits_of(run);
  const auto is_on_cycle = [&](const std::string& actor) {
    return std::any_of(waits.cycle.begin(), waits.cycle.end(), [&](const Want& want) { return want.from == actor; });
  };
  std::string text = fmt::format(
      "digraph {} {{\n  label={};\n  node [shape=box, fontname=monospace];\n", dot(run.scenario),
      dot(fmt::format("{} {} {} {}: {}", run.scenario, run.store, run.protocol, run.pattern, name_of(run.verdict))));
  for (const std::string& actor : run.actors)
    text += fmt::format("  {}{};\n", dot(actor), is_on_cycle(actor) ? " [style=bold, color=red]" : "");
  for (const Want& want : waits.cycle) text += edge_of(want, true);
  for (const Want& want : waits.others) text += edge_of(want, false);
  return text + "}\n";
}

Result<void> write_wait_graph(const record::Run& run, OutputFile& file) {
  return file.keep(file.path().ends_with(".dot") ? wait_graph_dot(run) : wait_graph_json(run));
}

}  // namespace lockstep::cli
