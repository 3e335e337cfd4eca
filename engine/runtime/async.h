// async.h: what tasks on loops wait for: time, their turn, locks, permits, values. First come, first served,
// everywhere.
//
//   co_await runtime::sleep_for(5ms);
//   const AsyncMutex::Guard guard = co_await mutex.lock();      // gives it back at the end of its scope
//   const std::optional<int> next = co_await channel.receive();
//
// Which thread resumes: the one of the waiting strand's loop (strand.h), also when another loop's strand unlocks or
// sends. Locks, semaphores and channels are thread-safe, serve strands of every loop, and allocate nothing for a wait.
// What they guard may be held across a co_await: no thread is blocked by it. They outlive every wait in them.
//
// (Bodies of scenarios use engine/sync/sync.h: there every step is scheduled, recorded and searched.)
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "engine/runtime/strand.h"
#include "kv/base/mutex.h"

namespace lockstep::runtime {

/// Until a moment of the loop's clock; at once when it has passed.
class [[nodiscard]] Sleep final : public Wait, private Timer {
 public:
  explicit Sleep(Nanos moment) noexcept : moment_(moment) {}
  Sleep(Nanos span, std::nullptr_t) noexcept : moment_(span), is_span_(true) {}

  void await_resume() const noexcept {}
  void cancel(Fault why) noexcept override;
  const char* doing() const noexcept override { return "asleep"; }

 private:
  bool queue() noexcept override;
  void fire() noexcept override { complete(); }

  Nanos moment_;
  bool is_span_ = false;
};
/// Sleeps for `span`, or up to 17 µs longer and as long as the loop is busy.
inline Sleep sleep_for(Nanos span) { return {span, nullptr}; }
inline Sleep sleep_until(Nanos moment) { return Sleep(moment); }

/// Lets every job that is ready go first.
class [[nodiscard]] Yield final : public Wait {
 public:
  void await_resume() const noexcept {}
  void cancel(Fault) noexcept override {}
  const char* doing() const noexcept override { return "about to run"; }

 private:
  bool queue() noexcept override {
    loop().push(*this);
    return true;
  }
};
inline Yield yield() { return {}; }

/// A descriptor to become ready, level-triggered; one strand at a time for each descriptor.
class [[nodiscard]] Ready final : public Wait, private Watch {
 public:
  Ready(int fd, short events) noexcept : fd_(fd), events_(events) {}

  void await_resume() const noexcept {}
  void cancel(Fault why) noexcept override;
  const char* doing() const noexcept override { return "waiting for a socket"; }

 private:
  bool queue() noexcept override { return loop().watch(*this, fd_, events_); }
  void on_ready() noexcept override { complete(); }

  const int fd_;
  const short events_;
};
/// `events`: POLLIN, POLLOUT.
inline Ready ready(int fd, short events) { return {fd, events}; }

namespace detail {

class Queued;

/// A ring of waits, first come first. Guarded by the mutex of its owner.
class Line {
 public:
  bool is_empty() const noexcept { return first_ == nullptr; }
  Queued* first() const noexcept { return first_; }
  void append(Queued& wait) noexcept;
  void remove(Queued& wait) noexcept;
  std::size_t size() const noexcept { return size_; }

 private:
  Queued* first_ = nullptr;
  Queued* last_ = nullptr;
  std::size_t size_ = 0;
};

/// A wait in a line. The thread that takes it out of the line, under the owner's mutex, completes it.
class Queued : public Wait {
 public:
  void cancel(Fault why) noexcept final;

 protected:
  Queued(lockstep::Mutex& mutex, Line& line) noexcept : mutex_(mutex), line_(line) {}
  ~Queued() = default;
  /// After it has left its line without success, under the mutex: those behind it may now be served.
  virtual void has_left() noexcept {}

  lockstep::Mutex& mutex_;
  Line& line_;
  bool in_line_ = false;  ///< guarded by mutex_

 private:
  friend class Line;
  Queued* previous_ = nullptr;
  Queued* next_ = nullptr;
};

}  // namespace detail

/// Counted permits.
class AsyncSemaphore {
 public:
  class [[nodiscard]] Acquire final : public detail::Queued {
   public:
    Acquire(AsyncSemaphore& semaphore, int permits) noexcept
        : Queued(semaphore.mutex_, semaphore.line_), semaphore_(semaphore), permits_(permits) {}

    void await_resume() const noexcept {}
    const char* doing() const noexcept override { return "waiting for a permit"; }

   private:
    friend class AsyncSemaphore;
    bool queue() noexcept override;
    void has_left() noexcept override { semaphore_.serve(); }

    AsyncSemaphore& semaphore_;
    const int permits_;
  };

  /// `available` at first, at least 0.
  explicit AsyncSemaphore(int available) noexcept : available_(available) {}
  ~AsyncSemaphore();
  AsyncSemaphore(const AsyncSemaphore&) = delete;
  AsyncSemaphore& operator=(const AsyncSemaphore&) = delete;

  /// Waits for `permits`; a request for many is not passed by later ones for few.
  Acquire acquire(int permits = 1) noexcept { return {*this, permits}; }
  bool try_acquire(int permits = 1) noexcept;
  /// Never waits. Any thread.
  void release(int permits = 1) noexcept;

  int available() const noexcept;
  /// How many wait.
  std::size_t waiting() const noexcept;

 private:
  /// Takes the waits that can have their permits out of the line, and completes them.
  void serve() noexcept LOCKSTEP_NO_ANALYSIS;  // called with mutex_, which Queued holds under its own name

