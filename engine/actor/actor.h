// actor.h: one actor of a run: a body, its session, the operation it is performing, and the events it causes.
//
// Thread safety: an actor's members belong to the thread that runs it: its own one, or the worker that resumed its
// coroutine. The executor hands over with a lock. `wait_mutex_` guards what other threads look at while the actor
// waits. It is taken before the leaf locks of stores and in-process locks, never after.
#pragma once

#include <memory>
#include <string>

#include "engine/actor/event_buffer.h"
#include "engine/actor/operation.h"
#include "engine/record/run.h"
#include "kv/base/mutex.h"

namespace lockstep {

class Executor;
class RunState;

class Actor final : detail::Continuation {
 public:
  Actor(int index, std::string name, RunState& run, Executor& executor);
  ~Actor();

  const int index;
  const std::string name;
  RunState& run;       ///< outlives the actor
  Executor& executor;  ///< outlives the actor
  std::unique_ptr<Session> session;

  /// What the executor keeps of the actor.
  enum class Place : std::uint8_t { not_started, at_gate, waiting, running, finished };
  Place place = Place::not_started;

  /// Gives the actor what it shall run. Before start().
  void set_body(Task<> body) noexcept { root_ = std::move(body); }
  /// Runs the body on this stack until it ends or suspends.
  void start();
  /// Continues the suspended coroutine on this stack: at its gate or after a wake-up. Only for executors that suspend.
  void resume();

  /// The operation being performed; nullptr between operations.
  Operation* current() const noexcept { return current_; }
  /// The fault that ended the body, once the actor has finished.
  const std::optional<Error>& ending() const noexcept { return root_.handle().promise().error; }

  /// Looks at the operation while the actor waits in it; `look` is not called when it does not wait. Any thread.
  template <class Look>
  void while_waiting(Look look) {
    MutexLock lock(wait_mutex_);
    if (waiting_ != nullptr) look(*waiting_);
  }

  /// The actor must end: its waits and its next operations, but for clean-up, end with `why`. Any thread.
  void stop(Fault why);

  /// From now on the actor's events go to a buffer of its own. Before start(), in a run that nobody steers.
  void write_apart(std::uint32_t every) { buffer_ = std::make_unique<EventBuffer>(every); }
  EventBuffer* buffer() const noexcept { return buffer_.get(); }

  /// Writes an event of this actor; takes `kind` and what else is given, and fills in the rest. Cheap when not
  /// recording.
  void emit(record::Event event);
  /// The number of the current operation in the run. Any thread.
  std::uint32_t step() const noexcept { return step_.load(std::memory_order_relaxed); }

  /// What the session's begin, commit and abort did; kept for the retry policy and the counts.
  void note_transaction(Verb verb, const std::optional<Error>& error);
  bool transaction_open() const noexcept { return transaction_open_; }
  /// The body ended with a fault. One that no operation gave (`co_await fail(...)`) is counted and written down here.
  void note_refusal(const Error& error);
  std::uint64_t commits() const noexcept { return commits_; }
  /// A statement outside a transaction has succeeded: it has committed by itself, and is never run again.
  void note_autocommit() noexcept { ++autocommits_; }
  /// Transactions and single statements.
  std::uint64_t all_commits() const noexcept { return commits() + autocommits_; }
  /// How often its body has been begun. Any thread.
  int attempts() const noexcept { return attempts_.load(std::memory_order_relaxed); }
  void begin_attempt() noexcept { attempts_.fetch_add(1, std::memory_order_relaxed); }
  bool stopping() const noexcept { return stop_with_.load(std::memory_order_relaxed) >= 0; }

  /// The executor or the schedule calls it on learning which actors the waiting operation waits for. Writes a wait
  /// event when these differ from what was last written.
  void note_blockers(Operation& operation, const std::vector<Blocker>& blockers);
  /// The step in which the actor waits, 0 when it does not. Any thread.
  std::uint32_t waiting_step() const noexcept { return waiting_step_.load(std::memory_order_acquire); }
  /// The longest that an operation has waited for somebody or something, on the run's clock. After the run.
  struct LongestWait {
    Nanos span{0};
    Description what = {};  ///< only when recording
  };
  const LongestWait& longest_wait() const noexcept { return longest_wait_; }
  /// What its end is called, for people and for a search.
  std::string end_name() const { return "the end of " + name; }
  /// Any thread.
  bool has_finished() const noexcept { return finished_.load(std::memory_order_acquire); }

  /// True when the wait event of the current operation has been written.
  bool has_noted_wait() const noexcept { return noted_wait_ != nullptr; }

 private:
  friend bool perform(Operation&, detail::PromiseBase&, std::coroutine_handle<>);

  enum class Progress : std::uint8_t { finished, suspended };
  Progress proceed(Operation& operation);
  void request(Operation& operation);
  void conclude(Operation& operation);
  void publish_wait(Operation* operation);
  void note_wait(Operation& operation);
  void write_request(Operation& operation);
  void on_child_finished() noexcept override;

  Task<> root_;
  Operation* current_ = nullptr;
  bool at_gate_ = false;
  std::atomic<std::uint32_t> step_{0};
  std::unique_ptr<EventBuffer> buffer_;  ///< nullptr: its events go to the run's
  bool on_record_ = true;                ///< what is done now is not left out (thinning)
  bool request_is_due_ = false;          ///< the request event is written when the operation waits or ends
  std::int64_t requested_at_ns_ = 0;
  bool transaction_open_ = false;
  std::uint64_t commits_ = 0;
  std::uint64_t autocommits_ = 0;
  std::atomic<int> attempts_{0};
  std::optional<Fault> last_fault_;  ///< of an operation, since the body began
  std::int64_t wait_began_ns_ = -1;
  LongestWait longest_wait_;
  bool expired_ = false;  ///< the deadline of the current wait has passed
  std::vector<int> last_blockers_;
  const Operation* noted_wait_ = nullptr;  ///< the operation with the wait event that was written last
  const Operation* last_stop_ = nullptr;   ///< the operation with the wait that the stop has ended already
  std::atomic<int> stop_with_{-1};
  std::atomic<std::uint32_t> waiting_step_{0};
  std::atomic<bool> finished_{false};

  Mutex wait_mutex_;
  Operation* waiting_ LOCKSTEP_GUARDED_BY(wait_mutex_) = nullptr;
};

}  // namespace lockstep
