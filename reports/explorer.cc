// explorer.cc: the begin of the graph as HTML, the rest as data.
#include "reports/explorer.h"

#include <fmt/format.h>

#include <map>

#include "engine/record/state_graph.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/wait_svg.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::StateGraph;

constexpr std::size_t kBytesMost = 1'500'000;  ///< a page stays below 2 MB

std::string ends_table(const StateGraph& graph) {
  Table all{.caption = "How the orders of steps end",
            .columns = {{"end"}, {"states", true}, {"fewest steps", true}, {"what"}},
            .rows = {}};
  struct End {
    std::uint64_t states = 0;
    std::uint32_t steps = UINT32_MAX;
    std::string summary;
  };
  std::map<record::Verdict, End> ends;
  for (const StateGraph::State& state : graph.states) {
    if (!state.verdict) continue;
    End& end = ends[*state.verdict];
    ++end.states;
    if (state.steps >= end.steps) continue;
    end.steps = state.steps;
    end.summary = state.summary;
  }
  for (const auto& [verdict, end] : ends) {
    all.rows.push_back({std::string(sign_of_verdict(verdict)) + " " + std::string(name_of(verdict)),
                        Cell::number(end.states), Cell::number(std::uint64_t{end.steps}), end.summary});
  }
  return table(all);
}

std::string command_of(const StateGraph& graph) {
  std::string text = "lockstep run " + graph.scenario;
  if (graph.store != record::kNoStore) text += " --store " + graph.store + " --protocol " + graph.protocol;
  return text + " --pattern " + graph.pattern + fmt::format(" --retries {}", graph.retries);
}

}  // namespace

std::string explorer(const record::Run& run, const std::string& id) {
  const auto document = run.documents.find(record::kStateGraphDocument);
  if (document == run.documents.end()) return {};
  const Result<StateGraph> graph = record::state_graph_of(document->second);
  if (!graph) return "<p class=\"warn\">The state graph cannot be read: " + html(graph.error().message) + "</p>";
  std::string intro = fmt::format(
      "<p>{} of the scenario, {} between them{}.</p>\n", counted(graph->states.size(), "state", "states"),
      counted(graph->moves(), "step", "steps"),
      graph->complete ? ": every order of steps"
                      : fmt::format(": not every order of steps. Beyond {} states no new line of play was begun; moves "
                                    "that are not kept cannot be picked, and the others lead to an end",
                                    graph->limit));
  std::string data = json_in_script(record::to_json(*graph));
  if (data.size() > kBytesMost || graph->states.empty()) {
    return intro + ends_table(*graph) + "<p>The graph is too large to be part of a page.</p>";
  }
  std::vector<GraphNode> nodes;
  for (const std::string& actor : graph->actors) nodes.push_back({.name = actor});
  std::string text = intro;
  text += fmt::format(
      "<div data-explorer=\"{}\" data-command=\"{}\">\n<div class=\"controls\" role=\"group\" aria-label=\"steps "
      "back\"><button type=\"button\" class=\"b\" data-go=\"first\">Start</button><button type=\"button\" "
      "class=\"b go\" data-go=\"back\">← Back</button><button type=\"button\" class=\"b\" data-go=\"next\">Again "
      "→</button><button type=\"button\" class=\"b\" data-go=\"random\">By chance</button><button type=\"button\" "
      "class=\"b\" data-go=\"end\">By chance to the end</button></div>\n",
      id, html(command_of(*graph)));
  text +=
      "<p class=\"controls\"><b>Who goes next?</b></p><div class=\"pick controls\" data-p=\"moves\" role=\"group\" "
      "aria-label=\"who goes next\"></div>\n"
      "<div class=\"now\" data-p=\"now\" aria-live=\"polite\">Nobody has taken a step yet.</div>\n<div "
      "class=\"two\"><div>"
      "<table><caption>Lock table</caption><thead><tr><th scope=\"col\">what</th><th scope=\"col\">held by</th><th "
      "scope=\"col\">wanted by</th></tr></thead><tbody data-p=\"locks\"><tr><td colspan=\"3\" class=\"dim\">nothing is "
      "held, "
      "nobody waits</tbody></table></div>\n<div>";
  text += wait_svg(nodes, {}, "Wait-for graph of this state", "Nobody waits.", id + "-g");
  text +=
      "</div></div>\n<p class=\"controls\">The order so far, for the program; the address of this page keeps it "
      "too:</p>"
      "<pre class=\"js-only\"><code data-p=\"schedule\"></code></pre>\n"
      "<p class=\"dim controls\">Keys: 1, 2, 3 … pick an actor, ← back, → again.</p>";
  text += "<noscript><p class=\"dim\">With scripts on, you decide here who goes next.</p></noscript>\n";
  text += fmt::format("<script type=\"application/json\" id=\"{}-data\">{}</script></div>\n", id, data);
  return text + ends_table(*graph);
}

}  // namespace lockstep::reports
