// loop.h: the event loop of one worker: a queue of what is ready, timers, and an epoll for sockets.
//
// Whatever belongs to a loop runs in the loop's thread, one after the other, in the order in which it became ready. So
// nothing that stays on one loop needs a lock; what comes from elsewhere comes through post(). Jobs, timers and watches
// are members of the wait that uses them: nothing is allocated for a wait.
//
// Sockets are watched level-triggered: libpq need not drain a socket, and an edge that has been reported would not be
// reported again. A watch is for one wait, or stays until it is taken back: for a connection that asks again and again.
//
// Thread-safe as far as a member says so; everything else is for the loop's own thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/runtime/timer_wheel.h"
#include "kv/base/result.h"

namespace lockstep::runtime {

class Loop;
namespace detail {
class Arena;
}

/// Something to run in a loop's thread. In at most one queue at a time.
class Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual void run() noexcept = 0;

 protected:
  ~Job() = default;

 private:
  friend class Loop;
  friend class detail::Arena;
  Job* next_ = nullptr;
};

/// A descriptor that is waited for. Must be unwatched or have been told before it is destroyed.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  /// The descriptor is ready, or broken. In the loop's thread; it is not watched any more, unless by keep_watching().
  virtual void on_ready() noexcept = 0;
  bool is_watched() const noexcept { return fd_ >= 0; }

 protected:
  ~Watch() = default;

 private:
  friend class Loop;
  int fd_ = -1;
  bool stays_ = false;
};

/// The name of a job, for people: "session 12". The text lives as long as the program, or as long as the loop at least.
struct Name {
  const char* text = "task";
  std::uint32_t number = 0;  ///< 0 = none
};
std::string to_string(Name name);

/// A job that has kept a loop's thread for itself.
struct Blocked {
  int worker = 0;
  Name name;
  Nanos at_least{0};      ///< how long by now
  bool on_a_cpu = false;  ///< it computes; else its thread sleeps in the kernel: a call that blocks
};
/// "worker 0: session 12 has kept its thread for 24 ms (asleep in a call that blocks)".
std::string to_string(const Blocked& blocked);

class Loop {
 public:
  /// Ends the program (LOCKSTEP_CHECK) when there are no descriptors left: see need_descriptors().
  explicit Loop(int index = 0);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// The loop whose thread this is; nullptr elsewhere.
  static Loop* current() noexcept;
  /// Which of the workers it is, from 0.
  int index() const noexcept { return index_; }

  /// Runs what is ready, as it becomes ready, until stop(). The thread that calls it is the loop's until it returns.
  void run();
  /// run() returns when the job in hand has. Any thread.
  void stop() noexcept;

  /// Puts `job` behind what is ready. Any thread; what one thread posts runs in its order.
  void post(Job& job) noexcept {
    if (current() == this) {
      push(job);
    } else {
      post_from_elsewhere(job);
    }
  }
  /// post() for the loop's own thread.
  void push(Job& job) noexcept {
    job.next_ = nullptr;
    *tail_ = &job;
    tail_ = &job.next_;
  }

  Nanos now() const noexcept { return clock_.now(); }
  TimerWheel& timers() noexcept { return timers_; }

  /// Waits for `events` (POLLIN, POLLOUT) of `fd`: one watch a descriptor. False when it cannot be watched, such as a
  /// file: the caller may read it at once.
  bool watch(Watch& watch, int fd, short events) noexcept;
  /// Watches until unwatch(): told again and again as long as it is ready. A second call changes the events.
  bool keep_watching(Watch& watch, int fd, short events) noexcept;
  /// Before the descriptor is closed. No effect when it is not watched.
  void unwatch(Watch& watch) noexcept;

  /// The job that runs now; told by the jobs themselves. Costs two plain stores.
  void entered(Name name) noexcept {
    running_text_.store(name.text, std::memory_order_relaxed);
    running_number_.store(name.number, std::memory_order_relaxed);
  }
  /// How many jobs have been run; any thread. The same number twice, with somebody running, is the same job.
  std::uint64_t turns() const noexcept { return turns_.load(std::memory_order_relaxed); }
  /// The job that runs; its text is nullptr while the loop waits. Any thread; a guess unless turns() stands still.
  Name running() const noexcept {
    return {running_text_.load(std::memory_order_relaxed), running_number_.load(std::memory_order_relaxed)};
  }
  /// The kernel's number of the thread in run(); 0 outside it. Any thread.
  int thread_id() const noexcept { return thread_id_.load(std::memory_order_relaxed); }

 private:
  void post_from_elsewhere(Job& job) noexcept;
  void take_posted() noexcept;
  void run_batch() noexcept;
  void poll(Nanos now, bool may_sleep) noexcept;
  bool is_posted_soon() noexcept;
  bool add(Watch& watch, int fd, std::uint32_t events) noexcept;
  void wake_up() noexcept;

  static constexpr int kEvents = 128;

  const int index_;
  const RealClock clock_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;

  Job* head_ = nullptr;
  Job** tail_ = &head_;
  TimerWheel timers_;
  Nanos polled_at_{0};
  std::size_t watched_ = 0;
  bool was_posted_ = false;             ///< something came from elsewhere since it last slept
  std::array<Watch*, kEvents> told_{};  ///< of the events in hand; nullptr: unwatched meanwhile
  int told_count_ = 0;

  std::atomic<const char*> running_text_{nullptr};
  std::atomic<std::uint32_t> running_number_{0};
  std::atomic<std::uint64_t> turns_{0};
  std::atomic<int> thread_id_{0};
  std::atomic<bool> stopping_{false};
  /// Posted by other threads, the latest first. Sequentially consistent with sleeping_: either the loop sees the job
  /// before it sleeps, or the posting thread sees that it sleeps. Cache lines of their own: a posting thread must not
  /// fetch what the loop writes with every job, nor the other way.
  alignas(64) std::atomic<Job*> posted_{nullptr};
  alignas(64) std::atomic<bool> sleeping_{false};
  std::atomic<int> posting_{0};  ///< threads inside post_from_elsewhere(): the loop does not go before they have left
};

/// Looks at loops from outside and reports a job that keeps its thread. One thread. Calls of look() some milliseconds
/// apart decide how fine it measures.
class Watchdog {
 public:
  /// `after`: how long is too long.
  explicit Watchdog(Nanos after) : after_(after) {}
  /// The loop's blocked job, once for each.
  std::optional<Blocked> look(const Loop& loop);

 private:
  struct Seen {
    std::uint64_t turns = 0;
    Nanos since{0};
    bool told = false;
  };
  const Nanos after_;
  const RealClock clock_;
  std::array<Seen, 64> seen_{};  // by worker; more of them are not watched
};

/// Makes sure that `needed` descriptors can be open at once beside what is open now, raising the soft limit where the
/// hard one allows. Fault::invalid with both numbers and the command that helps.
Result<void> need_descriptors(std::uint64_t needed, std::string_view what_for);

}  // namespace lockstep::runtime
