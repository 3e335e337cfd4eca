// state_graph.h: the states that a scenario can reach and the steps between them. With them a reader can decide which
// actor goes next.
//
// Kept in a recording as the document "state-graph" (schema.h), as JSON of this form. Numbers in [brackets] are
// positions in the list that is named.
//
//   {"format": "lockstep-state-graph", "version": 1,
//    "scenario": "threads/two-lock", "store": "none", "protocol": "none", "pattern": "plain", "retries": 1,
//    "actors": ["T1", "T2"],
//    "complete": true,                            false: at "limit" states no new line of play was begun, and some
//                                                 moves lead to no state
//    "limit": 2000,
//    "texts": ["", "lock A", …],                  every text, once
//    "states": [                                  state 0 is the begin
//      {"steps": 0,                               how many steps lead here on the shortest way that was found
//        "actors": [["ready", 1], …],              one an actor: "ready", "waits", "finished"; what it does next or
//                                                  waits in [texts]; 0 when it has finished
//        "holds": [[0, 2, 3], …],                  the lock table: actor [actors], what [texts], how [texts]
//        "waits": [[0, 1, 2, 3], …],               the wait-for graph: actor [actors], for which actor [actors] (-1:
//                                                  outside), on what [texts], how that is held [texts]
//        "cycle": [0, 1],                          the actors [actors] of a cycle of waits; the last waits for the
//                                                  first; empty when there is none
//        "moves": [[0, 0, 7, [4, 5]], …],          the actor that goes [actors]; 1: the deadline of its wait passes,
//                                                  else 0; the state that it leads to [states], -1: it was not kept;
//                                                  what happens [texts]
//        "verdict": "deadlock",                    at an end only: how the run ends (verdicts of run.h)
//        "summary": "…"}, …]}                      at an end only: one line for people
//
// A state is known by the order of the steps that led to it, as far as they touch the same things: two ways that
// differ only in steps which touch nothing in common lead to one state. (A Mazurkiewicz trace; search.h.) The moves
// from state 0 on, as names ("T1 T1 T2:timeout"), are a schedule that `lockstep run --schedule` takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

inline constexpr int kStateGraphVersion = 1;
/// The name of the document in a recording.
inline constexpr const char* kStateGraphDocument = "state-graph";

enum class Standing : std::uint8_t { ready, waits, finished };
std::string_view name_of(Standing standing) noexcept;

struct StateGraph {
  struct ActorState {
    Standing standing = Standing::ready;
    std::string doing = {};  ///< "lock B"
  };
  struct Hold {
    int actor = 0;
    std::string object = {};
    std::string how = {};  ///< "exclusive"
  };
  struct Wait {
    int from = 0;
    int to = 0;  ///< -1: somebody outside the run
    std::string object = {};
    std::string how = {};
  };
  struct Move {
    int actor = 0;
    bool timeout = false;
    int to = -1;                         ///< a state; -1: not kept
    std::vector<std::string> what = {};  ///< "T1 lock A: granted"
  };
  struct State {
    std::uint32_t steps = 0;
    std::vector<ActorState> actors = {};
    std::vector<Hold> holds = {};
    std::vector<Wait> waits = {};
    std::vector<int> cycle = {};
    std::vector<Move> moves = {};
    std::optional<Verdict> verdict = {};
    std::string summary = {};
  };

  std::string scenario, store, protocol, pattern;
  int retries = 0;
  std::vector<std::string> actors;
  bool complete = false;
  std::size_t limit = 0;  ///< of the states
  std::vector<State> states;

  std::size_t moves() const noexcept;
  std::size_t ends_as(Verdict verdict) const noexcept;
};

/// The JSON above, without line breaks.
std::string to_json(const StateGraph& graph);
/// Reads it. Fault::invalid for what is no state graph, of another version (said which), or names a state, an actor or
/// a text that is not there.
Result<StateGraph> state_graph_of(const std::string& json);
/// The graph for graphviz: states with what each actor does, moves with their actors, an end by its verdict, a cycle of
/// waits in bold.
std::string to_dot(const StateGraph& graph);

}  // namespace lockstep::record
