// state_graph.cc: a state graph as JSON and for graphviz.
#include "engine/record/state_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kStateGraphFormat = "lockstep-state-graph";
constexpr std::array<std::string_view, 3> kStandings = {"ready", "waits", "finished"};

/// Every text once, by its position.
class Texts {
 public:
  Texts() { number_of(""); }
  std::size_t number_of(const std::string& text) {
    const auto [known, fresh] = numbers_.try_emplace(text, numbers_.size());
    if (fresh) all_.push_back(text);
    return known->second;
  }
  const Json& all() const noexcept { return all_; }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
  Json all_ = Json::array();
};

Json json_of(const StateGraph::State& state, Texts& texts) {
  Json actors = Json::array(), holds = Json::array(), waits = Json::array(), moves = Json::array();
  for (const auto& each : state.actors) actors.push_back({name_of(each.standing), texts.number_of(each.doing)});
  for (const auto& each : state.holds)
    holds.push_back({each.actor, texts.number_of(each.object), texts.number_of(each.how)});
  for (const auto& each : state.waits)
    waits.push_back({each.from, each.to, texts.number_of(each.object), texts.number_of(each.how)});
  for (const auto& each : state.moves) {
    Json what = Json::array();
    for (const std::string& text : each.what) what.push_back(texts.number_of(text));
    moves.push_back(Json::array({each.actor, each.timeout ? 1 : 0, each.to, std::move(what)}));
  }
  Json json = {{"steps", state.steps},      {"actors", std::move(actors)}, {"holds", std::move(holds)},
               {"waits", std::move(waits)}, {"cycle", state.cycle},        {"moves", std::move(moves)}};
  if (state.verdict) {
    json["verdict"] = name_of(*state.verdict);
    json["summary"] = state.summary;
  }
  return json;
}

/// Reads the JSON back; throws what the library throws, and Wrong for what does not fit together.
struct Wrong {
  std::string why;
};

class GraphReader {
 public:
  explicit GraphReader(const Json& json) : json_(json), graph_() {}

  StateGraph read() {
    if (!json_.is_object() || json_.value("format", "") != kStateGraphFormat) throw Wrong{"it is no state graph"};
    if (const int version = json_.at("version"); version != kStateGraphVersion)
      throw Wrong{fmt::format("it has version {}, this program reads version {}", version, kStateGraphVersion)};
    for (auto& [name, text] : {std::pair("scenario", &graph_.scenario),
                               {"store", &graph_.store},
                               {"protocol", &graph_.protocol},
                               {"pattern", &graph_.pattern}})
      *text = json_.at(name).get<std::string>();
    graph_.retries = json_.at("retries");
    graph_.actors = json_.at("actors").get<std::vector<std::string>>();
    graph_.complete = json_.at("complete");
    graph_.limit = json_.at("limit");
    states_ = json_.at("states").size();
    for (const Json& each : json_.at("states")) graph_.states.push_back(state(each));
    return std::move(graph_);
  }

 private:
  StateGraph::State state(const Json& json) const {
    StateGraph::State state;
    state.steps = json.at("steps");
    for (const Json& each : json.at("actors")) state.actors.push_back({standing(each.at(0)), text(each.at(1))});
    if (state.actors.size() != graph_.actors.size()) throw Wrong{"a state has other actors"};
    for (const Json& each : json.at("holds"))
      state.holds.push_back({actor(each.at(0)), text(each.at(1)), text(each.at(2))});
    for (const Json& each : json.at("waits"))
      state.waits.push_back({actor(each.at(0)), actor(each.at(1), -1), text(each.at(2)), text(each.at(3))});
    for (const Json& each : json.at("cycle")) state.cycle.push_back(actor(each));
    for (const Json& each : json.at("moves")) {
      StateGraph::Move& move = state.moves.emplace_back();
      move.actor = actor(each.at(0));
      move.timeout = each.at(1) != 0;
      move.to = in_range(each.at(2), -1, states_, "state");
      for (const Json& what : each.at(3)) move.what.push_back(text(what));
    }
    if (json.contains("verdict")) {
      const std::string name = json.at("verdict");
      state.verdict = verdict_named(name);
      if (!state.verdict) throw Wrong{fmt::format("unknown verdict \"{}\"", name)};
      state.summary = json.at("summary");
    }
    return state;
  }

