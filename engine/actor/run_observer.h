// run_observer.h: what looks on while a run is performed, and may say which actor goes next. A debugger is one.
//
// Parts of a run tell the observer (RunState::observer) of what happens; they know nothing of how it shows that.
#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

class RunState;
struct Choice;

class RunObserver {
 public:
  /// What the run is, for people. Before its first step.
  virtual void begin(const char* run) = 0;
  /// A cycle of actors was closed and stands: each waits for the next, the last for the first. Called in the context of
  /// the actor or of the monitor that found it; may block until the run is asked to stop.
  virtual void cycle_closed(RunState& run, const std::vector<int>& cycle) = 0;
  /// Before a step of a schedule, or (`next` is nullptr) when nobody can go any more. Answers the actor that is to go
  /// instead; -1 for none.
  virtual int look(RunState& run, std::uint32_t steps_taken, const Choice* next) = 0;

 protected:
  RunObserver() = default;
  ~RunObserver() = default;
};

}  // namespace lockstep
