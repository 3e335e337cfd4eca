// task.h: Task<T>, the coroutine that scenario bodies are written in.
//
// A body reads as a textbook's: `std::int64_t balance = co_await c.db.read(from);`. When an operation does not succeed,
// the task ends there and the operation's fault becomes its result. This is what an exception would do, but without
// one: the frame is destroyed, and destructors of its locals run. The task that awaits it ends in the same way, and so
// on up to a task that asked for the result with `tried(...)`. `co_await fail(Fault::refused)` ends a task on
// purpose.
//
// On the threads executor nothing ever suspends: a child runs on the stack of its parent, so a debugger shows the
// actor's own frames. On the others a task that must wait suspends. The completion of the operation resumes it in the
// thread that the executor chooses (executor.h).
//
// No symmetric transfer: with g++ 12 a loop over tasks that complete at once would grow the stack without optimisation
// and under sanitizers. A child is resumed inside the parent's await_suspend, which answers false when the child has
// finished.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/task/coroutines.h"
#include "kv/base/result.h"

namespace lockstep {

class Actor;
template <class T = void>
class Task;

namespace runtime {
class Strand;
}

namespace detail {

/// Told once that the task it waits for has finished.
class Continuation {
 public:
  virtual void on_child_finished() noexcept = 0;

 protected:
  ~Continuation() = default;
};

/// What every task's promise has, whatever its type.
class PromiseBase : public debugging::TaskFrame {
 public:
  Actor* actor = nullptr;             ///< the actor that the task belongs to; handed from parent to child
  runtime::Strand* strand = nullptr;  ///< where it runs outside a scenario's run (runtime/strand.h); handed down too
  std::optional<Error> error;         ///< why it ended without a value

  std::suspend_always initial_suspend() const noexcept { return {}; }

  auto final_suspend() noexcept {
    struct Final {
      PromiseBase& promise;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<>) const noexcept { promise.finish(); }
      void await_resume() const noexcept {}
    };
    return Final{*this};
  }

  /// An exception of a library that a body called; it ends here.
  void unhandled_exception() noexcept;

  /// Ends the suspended task with `why`: it will never be resumed, only destroyed. The frame may be gone on return.
  void abandon(Error why) noexcept {
    error = std::move(why);
    finish();
  }

  /// The awaiting side calls it after the first resume(). True: the task has finished already, and the continuation
  /// will not be called. False: the continuation will be called.
  bool finished_else_notify() noexcept {
    // acq_rel: a child that finished in another thread shows its value to the parent, and the parent shows its frame to
    // the child.
    return state_.exchange(State::parent_waits, std::memory_order_acq_rel) == State::finished;
  }

  Continuation* continuation = nullptr;

 private:
  enum class State : std::uint8_t { running, parent_waits, finished };

  void finish() noexcept {
    Continuation* const parent = continuation;
    if (state_.exchange(State::finished, std::memory_order_acq_rel) == State::parent_waits) parent->on_child_finished();
  }

  std::atomic<State> state_{State::running};
};

template <class T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

template <class T, bool Propagates>
class TaskAwaiter;

}  // namespace detail

/// A coroutine that gives a T, or ends with an Error. Owns its frame. Starts when it is awaited.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() noexcept = default;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { reset(); }

  /// Destroys the frame, innermost task first.
  void reset() noexcept {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

  Handle handle() const noexcept { return handle_; }
  auto operator co_await() && noexcept { return detail::TaskAwaiter<T, true>(std::move(*this)); }

 private:
  Handle handle_;
};

/// A task that gives its awaiter a Result<T> instead of ending it with the task's fault.
template <class T>
struct [[nodiscard]] Tried {
  Task<T> task;
  auto operator co_await() && noexcept { return detail::TaskAwaiter<T, false>(std::move(task)); }
};

template <class T>
Tried<T> tried(Task<T> task) noexcept {
  return {std::move(task)};
}

/// `co_await fail(fault, "why")` ends the task with that fault.
struct [[nodiscard]] Fail {
  Error error;
  bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> handle) {
    handle.promise().abandon(std::move(error));
  }
  void await_resume() const noexcept {}
};
inline Fail fail(Error why) { return {std::move(why)}; }
Fail fail(Fault fault, std::string message = {});

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(Task<void>::Handle::from_promise(*this));
}

template <class T, bool Propagates>
class TaskAwaiter final : Continuation {
 public:
  explicit TaskAwaiter(Task<T> task) noexcept : child_(std::move(task)) {}
  TaskAwaiter(TaskAwaiter&&) = delete;

  bool await_ready() const noexcept { return false; }

  template <class P>
  bool await_suspend(std::coroutine_handle<P> parent,
                     std::source_location at = std::source_location::current()) noexcept {
    parent_ = parent;
    PromiseBase& awaiter = parent.promise();
    awaiter.at = at;
    promise().awaiter = &awaiter;
    promise().actor = awaiter.actor;
    promise().strand = awaiter.strand;
    promise().continuation = this;
    child_.handle().resume();
    return promise().finished_else_notify() ? end_with_child() : true;
  }

  auto await_resume() {
    if constexpr (Propagates) {
      return promise().take();
    } else {
      if (promise().error) return Result<T>(std::move(*promise().error));
      if constexpr (std::is_void_v<T>) {
        return Result<T>();
      } else {
        return Result<T>(promise().take());
      }
    }
  }

 private:
  Promise<T>& promise() const noexcept { return child_.handle().promise(); }

  /// The child has finished. True when the parent ends with it, false when the parent goes on.
  bool end_with_child() noexcept {
    if constexpr (Propagates) {
      if (promise().error) {
        Error why = std::move(*promise().error);
        auto& parent = static_cast<PromiseBase&>(*promise().awaiter);
        child_.reset();
        parent.abandon(std::move(why));
        return true;
      }
    }
    return false;
  }

  void on_child_finished() noexcept override {
    const std::coroutine_handle<> parent = parent_;
    if (!end_with_child()) parent.resume();
  }

  Task<T> child_;
  std::coroutine_handle<> parent_;
};

}  // namespace detail
}  // namespace lockstep
