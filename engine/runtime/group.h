// group.h: structured concurrency: children never outlive the task that began them.
//
//   Task<> serve(Group& group, Channel<int>* requests) {
//     for (int i = 0; i < 4; ++i) group.spawn(work(requests), {"worker", i + 1});
//     co_return;
//   }
//   co_await with_group(serve, &requests);   // back when every worker has ended
//
// A child that ends with a fault cancels its siblings, and the group ends with that fault: nothing is lost, nothing is
// left running. When the awaiting strand is cancelled, so are the children, and the group still waits for their ends.
//
// Which thread resumes: the awaiting task goes on in its own loop, a child in the loop that it was given. That is the
// group's loop unless `worker` says otherwise. A Group belongs to the thread of its loop.
#pragma once

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/runtime/async.h"

namespace lockstep::runtime {

/// The workers of one runtime::run(): their loops and their observer.
class Workers;

class Group : debugging::CoroutineGroup {
 public:
  /// `owner`: the strand that will await join(). The runtime's observer is told the names of children that have not
  /// ended `grace` after a cancel.
  explicit Group(Strand& owner, Nanos grace = std::chrono::seconds(1)) noexcept;
  /// Nobody runs any more.
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// Begins `task` when its loop comes to it. In a group that was cancelled it ends at its first wait. `worker`: the
  /// worker that it is pinned to; -1 = the group's.
  void spawn(Task<> task, Name name = {"child", 0}, int worker = -1);
  /// Every child's wait ends with `why`. Later calls are of no effect.
  void cancel(Fault why = Fault::cancelled) noexcept;
  /// The children that have not ended.
  std::size_t running() const noexcept { return running_; }
  /// The first fault of a child or of fail(); not those of children that a cancel ended.
  const std::optional<Error>& failure() const noexcept { return failure_; }
  /// Something went wrong: cancels the children; the first such is what the group ends with.
  void fail(const Error& why) noexcept;

  /// `co_await group.join()`: until every child has ended. A cancel of the awaiting strand cancels the children.
  class [[nodiscard]] Join final : public Wait {
   public:
    explicit Join(Group& group) noexcept : group_(group) {}
    void await_resume() const noexcept {}
    void cancel(Fault why) noexcept override { group_.cancel(why); }
    const char* doing() const noexcept override { return "waiting for its children"; }

   private:
    friend class Group;
    bool queue() noexcept override;
    bool is_cleanup() const noexcept override { return true; }
    Group& group_;
  };
  Join join() noexcept { return Join(*this); }

 private:
  struct Child;
  struct Overdue final : Timer {
    explicit Overdue(Group& g) noexcept : group(g) {}
    void fire() noexcept override { group.name_the_late(); }
    Group& group;
  };
  void ended(Child& child) noexcept;
  void name_the_late() noexcept;

  Strand& owner_;
  const Nanos grace_;
  Overdue overdue_{*this};
  std::size_t running_ = 0;
  std::optional<Fault> cancelled_with_;
  std::optional<Error> failure_;
  Join* joining_ = nullptr;
};

/// Runs `body(group, args...)`, then waits for every child. Ends with the first fault of the body or of a child. `body`
/// is a function (or a lambda that captures nothing); arguments are copied.
template <class Body, class... Args>
Task<> with_group(Body body, Args... args) {
  Strand& self = co_await this_strand();
  Group group(self);
  const Result<void> ended = co_await tried(body(group, args...));
  if (!ended.ok()) group.fail(ended.error());
  co_await group.join();
  if (group.failure()) co_await fail(*group.failure());
  if (self.is_cancelled()) co_await fail(self.cancelled_with(), "cancelled while its children ran");
}

namespace detail {

template <class T>
Task<> keep(Task<T> task, std::optional<T>* into) {
  T value = co_await std::move(task);
  into->emplace(std::move(value));
}

template <class T>
struct Race {
  std::optional<Result<T>> result;
  std::size_t winner = 0;
  Group* group = nullptr;
};

template <class T>
Task<> run_in_race(Task<T> task, Race<T>* race, std::size_t index) {
  Result<T> ended = co_await tried(std::move(task));
  if (race->result) co_return;
  race->winner = index;
  race->result.emplace(std::move(ended));
  race->group->cancel();
}

/// Cancels a group at a moment.
class Deadline final : Timer {
 public:
  Deadline(Loop& loop, Group& group, Nanos span, Fault why) noexcept : loop_(loop), group_(group), why_(why) {
    if (span != kNever) loop.timers().set(*this, loop.now() + span);
  }
  ~Deadline() { loop_.timers().cancel(*this); }
  bool has_passed() const noexcept { return passed_; }

