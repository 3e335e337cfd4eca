// threads.cc: one OS thread for each actor, named after it, so that `bt` in a debugger shows the actor's own frames
// down to the lock that it waits for.
//
// Lock order: mutex_ and turn_mutex_ are leaves. Under a schedule the turn is a baton: `running_` is the one actor that
// may run; it gives the baton back by clearing `running_`. Notify after unlocking. On one processor (thread_pool.h) the
// woken thread runs at once and would block on the mutex. That doubled the switches of a replay.
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <boost/thread/condition_variable.hpp>
#include <boost/thread/mutex.hpp>
#include <boost/thread/thread.hpp>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/executors/executors.h"
#include "engine/executors/run_monitor.h"
#include "engine/executors/thread_pool.h"
#include "engine/schedule/conductor.h"
#include "kv/base/mutex.h"

namespace lockstep {
namespace {

/// The longest time that a thread stays in one call of a real lock before it looks for a stop or a deadline.
constexpr Nanos kSlice = std::chrono::milliseconds(25);

class ThreadsExecutor final : public Executor {
 public:
  ThreadsExecutor(RunState& run, Conductor* conductor, ThreadPool* pool)
      : run_(run), conductor_(conductor), pool_(pool) {}

  ~ThreadsExecutor() override {
    if (pool_ != nullptr) pool_->wait();
    for (Slot& slot : slots_) {
      if (slot.thread.joinable()) slot.thread.join();
    }
  }

  std::string_view name() const noexcept override { return "threads"; }
  bool parks_threads() const noexcept override { return true; }
  bool controlled() const noexcept override { return conductor_ != nullptr; }

  bool turn(Actor& actor) override {
    give_back(actor, Actor::Place::at_gate);
    await_turn(actor);
    return true;
  }

  bool wait(Actor& actor, Operation& operation) override {
    if (!operation.arm()) return true;
    if (!controlled()) {
      wait_free(actor, operation);
      return true;
    }
    give_back(actor, Actor::Place::waiting);
    // With a pool it sleeps until its turn, which comes after the wake-up.
    while (pool_ == nullptr && !operation.is_woken()) operation.block(actor, kSlice);
    await_turn(actor);
    return true;
  }

  bool park(Actor& actor, Operation& operation, Nanos span) override {
    Slot& slot = slot_of(actor);
    const auto until = boost::chrono::steady_clock::now() + boost::chrono::nanoseconds(span.count());
    try {
      boost::unique_lock<boost::mutex> lock(mutex_);
      while (!operation.is_woken()) {
        if (slot.condition.wait_until(lock, until) == boost::cv_status::timeout) break;
      }
    } catch (const boost::thread_interrupted&) {
      operation.expire(Fault::cancelled);  // this thread is the one that waits: nobody is to be told
    }
    return operation.is_woken();
  }

  void finished(Actor& actor) noexcept override {
    if (controlled()) return give_back(actor, Actor::Place::finished);
    boost::lock_guard<boost::mutex> lock(mutex_);
    actor.place = Actor::Place::finished;
    ++finished_;
    changed_.notify_all();
  }

  void ready(Actor& actor) noexcept override {
    if (controlled()) conductor_->woken(actor);
    if (pool_ != nullptr) return;
    boost::lock_guard<boost::mutex> lock(mutex_);
    slot_of(actor).condition.notify_all();
  }

  void interrupt(Actor& actor) noexcept override {
    if (!controlled()) slot_of(actor).thread.interrupt();
  }

  void go(Actor& actor) override {
    slots();
    const bool first = actor.place == Actor::Place::not_started;
    {
      MutexLock lock(turn_mutex_);
      running_ = &actor;
    }
    if (first) {
      start_thread(actor);
    } else {
      slot_of(actor).turn.notify_one();
    }
    MutexLock lock(turn_mutex_);
    while (running_ == &actor) given_back_.wait(turn_mutex_);
  }

  void run_free(std::span<const std::unique_ptr<Actor>> actors) override {
    RunMonitor monitor(run_);
    {
      boost::unique_lock<boost::mutex> lock(mutex_);
      slots();
      for (const auto& actor : actors) start_thread(*actor);
    }
    for (;;) {
      {
        boost::unique_lock<boost::mutex> lock(mutex_);
        if (finished_ < actors.size()) changed_.wait_for(lock, boost::chrono::nanoseconds(monitor.interval().count()));
        if (finished_ == actors.size()) break;
      }
      monitor.look();
    }
  }

 private:
  struct Slot {
    boost::thread thread;
    boost::condition_variable condition;  // for park(); with mutex_
    CondVar turn;                         // with turn_mutex_
  };

  Slot& slot_of(const Actor& actor) { return slots_[static_cast<std::size_t>(actor.index)]; }

  void slots() {
    if (slots_.empty()) slots_ = std::vector<Slot>(run_.actors.size());
  }

  void start_thread(Actor& actor) {
    if (pool_ != nullptr) {
      pool_->start(static_cast<std::size_t>(actor.index), actor.name, [this, &actor] {
        await_turn(actor);
        actor.start();
      });
      return;
    }
    slot_of(actor).thread = boost::thread([this, &actor] {
      pthread_setname_np(pthread_self(), actor.name.substr(0, 15).c_str());
      if (controlled()) {
        await_turn(actor);
      } else {
        // Nobody runs before every thread exists: a start in one breath.
        boost::lock_guard<boost::mutex> lock(mutex_);
      }
      actor.start();
      LOCKSTEP_CHECK(actor.has_finished(), "{}: its coroutine is suspended although its thread never suspends",
                     actor.name);
    });
  }

  /// The actor stops at `place`; the conductor goes on.
  void give_back(Actor& actor, Actor::Place place) {
    {
      MutexLock lock(turn_mutex_);
      actor.place = place;
      running_ = nullptr;
    }
    given_back_.notify_one();  // we are still here: our thread is waited for before we go
  }

  void await_turn(Actor& actor) {
    MutexLock lock(turn_mutex_);
    while (running_ != &actor) slot_of(actor).turn.wait(turn_mutex_);
    actor.place = Actor::Place::running;
  }

  void wait_free(Actor& actor, Operation& operation) {
    while (!operation.is_woken()) {
      const Waiting& what = operation.waiting();
      const Nanos now = run_.clock().now();
      if (now >= what.deadline) {
        operation.expire(what.deadline_fault);
        return;
      }
      if (now >= what.retry_at) return;
      const Nanos until = std::min(what.deadline, what.retry_at);
      const Nanos span = until == kNever ? kSlice : std::min(kSlice, until - now);
      if (what.fd >= 0) {
        pollfd fd{what.fd, what.events, 0};
        if (::poll(&fd, 1, static_cast<int>(span.count() / 1'000'000 + 1)) != 0) return;
      } else if (operation.block(actor, span)) {
        return;
      }
    }
  }

  RunState& run_;
  Conductor* const conductor_;
  ThreadPool* const pool_;
  std::vector<Slot> slots_;  // sized once, before the first thread starts

  // The free schedule, and waits that have no lock of their own to block in.
  boost::mutex mutex_;
  boost::condition_variable changed_;
  std::size_t finished_ = 0;  // guarded by mutex_

  // Under a schedule.
  Mutex turn_mutex_;
  CondVar given_back_;
  Actor* running_ LOCKSTEP_GUARDED_BY(turn_mutex_) = nullptr;
};

}  // namespace

std::unique_ptr<Executor> make_threads_executor(RunState& run, Conductor* conductor, ThreadPool* pool) {
  return std::make_unique<ThreadsExecutor>(run, conductor, pool);
}

}  // namespace lockstep
