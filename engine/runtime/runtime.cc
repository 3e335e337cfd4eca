// runtime.cc: workers, groups' children, and the two ways out of a loop.
#include "engine/runtime/runtime.h"

#include <fmt/format.h>

#include <deque>

namespace lockstep::runtime {
namespace {

thread_local Workers* workers_of_thread = nullptr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // what is used again is not missed by anybody
#else
constexpr bool kSanitized = false;
#endif

/// Memory of children that have ended, for the next ones of the thread. A group makes and frees all its children in one
/// thread, often a thousand at once, and malloc is only quick for a handful.
template <std::size_t kBytes>
class Spares {
 public:
  static Spares& of_thread() noexcept {
    thread_local Spares spares;
    return spares;
  }
  void* take() {
    if (kSanitized || first_ == nullptr) return ::operator new(kBytes);
    --count_;
    return std::exchange(first_, first_->next);
  }
  void give_back(void* memory) noexcept {
    if (kSanitized || count_ == kMost) {
      ::operator delete(memory);
    } else {
      ++count_;
      first_ = new (memory) Spare{first_};
    }
  }
  ~Spares() {
    while (first_ != nullptr) ::operator delete(std::exchange(first_, first_->next));
  }

 private:
  struct Spare {
    Spare* next;
  };
  static constexpr int kMost = 1024;
  Spare* first_ = nullptr;
  int count_ = 0;
};

}  // namespace

// -- workers --

Workers* Workers::current() noexcept { return workers_of_thread; }

Workers::Workers(const RunOptions& options) : options_(options) {
  LOCKSTEP_CHECK(options.workers >= 1, "{} workers", options.workers);
  for (int i = 0; i < options.workers; ++i) loops_.push_back(std::make_unique<Loop>(i));
  root_.emplace(*loops_.front(), Name{"root"});
  roots_.add(*root_);
}

Workers::~Workers() = default;

void Workers::run_to_end(lockstep::detail::PromiseBase& root, std::coroutine_handle<> handle) {
  struct Root final : Job, lockstep::detail::Continuation {
    Root(Strand& s, lockstep::detail::PromiseBase& p, std::coroutine_handle<> h) : strand(s), promise(p), task(h) {}
    void run() noexcept override {
      strand.loop().entered(strand.name());
      task.resume();
      if (promise.finished_else_notify()) on_child_finished();
    }
    void on_child_finished() noexcept override { strand.loop().stop(); }
    Strand& strand;
    lockstep::detail::PromiseBase& promise;
    const std::coroutine_handle<> task;
  };
  Root job(*root_, root, handle);
  root.strand = &*root_;
  root.continuation = &job;

  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < loops_.size(); ++i) {
    threads.emplace_back([this, i] {
      workers_of_thread = this;
      loops_[i]->run();
    });
  }
  std::atomic<bool> over{false};
  if (options_.observer != nullptr) threads.emplace_back([this, &over] { watch_over(over); });

  Workers* const outer = std::exchange(workers_of_thread, this);
  loops_.front()->post(job);
  loops_.front()->run();
  workers_of_thread = outer;

  over.store(true, std::memory_order_relaxed);
  for (std::size_t i = 1; i < loops_.size(); ++i) loops_[i]->stop();
  for (std::thread& thread : threads) thread.join();
}

void Workers::watch_over(const std::atomic<bool>& over) {
  Watchdog watchdog(options_.blocked_after);
  const Nanos between = std::min<Nanos>(options_.blocked_after / 4 + Nanos(1), std::chrono::milliseconds(5));
  while (!over.load(std::memory_order_relaxed)) {
    std::this_thread::sleep_for(between);
    for (const auto& loop : loops_) {
      if (const std::optional<Blocked> blocked = watchdog.look(*loop)) options_.observer->on_blocked(*blocked);
    }
  }
}

// -- groups --

/// A child: its strand, its task, and its place in the group. It runs as a job twice: in its own loop, where it begins,
/// and once it has ended in the group's, which frees it. (Within one loop the end needs no job.)
struct Group::Child final : Strand, Job, lockstep::detail::Continuation {
  Child(Group& g, Loop& loop, Name name, Task<> t) noexcept : Strand(loop, name), group(g), task(std::move(t)) {}

  static void* operator new(std::size_t) { return Spares<sizeof(Child)>::of_thread().take(); }
  static void operator delete(void* memory) noexcept { Spares<sizeof(Child)>::of_thread().give_back(memory); }

  void run() noexcept override {
    if (has_begun) {
      group.ended(*this);
    } else {
      begin();
    }
  }

  /// In the child's loop.
  void begin() noexcept {
    has_begun = true;
    loop().entered(name());
    auto& promise = task.handle().promise();
    promise.strand = this;
    promise.continuation = this;
    task.handle().resume();
    if (promise.finished_else_notify()) on_child_finished();
  }

  void on_child_finished() noexcept override {
    // A cancel that is on its way from the group's loop comes first: it runs in this thread.
    State running = State::running;
    if (state.compare_exchange_strong(running, State::ended, std::memory_order_acq_rel)) {
      tell();
    } else {
      ended_before_cancel = true;
    }
  }

