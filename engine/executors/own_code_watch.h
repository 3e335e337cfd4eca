// own_code_watch.h: watches for an actor that keeps to its own code: a body that blocks its thread outside of our
// operations (in a std::mutex, in an endless loop) cannot be stopped, and nothing else would ever be said of it.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "engine/actor/run_state.h"
#include "kv/base/mutex.h"

namespace lockstep {

/// An actor that has begun no operation for too long, and waits in none.
struct OwnCode {
  int actor = 0;
  std::uint32_t step = 0;  ///< the operation after which its own code began; 0: before its first
  Nanos span{0};
};

/// One thread, which looks at the actors of a run now and then. It costs the run nothing but two counters a turn.
class OwnCodeWatch {
 public:
  /// `told` is called once, in the watch's thread, when an actor has been in its own code for `most` of real time. The
  /// run stands still by then, or its other actors go on, if nobody steers it.
  OwnCodeWatch(RunState& run, Nanos most, std::function<void(const OwnCode&)> told);
  ~OwnCodeWatch();
  OwnCodeWatch(const OwnCodeWatch&) = delete;
  OwnCodeWatch& operator=(const OwnCodeWatch&) = delete;

  /// A run that nobody steers has its actors now, or has them no more.
  void free_run_begins() LOCKSTEP_EXCLUDES(mutex_);
  void free_run_ends() LOCKSTEP_EXCLUDES(mutex_);

 private:
  void watch() LOCKSTEP_EXCLUDES(mutex_);
  /// Who has not moved since the latest look but one.
  bool look() LOCKSTEP_REQUIRES(mutex_);
  bool look_at_turns() LOCKSTEP_REQUIRES(mutex_);
  bool look_at_free_actors() LOCKSTEP_REQUIRES(mutex_);

  struct Seen {
    std::uint64_t moves = 0;
    Nanos since{0};
  };

  RunState& run_;
  const Nanos most_;
  const std::function<void(const OwnCode&)> told_;
  const RealClock clock_;
  Mutex mutex_;
  CondVar changed_;
  bool ends_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  bool is_free_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  Seen turn_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<Seen> actors_ LOCKSTEP_GUARDED_BY(mutex_);
  OwnCode found_ LOCKSTEP_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace lockstep