  mutable lockstep::Mutex mutex_;
  detail::Line line_;  // guarded by mutex_ too; waits reach it by reference, which the analysis cannot follow
  int available_ LOCKSTEP_GUARDED_BY(mutex_);
};

/// One holder at a time; may be held across any co_await. Not recursive.
class AsyncMutex {
 public:
  /// Holds the mutex for a scope, or nothing. May be given back in any thread.
  class [[nodiscard]] Guard {
   public:
    Guard() noexcept = default;
    explicit Guard(AsyncMutex& mutex) noexcept : mutex_(&mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      if (this != &other) {
        unlock();
        mutex_ = std::exchange(other.mutex_, nullptr);
      }
      return *this;
    }
    ~Guard() { unlock(); }

    /// The first in the line has it next.
    void unlock() noexcept {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->permit_.release();
    }
    explicit operator bool() const noexcept { return mutex_ != nullptr; }

   private:
    AsyncMutex* mutex_ = nullptr;
  };

  struct [[nodiscard]] Lock {
    AsyncMutex& mutex;
    AsyncSemaphore::Acquire acquire;
    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle,
                       std::source_location at = std::source_location::current()) noexcept {
      return acquire.await_suspend(handle, at);
    }
    Guard await_resume() const noexcept { return Guard(mutex); }
  };

  Lock lock() noexcept { return {*this, permit_.acquire()}; }
  /// An empty guard when it cannot be had at once.
  Guard try_lock() noexcept { return permit_.try_acquire() ? Guard(*this) : Guard(); }

 private:
  AsyncSemaphore permit_{1};
};

/// A queue of at most `capacity` values between strands. Senders wait while it is full, receivers while it is empty.
template <class T>
class Channel {
 public:
  class [[nodiscard]] Send final : public detail::Queued {
   public:
    Send(Channel& channel, T value) noexcept
        : Queued(channel.mutex_, channel.senders_), channel_(channel), value_(std::move(value)) {}

    /// False when the channel was closed: the value was not taken.
    bool await_resume() const noexcept { return sent_; }
    const char* doing() const noexcept override { return "waiting for room in a channel"; }

   private:
    friend class Channel;
    bool queue() noexcept override { return channel_.send_or_queue(*this); }

    Channel& channel_;
    T value_;
    bool sent_ = false;
  };

  class [[nodiscard]] Receive final : public detail::Queued {
   public:
    explicit Receive(Channel& channel) noexcept : Queued(channel.mutex_, channel.receivers_), channel_(channel) {}

    /// nullopt: closed, and nothing is left in it.
    std::optional<T> await_resume() noexcept { return std::move(value_); }
    const char* doing() const noexcept override { return "waiting for a value in a channel"; }

   private:
    friend class Channel;
    bool queue() noexcept override { return channel_.receive_or_queue(*this); }

    Channel& channel_;
    std::optional<T> value_;
  };

  /// At least 1.
  explicit Channel(std::size_t capacity) : values_(capacity) {
    LOCKSTEP_CHECK(capacity >= 1, "a channel holds at least one value");
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  Send send(T value) noexcept { return {*this, std::move(value)}; }
  Receive receive() noexcept { return Receive(*this); }
  /// Nothing more is sent: waiting senders are told no, receivers get what is left, then nullopt.
  void close() noexcept {
    MutexLock lock(mutex_);
    closed_ = true;
    while (!senders_.is_empty()) finish<Send>(senders_);
    while (!receivers_.is_empty()) finish<Receive>(receivers_);
  }

 private:
  template <class Operation>
  Operation& finish(detail::Line& line) noexcept LOCKSTEP_REQUIRES(mutex_) {
    auto& first = static_cast<Operation&>(*line.first());
    line.remove(first);
    first.complete();
    return first;
  }
  bool send_or_queue(Send& send) noexcept {
    MutexLock lock(mutex_);
    send.sent_ = !closed_;
    if (closed_) return false;
    if (!receivers_.is_empty()) {
      auto& first = static_cast<Receive&>(*receivers_.first());
      first.value_ = std::move(send.value_);
      finish<Receive>(receivers_);
      return false;
    }
    if (count_ < values_.size()) {
      put(std::move(send.value_));
      return false;
    }
    send.sent_ = false;
    senders_.append(send);
    return true;
  }
  bool receive_or_queue(Receive& receive) noexcept {
    MutexLock lock(mutex_);
    if (count_ == 0) {
      if (closed_) return false;
      receivers_.append(receive);
      return true;
    }
    receive.value_ = std::move(values_[begin_]);
    values_[begin_].reset();
    begin_ = (begin_ + 1) % values_.size();
    --count_;
    if (!senders_.is_empty()) {
      auto& first = static_cast<Send&>(*senders_.first());
      first.sent_ = true;
      put(std::move(first.value_));
      finish<Send>(senders_);
    }
    return false;
  }
  void put(T value) noexcept LOCKSTEP_REQUIRES(mutex_) {
    values_[(begin_ + count_) % values_.size()] = std::move(value);
    ++count_;
  }

  lockstep::Mutex mutex_;
  detail::Line senders_;    // guarded by mutex_ too; waits reach them by reference, which the analysis cannot follow
  detail::Line receivers_;  // the same
  std::vector<std::optional<T>> values_ LOCKSTEP_GUARDED_BY(mutex_);  // a ring
  std::size_t begin_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::size_t count_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  bool closed_ LOCKSTEP_GUARDED_BY(mutex_) = false;
};

}  // namespace lockstep::runtime
