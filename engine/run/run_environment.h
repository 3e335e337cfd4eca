// run_environment.h: a scenario at fixed coordinates with its store open, performed once or again and again.
#pragma once

#include <memory>
#include <vector>

#include "engine/actor/run_state.h"
#include "engine/executors/own_code_watch.h"
#include "engine/executors/thread_pool.h"
#include "engine/run/run.h"
#include "engine/scenario/scenario.h"
#include "engine/schedule/conductor.h"
#include "engine/store/backend.h"
#include "engine/sync/lock_order.h"

namespace lockstep {

/// Retries of a transaction under a search, unless asked otherwise. Each further retry multiplies the interleavings.
inline constexpr int kExploreRetries = 1;

/// States, and the function behind each arrow:
///
///     (none)     --open()-----> no actors
///     no actors  --perform()--> performed
///     performed  --judge()----> judged
///     performed or judged --perform()--> performed
///     any        --tear_down()--> no actors     within perform(), before it begins anew, and in the destructor
///
///     state      what there is                                          valid calls beside perform()
///     no actors  the store is open; no actor exists                     -
///     performed  every actor has ended or was stopped; sessions are     judge(), once; taken(); state()
///                open; the events lie in state()
///     judged     sessions are closed, final_rows() was read, the        final_rows(); taken(); state()
///                events are in the record::Run
///
/// Inside perform(), in this order: tear_down() takes down what the last performance left; the store is filled anew
/// unless it has just been opened; set_up_actors() makes the world, the actors and their sessions; the conductor or the
/// executor runs them. A fault before the run leaves some actors made, which the next tear_down() takes down. When the
/// schedule refuses, perform() gives its fault in the state "performed", with every actor stopped.
///
/// A run that ^C ended is judged with its sessions open: its rows are not read and its invariants not checked.
///
/// Not thread-safe.
class RunEnvironment {
 public:
  /// `request` comes from resolve(); its `schedule` counts only as to whether it is "free". `scenario` and `stop`
  /// outlive the environment. Faults: as run().
  static Result<std::unique_ptr<RunEnvironment>> open(const Scenario& scenario, const RunRequest& request,
                                                      const StopSource* stop);
  ~RunEnvironment();
  RunEnvironment(const RunEnvironment&) = delete;
  RunEnvironment& operator=(const RunEnvironment&) = delete;

  /// Runs the actors to their ends, or as far as they get: every time with a store, a world and actors as new.
  /// `schedule` gives the order of steps; nullptr under the free schedule. Fault::invalid when it cannot be followed.
  Result<void> perform(Schedule* schedule);

  /// From now on the threads of a performance stay for the next one, all on one processor (executors/thread_pool.h).
  /// Only under a schedule.
  void keep_threads();

  /// After perform(): what happened, judged. Fills in what record::Run has beside its coordinates.
  void judge(record::Run& run);
  /// After judge(): the committed rows at the end, which the invariants saw.
  const State& final_rows() const noexcept { return final_rows_; }

  /// The choices of the latest performance, in order; empty under the free schedule.
  const std::vector<Choice>& taken() const;
  RunState& state() noexcept { return state_; }
  bool is_in_virtual_time() const noexcept { return state_.virtual_time; }
  Backend* backend() const noexcept { return backend_.get(); }
  /// True when helper threads make the store's calls, which would block the actors' loops
  /// (executors/offloaded_session.h).
  bool offloads_calls() const noexcept;
  const Pattern& pattern() const noexcept { return pattern_; }

 private:
  RunEnvironment(const Scenario& scenario, const RunRequest& request, const StopSource* stop);
  Result<void> open_store();
  Result<void> set_up_actors();
  void note_moments(record::Run& run) const;
  void tear_down() noexcept;
  void tell_of_own_code(const OwnCode& found);

  const Scenario& scenario_;
  const RunRequest request_;
  const Pattern& pattern_;
  const bool free_;
  const int retries_;
  RunState state_;
  std::unique_ptr<Backend> backend_;             // nullptr: in-process locks alone
  std::unique_ptr<sync::LockOrder> lock_order_;  // of the latest performance; nullptr: it is not recorded
  std::unique_ptr<ThreadPool> pool_;             // nullptr: threads are made for each performance
  bool as_new_ = true;                           // the store holds what the scenario begins with
  double wall_ms_ = 0;
  State final_rows_;
  Nanos detection_after_{0};

  // Of the latest performance; taken down in this order reversed, sessions before all.
  std::shared_ptr<void> world_;
  std::optional<Choices> choices_;  // of scenarios whose bodies choose their rows
  std::unique_ptr<Conductor> conductor_;
  std::vector<std::unique_ptr<Context>> contexts_;
  std::unique_ptr<Executor> executor_;

  std::unique_ptr<OwnCodeWatch> watch_;  // nullptr: nobody asked for it
};

}  // namespace lockstep
