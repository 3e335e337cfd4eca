// coroutines.cc: actors as coroutines. Free: each is pinned to the loop of one worker, where it runs, waits for sockets
// and deadlines, and is resumed. The calling thread only watches. Under a schedule: resumed on the conductor's thread,
// one at a time.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <ranges>
#include <thread>
#include <vector>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/executors/executors.h"
#include "engine/executors/run_monitor.h"
#include "engine/runtime/loop.h"
#include "engine/schedule/conductor.h"

namespace lockstep {
namespace {

/// An actor that keeps a worker's thread longer than this is named in the recording.
constexpr Nanos kBlockedAfter = std::chrono::milliseconds(20);
constexpr Nanos kWatchEvery = std::chrono::milliseconds(4);

/// An actor's place on its loop: where it becomes ready, and what it waits for beside a call of wake(). Everything but
/// make_ready() in the loop's thread.
class Slot final : runtime::Job, runtime::Timer, runtime::Watch {
 public:
  /// `shown`: what debuggers see of the actor.
  Slot(Actor& actor, runtime::Loop& loop, debugging::Coroutine& shown) : actor_(actor), loop_(loop), shown_(shown) {}
  ~Slot() = default;

  /// The actor begins or goes on, when its loop comes to it. Any thread.
  void make_ready() noexcept { loop_.post(*this); }

  /// The operation's socket and times. False when its socket cannot be watched: it is to be tried again at once.
  bool expect(const Waiting& what) noexcept {
    if (what.fd >= 0 && !loop_.watch(*this, what.fd, what.events)) return false;
    const Nanos moment = std::min(what.deadline, what.retry_at);
    if (moment != kNever) loop_.timers().set(*this, moment);
    return true;
  }
  void forget() noexcept {
    loop_.timers().cancel(*this);
    loop_.unwatch(*this);
  }

 private:
  void run() noexcept override {
    loop_.entered({actor_.name.c_str()});
    shown_.innermost = nullptr;
    forget();
    if (actor_.place == Actor::Place::not_started) {
      actor_.place = Actor::Place::running;
      actor_.start();
    } else {
      actor_.resume();
    }
  }
  void fire() noexcept override {
    Operation& operation = *actor_.current();  // it waits: nobody but this thread could let it go on
    if (operation.is_woken()) return;
    const Waiting& what = operation.waiting();
    if (what.deadline > actor_.run.clock().now()) {
      operation.wake();
    } else if (operation.expire(what.deadline_fault)) {
      make_ready();
    }
  }
  void on_ready() noexcept override { actor_.current()->wake(); }

  Actor& actor_;
  runtime::Loop& loop_;
  debugging::Coroutine& shown_;
};

class CoroutinesExecutor final : public Executor {
 public:
  CoroutinesExecutor(RunState& run, Conductor* conductor, int workers)
      : run_(run), conductor_(conductor), workers_(std::max(workers, 1)) {}

  std::string_view name() const noexcept override { return "coroutines"; }
  bool parks_threads() const noexcept override { return false; }
  bool controlled() const noexcept override { return conductor_ != nullptr; }

  bool turn(Actor& actor) override {
    actor.place = Actor::Place::at_gate;
    if (!shown_.empty()) stands(actor);
    return false;
  }

  bool wait(Actor& actor, Operation& operation) override {
    if (!shown_.empty()) stands(actor);
    if (controlled()) {
      actor.place = Actor::Place::waiting;
      if (operation.arm()) return false;
      actor.place = Actor::Place::running;
      return true;
    }
    Slot& slot = slot_of(actor);
    if (!slot.expect(operation.waiting())) return true;
    // Woken from now on it is resumed by this very thread, which is still here.
    if (operation.arm()) return false;
    slot.forget();
    return true;
  }

  bool park(Actor&, Operation&, Nanos) override {
    LOCKSTEP_CHECK(false, "a coroutine was asked to block its thread");
    return false;
  }

