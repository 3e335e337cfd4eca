// wait_graph.h: which actor waits for which: the joint graph of a run, over in-process locks, kv locks and database
// locks alike. So it finds a cycle through a mutex and a row, which neither the database nor a lock checker can see.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// One edge: `from` waits for `to` because of `object`. Actors are indices; -1 is somebody outside the run.
struct WaitForEdge {
  int from = -1;
  int to = -1;
  std::string object;
  std::string what;           ///< for people: how it is held
  bool has_deadline = false;  ///< a time-out will end this wait
  bool store_breaks = false;  ///< the store of this wait breaks cycles among its own waits
  bool any = false;           ///< among the edges of `from` so marked it is enough that one goes away; all others must
};

/// A snapshot. A value; not thread-safe.
class WaitGraph {
 public:
  void add(WaitForEdge edge) { edges_.push_back(std::move(edge)); }
  const std::vector<WaitForEdge>& edges() const noexcept { return edges_; }

  /// The actors that wait for ever unless one gives up. Again and again, actors that wait for none that is left are
  /// taken away; these are the rest. An actor without edges, or outside the run, is taken to go on. (Reduction of a
  /// graph with AND and OR requests: E. Knapp, "Deadlock detection in distributed databases", ACM Computing Surveys
  /// 19(4), 1987.)
  std::set<int> stuck() const;

  /// The shortest cycle through `actor`, as actors in order starting with it; nullopt when there is none. Of equally
  /// short ones, the one over the smallest indices.
  std::optional<std::vector<int>> cycle_through(int actor) const;
  /// Every elementary cycle's representative: for each actor on a cycle its shortest one, rotations counted once.
  std::vector<std::vector<int>> cycles() const;
  /// What will end a cycle: a deadline of one of its waits, the store, or nobody. The store does when all of the waits
  /// are in stores that break their own cycles. A cycle through a mutex and a row is nobody's.
  enum class Breaker { timeout, store, nobody };
  Breaker breaker_of(const std::vector<int>& cycle) const;

 private:
  bool has_chain() const;

  std::vector<WaitForEdge> edges_;
};

/// For people: "nobody will break it".
std::string_view name_of(WaitGraph::Breaker breaker) noexcept;

/// The cycle turned so that its smallest index comes first.
std::vector<int> canonical(std::vector<int> cycle);

}  // namespace lockstep