  static int in_range(const Json& json, int least, std::size_t end, const char* what) {
    const std::int64_t number = json;
    if (number < least || number >= static_cast<std::int64_t>(end))
      throw Wrong{fmt::format("there is no {} {}", what, number)};
    return static_cast<int>(number);
  }
  int actor(const Json& json, int least = 0) const { return in_range(json, least, graph_.actors.size(), "actor"); }
  std::string text(const Json& json) const {
    const Json& texts = json_.at("texts");
    return texts.at(static_cast<std::size_t>(in_range(json, 0, texts.size(), "text"))).get<std::string>();
  }
  static Standing standing(const std::string& name) {
    const auto found = std::find(kStandings.begin(), kStandings.end(), name);
    if (found == kStandings.end()) throw Wrong{fmt::format("unknown standing \"{}\"", name)};
    return static_cast<Standing>(found - kStandings.begin());
  }

  const Json& json_;
  StateGraph graph_;
  std::size_t states_ = 0;
};

std::string dot_quoted(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

std::string label_of(const StateGraph& graph, const StateGraph::State& state) {
  std::string label;
  for (std::size_t a = 0; a < state.actors.size(); ++a) {
    const auto& actor = state.actors[a];
    const char* const stands = actor.standing == Standing::waits      ? "waits: "
                               : actor.standing == Standing::finished ? "finished"
                                                                      : "";
    label += fmt::format("{}: {}{}\\n", dot_quoted(graph.actors[a]), stands, dot_quoted(actor.doing));
  }
  if (state.verdict) label += fmt::format("{}\\n", name_of(*state.verdict));
  return label;
}

}  // namespace

std::string_view name_of(Standing standing) noexcept { return kStandings[static_cast<std::size_t>(standing)]; }

std::size_t StateGraph::moves() const noexcept {
  std::size_t sum = 0;
  for (const State& state : states) sum += state.moves.size();
  return sum;
}

std::size_t StateGraph::ends_as(Verdict verdict) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(states.begin(), states.end(), [verdict](const State& state) { return state.verdict == verdict; }));
}

std::string to_json(const StateGraph& graph) {
  Texts texts;
  Json states = Json::array();
  for (const StateGraph::State& state : graph.states) states.push_back(json_of(state, texts));
  const Json json = {{"format", kStateGraphFormat}, {"version", kStateGraphVersion}, {"scenario", graph.scenario},
                     {"store", graph.store},        {"protocol", graph.protocol},    {"pattern", graph.pattern},
                     {"retries", graph.retries},    {"actors", graph.actors},        {"complete", graph.complete},
                     {"limit", graph.limit},        {"texts", texts.all()},          {"states", std::move(states)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<StateGraph> state_graph_of(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    return GraphReader(json).read();
  } catch (const Wrong& wrong) {
    return Error{Fault::invalid, {}, "the state graph cannot be read: " + wrong.why};
  } catch (const Json::exception&) {
    return Error{Fault::invalid, {}, "the state graph cannot be read: a part of it is missing or has another form"};
  }
}

std::string to_dot(const StateGraph& graph) {
  std::string dot = fmt::format("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box, fontname=monospace];\n",
                                dot_quoted(graph.scenario));
  for (std::size_t s = 0; s < graph.states.size(); ++s) {
    const StateGraph::State& state = graph.states[s];
    const bool bad = !state.cycle.empty() ||
                     (state.verdict && *state.verdict != Verdict::clean && *state.verdict != Verdict::avoided);
    dot += fmt::format("  s{} [label=\"{}\"{}{}];\n", s, label_of(graph, state), state.verdict ? ", peripheries=2" : "",
                       bad ? ", style=bold, color=red" : "");
  }
  for (std::size_t s = 0; s < graph.states.size(); ++s) {
    for (const StateGraph::Move& move : graph.states[s].moves) {
      const std::string name =
          dot_quoted(graph.actors[static_cast<std::size_t>(move.actor)]) + (move.timeout ? ":timeout" : "");
      if (move.to >= 0) {
        dot += fmt::format("  s{} -> s{} [label=\"{}\"];\n", s, move.to, name);
      } else {
        dot +=
            fmt::format("  more{} [label=\"…\", shape=plaintext];\n  s{} -> more{} [label=\"{}\"];\n", s, s, s, name);
      }
    }
  }
  return dot + "}\n";
}

}  // namespace lockstep::record
