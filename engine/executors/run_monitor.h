// run_monitor.h: what watches over a free run: ^C, the run's limit, and cycles of waits that nobody will break.
#pragma once

#include <map>
#include <vector>

#include "engine/actor/run_state.h"

namespace lockstep {

/// Looks at the actors of a free run from outside, at growing intervals. One thread.
class RunMonitor {
 public:
  explicit RunMonitor(RunState& run) : run_(run) {}

  /// How long to wait before the next look: short at first, then longer.
  Nanos interval() const noexcept { return interval_; }

  /// One look. A cycle counts when it stands in two looks in a row and none of its actors has moved, since the graph is
  /// not taken in one instant. Stops the run on ^C, at its limit, or when every actor waits and a cycle stands that
  /// nobody will break. So it does when all that they wait for will never come, once that has stood for half a second.
  void look();

 private:
  bool stands_for_ever(const WaitGraph& graph);

  RunState& run_;
  Nanos interval_ = std::chrono::milliseconds(2);
  std::vector<std::uint32_t> waits_;  ///< by actor: the step in which it waits, at the latest look at which all did
  Nanos waits_since_{0};
  std::map<std::vector<int>, std::vector<std::uint32_t>> seen_;  ///< cycle -> the steps of its actors at the last look
};

}  // namespace lockstep