  void tell() noexcept {
    if (&loop() == &group.owner_.loop()) {
      group.ended(*this);
    } else {
      group.owner_.loop().post(*this);
    }
  }

  /// In the group's loop.
  void stop(Fault why) noexcept {
    if (&loop() == &group.owner_.loop()) {
      Strand::cancel(why);
      return;
    }
    State running = State::running;
    if (!state.compare_exchange_strong(running, State::cancel_on_its_way, std::memory_order_acq_rel)) return;
    cancelling.why = why;
    loop().post(cancelling);
  }

  struct Cancel final : Job {
    explicit Cancel(Child& c) noexcept : child(c) {}
    void run() noexcept override {
      child.state.store(State::running, std::memory_order_release);
      if (child.ended_before_cancel) {
        child.tell();
      } else {
        child.cancel(why);
      }
    }
    Child& child;
    Fault why = Fault::cancelled;
  };
  enum class State : std::uint8_t { running, cancel_on_its_way, ended };

  Group& group;
  Task<> task;
  Cancel cancelling{*this};
  std::atomic<State> state{State::running};
  bool has_begun = false;
  bool ended_before_cancel = false;  // the child's thread alone
};

Group::Group(Strand& owner, Nanos grace) noexcept : owner_(owner), grace_(grace) {
  next = owner.groups;
  if (next != nullptr) next->previous = this;
  owner.groups = this;
}

Group::~Group() {
  LOCKSTEP_CHECK(running_ == 0, "a group is left with {} children running: co_await group.join()", running_);
  (previous == nullptr ? owner_.groups : previous->next) = next;
  if (next != nullptr) next->previous = previous;
}

void Group::spawn(Task<> task, Name name, int worker) {
  Loop* loop = &owner_.loop();
  if (worker >= 0 && worker != loop->index()) {
    Workers* const workers = Workers::current();
    LOCKSTEP_CHECK(workers != nullptr && worker < workers->size(), "there is no worker {}", worker);
    loop = &workers->loop(worker);
  }
  auto* const child = new Child(*this, *loop, name, std::move(task));
  add(*child);
  ++running_;
  if (cancelled_with_) child->cancel(*cancelled_with_);
  loop->post(*child);
}

void Group::cancel(Fault why) noexcept {
  if (cancelled_with_) return;
  cancelled_with_ = why;
  if (running_ > 0) owner_.loop().timers().set(overdue_, owner_.loop().now() + grace_);
  for (debugging::Coroutine* child = first; child != nullptr;) {
    debugging::Coroutine* const after = child->next;
    static_cast<Child*>(child)->stop(why);
    child = after;
  }
}

void Group::fail(const Error& why) noexcept {
  if (!failure_) failure_ = why;
  cancel();
}

void Group::ended(Child& child) noexcept {
  const std::unique_ptr<Child> owned(&child);
  remove(child);
  --running_;
  const std::optional<Error>& error = child.task.handle().promise().error;
  if (error && !cancelled_with_) fail(*error);
  if (running_ > 0) return;
  owner_.loop().timers().cancel(overdue_);
  if (joining_ != nullptr) std::exchange(joining_, nullptr)->complete();
}

void Group::name_the_late() noexcept {
  Workers* const workers = Workers::current();
  if (workers == nullptr || workers->observer() == nullptr) return;
  for (const debugging::Coroutine* child = first; child != nullptr; child = child->next) {
    workers->observer()->on_overdue({child->label, child->number}, grace_);
  }
}

bool Group::Join::queue() noexcept {
  if (strand().is_cancelled()) group_.cancel(strand().cancelled_with());
  if (group_.running_ == 0) return false;
  group_.joining_ = this;
  return true;
}

Error detail::deadline_passed(Fault why, Nanos span, Name who) {
  return {why,
          {},
          fmt::format("{} had {} ms and was not done", to_string(who),
                      std::chrono::duration_cast<std::chrono::milliseconds>(span).count())};
}

// -- helpers --

namespace {

/// Threads for calls that block. They are made as they are needed and end with the program.
class Helpers {
 public:
  static Helpers& all() {
    static Helpers helpers;
    return helpers;
  }
  ~Helpers() {
    {
      MutexLock lock(mutex_);
      over_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void give(Job& job) {
    MutexLock lock(mutex_);
    jobs_.push_back(&job);
    if (idle_ < jobs_.size() && threads_.size() < kHelpers) threads_.emplace_back([this] { work(); });
    changed_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      Job* job = nullptr;
      {
        MutexLock lock(mutex_);
        ++idle_;
        while (jobs_.empty() && !over_) changed_.wait(mutex_);
        --idle_;
        if (jobs_.empty()) return;
        job = jobs_.front();
        jobs_.pop_front();
      }
      job->run();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<Job*> jobs_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t idle_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  bool over_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // grown under mutex_; joined when nobody gives any more
};

}  // namespace

void detail::give_to_helper(Job& job) { Helpers::all().give(job); }

}  // namespace lockstep::runtime