 private:
  void fire() noexcept override {
    passed_ = true;
    group_.cancel(why_);
  }
  Loop& loop_;
  Group& group_;
  const Fault why_;
  bool passed_ = false;
};

Error deadline_passed(Fault why, Nanos span, Name who);

}  // namespace detail

/// All of them at once; back when every one has ended. The first fault cancels the others and is what it ends with.
inline Task<> when_all(std::vector<Task<>> tasks) {
  Strand& self = co_await this_strand();
  Group group(self);
  for (std::size_t i = 0; i < tasks.size(); ++i)
    group.spawn(std::move(tasks[i]), {"part", static_cast<std::uint32_t>(i + 1)});
  co_await group.join();
  if (group.failure()) co_await fail(*group.failure());
  if (self.is_cancelled()) co_await fail(self.cancelled_with(), "cancelled while its parts ran");
}

/// when_all() for tasks with values: gives these in the order of the tasks.
template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> kept(tasks.size());
  std::vector<Task<>> keeping;
  for (std::size_t i = 0; i < tasks.size(); ++i) keeping.push_back(detail::keep(std::move(tasks[i]), &kept[i]));
  co_await when_all(std::move(keeping));
  std::vector<T> values;
  for (std::optional<T>& each : kept) values.push_back(std::move(*each));
  co_return values;
}

/// The first of them to end, by its index and how it ended; the others are cancelled and waited for.
template <class T>
Task<std::pair<std::size_t, Result<T>>> when_any(std::vector<Task<T>> tasks) {
  Strand& self = co_await this_strand();
  Group group(self);
  detail::Race<T> race;
  race.group = &group;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    group.spawn(detail::run_in_race(std::move(tasks[i]), &race, i), {"rival", static_cast<std::uint32_t>(i + 1)});
  co_await group.join();
  if (self.is_cancelled()) co_await fail(self.cancelled_with(), "cancelled while its rivals ran");
  if (!race.result) co_await fail(Fault::invalid, "when_any() of nobody");
  co_return std::pair<std::size_t, Result<T>>(race.winner, std::move(*race.result));
}

/// `task`, cancelled when it has not ended within `span`: then this ends with `why`, once the task has.
template <class T>
Task<T> within(Nanos span, Task<T> task, Name name = {"task", 0}, Fault why = Fault::statement_timeout,
               Nanos grace = std::chrono::seconds(1)) {
  Strand& self = co_await this_strand();
  Group group(self, grace);
  detail::Race<T> race;
  race.group = &group;
  bool passed = false;
  {
    const detail::Deadline deadline(self.loop(), group, span, why);
    group.spawn(detail::run_in_race(std::move(task), &race, 0), name);
    co_await group.join();
    passed = deadline.has_passed();
  }
  if (self.is_cancelled()) co_await fail(self.cancelled_with(), "cancelled while it had a deadline");
  if (!race.result->ok()) {
    Error ended = race.result->error();  // not a ?: inside co_await, which g++ 12 miscompiles
    if (passed) ended = detail::deadline_passed(why, span, name);
    co_await fail(std::move(ended));
  }
  if constexpr (!std::is_void_v<T>) co_return std::move(**race.result);
}

}  // namespace lockstep::runtime
