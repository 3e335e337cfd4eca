// runtime.h: runs a task on loops of its own: one for each worker thread, with every strand pinned to one of them.
//
//   const Result<int> answer = runtime::run(compute_all(), {.workers = 2});
//
// The root runs on worker 0, which is the calling thread. run() returns when the root has ended, and with it every
// child (group.h), so nothing is left behind. Work for the processor alone goes to the arena (`co_await on_arena(f)`),
// a call that blocks goes to a helper thread (`co_await on_helper(f)`). Both resume the task in its own loop.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "engine/runtime/group.h"

namespace lockstep::runtime {

/// Told what should not happen. Called in a thread of the runtime, with no lock held.
class Observer {
 public:
  virtual ~Observer() = default;
  /// A job keeps a worker's thread: it computes, or is in a call that blocks.
  virtual void on_blocked(const Blocked& blocked) = 0;
  /// A child was cancelled and has not ended within its grace.
  virtual void on_overdue(Name child, Nanos grace) = 0;
};

struct RunOptions {
  int workers = 1;                                      ///< threads, at least 1
  Observer* observer = nullptr;                         ///< outlives the run; nullptr = nobody looks
  Nanos blocked_after = std::chrono::milliseconds(20);  ///< how long a job may keep its thread
};

class Workers {
 public:
  explicit Workers(const RunOptions& options);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Of the calling thread; nullptr outside a run.
  static Workers* current() noexcept;
  int size() const noexcept { return static_cast<int>(loops_.size()); }
  Loop& loop(int worker) noexcept { return *loops_[static_cast<std::size_t>(worker)]; }
  Observer* observer() const noexcept { return options_.observer; }

  /// Runs the root to its end.
  void run_to_end(lockstep::detail::PromiseBase& root, std::coroutine_handle<> handle);

 private:
  void watch_over(const std::atomic<bool>& over);

  const RunOptions options_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::optional<Strand> root_;  // goes before its loop
  debugging::RootGroup roots_;
};

/// Runs `task` to its end; gives its value or its fault. Blocks the calling thread, which is worker 0.
template <class T>
Result<T> run(Task<T> task, const RunOptions& options = {}) {
  Workers workers(options);
  auto& promise = task.handle().promise();
  workers.run_to_end(promise, task.handle());
  Result<T> ended = [&promise]() -> Result<T> {
    if (promise.error) return std::move(*promise.error);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return promise.take();
    }
  }();
  task.reset();  // a task that ended with a fault still has its locals: they may belong to the loops
  return ended;
}

namespace detail {
/// Runs `job` in a thread of the arena: one less than there are processors, shared by the whole program.
void give_to_arena(Job& job);
/// Runs `job` in a helper thread: at most kHelpers of them; the others wait for their turn.
void give_to_helper(Job& job);

/// Runs a function elsewhere. It is waited for to its end, also when the strand is cancelled meanwhile.
template <class Function>
class [[nodiscard]] Elsewhere final : public Wait {
 public:
  using Value = std::invoke_result_t<Function&>;
  Elsewhere(Function function, void (*give)(Job&), const char* doing) noexcept
      : work_{std::move(function), *this}, give_(give), doing_(doing) {}

  Value await_resume() noexcept {
    if constexpr (!std::is_void_v<Value>) return std::move(*work_.value);
  }
  void cancel(Fault) noexcept override {}
  const char* doing() const noexcept override { return doing_; }

 private:
  struct Work final : Job {
    Work(Function f, Elsewhere& w) noexcept : function(std::move(f)), wait(w) {}
    void run() noexcept override {
      if constexpr (std::is_void_v<Value>) {
        function();
      } else {
        value.emplace(function());
      }
      wait.complete();
    }
    Function function;
    Elsewhere& wait;
    std::conditional_t<std::is_void_v<Value>, char, std::optional<Value>> value{};
  };
  bool queue() noexcept override {
    give_(work_);
    return true;
  }

  Work work_;
  void (*const give_)(Job&);
  const char* const doing_;
};
}  // namespace detail

/// How many helper threads there are at most.
inline constexpr int kHelpers = 16;

/// `co_await on_arena(f)`: runs f() in a thread of a TBB arena and gives its value; the task goes on in its own loop.
/// For what computes for long. f must not throw, nor wait for anything of a loop.
template <class Function>
detail::Elsewhere<Function> on_arena(Function function) {
  return {std::move(function), &detail::give_to_arena, "computing in the arena"};
}
/// `co_await on_helper(f)`: as on_arena(), in one of at most kHelpers threads: for libraries whose calls block.
template <class Function>
detail::Elsewhere<Function> on_helper(Function function) {
  return {std::move(function), &detail::give_to_helper, "in a blocking call"};
}

}  // namespace lockstep::runtime