  void finished(Actor& actor) noexcept override {
    if (!shown_.empty()) shown_of(actor).innermost = nullptr;
    if (controlled()) {
      actor.place = Actor::Place::finished;
      return;
    }
    MutexLock lock(mutex_);
    if (--unfinished_ == 0) all_finished_.notify_all();
  }

  void ready(Actor& actor) noexcept override {
    if (controlled()) {
      conductor_->woken(actor);
    } else {
      slot_of(actor).make_ready();
    }
  }

  void interrupt(Actor&) noexcept override {}

  void go(Actor& actor) override {
    const bool first = actor.place == Actor::Place::not_started;
    if (run_.observer != nullptr && shown_.empty()) show_to_debuggers();
    actor.place = Actor::Place::running;
    if (first) {
      actor.start();
    } else {
      actor.resume();
    }
    LOCKSTEP_CHECK(actor.place != Actor::Place::running, "{}: its coroutine is neither suspended nor finished",
                   actor.name);
  }

  void run_free(std::span<const std::unique_ptr<Actor>> actors) override {
    for (int i = 0; i < workers_; ++i) loops_.push_back(std::make_unique<runtime::Loop>(i));
    show_to_debuggers();
    for (const auto& actor : actors) {
      slots_.push_back(std::make_unique<Slot>(*actor, *loops_[slots_.size() % loops_.size()], shown_of(*actor)));
    }
    {
      MutexLock lock(mutex_);
      unfinished_ = actors.size();
    }
    for (const auto& slot : slots_) slot->make_ready();
    std::vector<std::thread> threads;
    for (const auto& loop : loops_) threads.emplace_back([&loop] { loop->run(); });
    watch_over();
    for (const auto& loop : loops_) loop->stop();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  /// From now on debuggers see where the actors stand.
  void show_to_debuggers() {
    shown_ = std::vector<debugging::Coroutine>(run_.actors.size());
    root_group_.emplace();
    for (const auto& actor : run_.actors | std::views::reverse) {
      shown_of(*actor).label = actor->name.c_str();
      root_group_->add(shown_of(*actor));
    }
  }
  debugging::Coroutine& shown_of(const Actor& actor) { return shown_[static_cast<std::size_t>(actor.index)]; }
  void stands(const Actor& actor) noexcept { shown_of(actor).innermost = &actor.current()->frame(); }

  Slot& slot_of(const Actor& actor) { return *slots_[static_cast<std::size_t>(actor.index)]; }

  /// Watches until every actor has ended, for ^C, the run's limit, cycles that nobody breaks, and actors that keep a
  /// thread.
  void watch_over() {
    RunMonitor monitor(run_);
    runtime::Watchdog watchdog(kBlockedAfter);
    Nanos next_look = run_.clock().now() + monitor.interval();
    while (!wait_for_the_end(std::min(kWatchEvery, monitor.interval()))) {
      for (const auto& loop : loops_) {
        if (const auto blocked = watchdog.look(*loop)) run_.note(runtime::to_string(*blocked));
      }
      if (run_.clock().now() < next_look) continue;
      monitor.look();
      next_look = run_.clock().now() + monitor.interval();
    }
  }

  /// True when every actor has ended; false after `span`.
  bool wait_for_the_end(Nanos span) {
    const auto until = std::chrono::steady_clock::now() + span;
    MutexLock lock(mutex_);
    while (unfinished_ > 0) {
      if (!all_finished_.wait_until(mutex_, until)) break;
    }
    return unfinished_ == 0;
  }

  RunState& run_;
  Conductor* const conductor_;
  const int workers_;
  std::vector<std::unique_ptr<runtime::Loop>> loops_;  // one a worker; made by run_free()
  std::vector<std::unique_ptr<Slot>> slots_;           // by actor
  std::vector<debugging::Coroutine> shown_;            // by actor; empty: no debugger is awaited
  std::optional<debugging::RootGroup> root_group_;     // of them

  Mutex mutex_;
  CondVar all_finished_;
  std::size_t unfinished_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::unique_ptr<Executor> make_coroutines_executor(RunState& run, Conductor* conductor, int workers) {
  return std::make_unique<CoroutinesExecutor>(run, conductor, workers);
}

}  // namespace lockstep
