// coroutines.cc: actors as coroutines. Free: resumed by the workers of a TBB arena, while the calling thread polls
// sockets and deadlines. Under a schedule: resumed on the conductor's thread, one at a time.
#include <poll.h>
#include <sys/eventfd.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/actor.h"
#include "engine/conductor.h"
#include "engine/executor.h"
#include "engine/executors/monitor.h"
#include "engine/run_state.h"

namespace lockstep {
namespace {

std::atomic<unsigned> hand_overs{0};

/// What a worker of the arena runs. TBB hands it over correctly, but its library is not compiled for ThreadSanitizer,
/// which therefore sees none of it: the copy that TBB keeps, and everything before it, would look raced for, and so
/// would memory that TBB uses again. So each hand-over is told a second time: a copy acquires before it writes and
/// releases after it; the worker acquires before it reads and releases when it has read.
template <class Work>
class HandedOver {
 public:
  explicit HandedOver(Work work) : work_(work) {}
  HandedOver(const HandedOver& other) : work_(acquired(other).work_) {
    hand_overs.fetch_add(1, std::memory_order_release);
  }
  HandedOver& operator=(const HandedOver&) = delete;
  void operator()() const {
    const Work work = acquired(*this).work_;
    hand_overs.fetch_add(1, std::memory_order_release);
    work();
  }

 private:
  static const HandedOver& acquired(const HandedOver& which) {
    hand_overs.load(std::memory_order_acquire);
    return which;
  }

  const Work work_;
};

class CoroutinesExecutor final : public Executor {
 public:
  CoroutinesExecutor(RunState& run, Conductor* conductor, int workers)
      : run_(run), conductor_(conductor), workers_(std::max(workers, 1)) {}

  ~CoroutinesExecutor() override {
    if (wake_fd_ >= 0) ::close(wake_fd_);
  }

  std::string_view name() const noexcept override { return "coroutines"; }
  bool parks_threads() const noexcept override { return false; }
  bool controlled() const noexcept override { return conductor_ != nullptr; }

  bool turn(Actor& actor) override {
    actor.place = Actor::Place::at_gate;
    return false;
  }

  bool wait(Actor& actor, Operation& operation) override {
    if (controlled()) {
      actor.place = Actor::Place::waiting;
      if (operation.arm()) return false;
      actor.place = Actor::Place::running;
      return true;
    }
    const Waiting& what = operation.waiting();
    const bool polled = what.fd >= 0 || what.deadline != kNever || what.retry_at != kNever;
    if (!operation.arm()) return true;
    // From here on the actor may be running elsewhere: nothing of it is touched.
    if (polled) wake_poller();
    return false;
  }

  bool park(Actor&, Operation&, Nanos) override {
    LOCKSTEP_CHECK(false, "a coroutine was asked to block its thread");
    return false;
  }

  void finished(Actor& actor) noexcept override {
    if (controlled()) {
      actor.place = Actor::Place::finished;
      return;
    }
    MutexLock lock(mutex_);
    --unfinished_;
    wake_poller();
  }

  void ready(Actor& actor) noexcept override {
    if (controlled()) {
      conductor_->woken(actor);
    } else {
      submit([&actor] { actor.resume(); });
    }
  }

  void interrupt(Actor&) noexcept override {}

  void go(Actor& actor) override {
    const bool first = actor.place == Actor::Place::not_started;
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
    wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    LOCKSTEP_CHECK(wake_fd_ >= 0, "eventfd failed");
    // The calling thread only polls, so all of the arena's slots are workers'.
    tbb::global_control parallelism(tbb::global_control::max_allowed_parallelism,
                                    static_cast<std::size_t>(workers_) + 1);
    tbb::task_arena arena(workers_, 0);
    arena_ = &arena;
    {
      MutexLock lock(mutex_);
      unfinished_ = actors.size();
    }
    for (const auto& actor : actors) submit([a = actor.get()] { a->start(); });
    Monitor monitor(run_);
    Nanos next_look = run_.clock().now() + monitor.interval();
    while (any_unfinished()) {
      poll_once(actors, next_look);
      if (run_.clock().now() >= next_look) {
        monitor.look();
        next_look = run_.clock().now() + monitor.interval();
      }
    }
    // A worker may still be leaving the stack of the last actor to finish.
    while (inside_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }

 private:
  template <class Work>
  void submit(Work work) {
    inside_.fetch_add(1, std::memory_order_relaxed);
    arena_->enqueue(HandedOver([this, work] {
      work();
      inside_.fetch_sub(1, std::memory_order_release);
    }));
  }

  bool any_unfinished() {
    MutexLock lock(mutex_);
    return unfinished_ > 0;
  }

  void wake_poller() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
  }

  /// Waits for a socket, a deadline, the next look, or a call to wake_poller(); hands over whoever is due.
  void poll_once(std::span<const std::unique_ptr<Actor>> actors, Nanos next_look) {
    std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
    std::vector<Actor*> waiting{nullptr};
    Nanos until = next_look;
    for (const auto& actor : actors) {
      actor->while_waiting([&](Operation& operation) {
        if (operation.is_woken()) return;
        const Waiting& what = operation.waiting();
        until = std::min({until, what.deadline, what.retry_at});
        if (what.fd >= 0) {
          fds.push_back({what.fd, what.events, 0});
          waiting.push_back(actor.get());
        }
      });
    }
    const std::int64_t left_ms = std::max<std::int64_t>((until - run_.clock().now()).count() / 1'000'000 + 1, 0);
    ::poll(fds.data(), fds.size(), static_cast<int>(left_ms));
    if (fds[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t drained = ::read(wake_fd_, &count, sizeof count);
    }
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      waiting[i]->while_waiting([&](Operation& operation) {
        if (operation.waiting().fd == fds[i].fd) operation.wake();
      });
    }
    const Nanos now = run_.clock().now();
    for (const auto& actor : actors) {
      actor->while_waiting([&](Operation& operation) {
        const Waiting& what = operation.waiting();
        if (what.deadline <= now) {
          if (!operation.is_woken() && operation.expire(what.deadline_fault)) ready(*actor);
        } else if (what.retry_at <= now && !operation.is_woken()) {
          operation.wake();
        }
      });
    }
  }

  RunState& run_;
  Conductor* const conductor_;
  const int workers_;
  int wake_fd_ = -1;
  tbb::task_arena* arena_ = nullptr;    // set while run_free() runs
  std::atomic<std::size_t> inside_{0};  // resumptions submitted and not yet left

  Mutex mutex_;
  std::size_t unfinished_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::unique_ptr<Executor> make_coroutines_executor(RunState& run, Conductor* conductor, int workers) {
  return std::make_unique<CoroutinesExecutor>(run, conductor, workers);
}

}  // namespace lockstep
