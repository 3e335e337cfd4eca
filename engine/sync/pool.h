// pool.h: a pool of workers, the jobs that it is given, and their futures.
//
//   struct Server { sync::Pool pool{"pool"}; };
//
//   Task<> worker(Context& c) { co_await c.world<Server>().pool.work(c); }       // an actor for each worker
//
//   Task<> add_up(Context& c, int rows);                                          // a job: with the worker's own
//   session
//
//   Task<> client(Context& c) {
//     sync::Pool& pool = c.world<Server>().pool;
//     sync::Future total = co_await pool.submit("total", add_up, 10);
//     co_await total.get();
//     co_await pool.close();                                                    // the workers end
//   }
//
// It is known whom a future is waited for: the worker that runs its job or, while the job is queued, any worker of the
// pool. So a job that waits for another job of its own, full pool shows as a circle.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/actor/operation.h"
#include "kv/base/mutex.h"

namespace lockstep {

struct Context;

namespace sync {

class Pool;

/// One job: what its future and its pool share. Guarded by Pool::mutex_.
struct PoolJob {
  enum class Stage : std::uint8_t { queued, running, ended };

  std::string name;
  std::function<Task<>(Context&)> body;
  Stage stage = Stage::queued;
  int worker = -1;  ///< the actor that runs it
  std::optional<Error> fault = {};
  std::vector<Operation*> waiters = {};
};

/// Waits for a job. Ends the task with the fault that ended the job.
class [[nodiscard]] FutureOperation final : public AwaitableOperation {
 public:
  FutureOperation(Pool& pool, std::shared_ptr<PoolJob> job) : pool_(pool), job_(std::move(job)) {}
  ~FutureOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override;
  Description describe() const override { return {.verb = "get", .object = job_->name, .detail = {}}; }
  void await_resume() const noexcept {}

 private:
  Pool& pool_;
  const std::shared_ptr<PoolJob> job_;
  Waiting waiting_;
  bool waits_ = false;
};

/// The result of a job that comes. A value; copies are of the same job. Not beyond the life of the pool.
class Future {
 public:
  Future(Pool& pool, std::shared_ptr<PoolJob> job) : pool_(&pool), job_(std::move(job)) {}
  FutureOperation get() const { return {*pool_, job_}; }

 private:
  Pool* pool_;
  std::shared_ptr<PoolJob> job_;
};

/// Queues a job; never waits. Fault::invalid: the pool is closed.
class [[nodiscard]] SubmitOperation final : public AwaitableOperation {
 public:
  SubmitOperation(Pool& pool, std::string name, std::function<Task<>(Context&)> body);

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  Future await_resume() const { return {pool_, job_}; }

 private:
  Pool& pool_;
  const std::shared_ptr<PoolJob> job_;
  Waiting waiting_;
};

/// Waits for a job or for the end of the pool. Gives the job, or nothing when there will be none.
class [[nodiscard]] TakeOperation final : public AwaitableOperation {
 public:
  explicit TakeOperation(Pool& pool) : pool_(pool) {}
  ~TakeOperation();

  bool attempt() override;
  void cancel(Fault why) override;
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  std::string answer() const override { return job_ ? job_->name : std::string("the pool is closed"); }
  std::shared_ptr<PoolJob> await_resume() { return std::move(job_); }

 private:
  Pool& pool_;
  std::shared_ptr<PoolJob> job_;
  Waiting waiting_;
  bool waits_ = false;
};

/// Says that a job has ended, and how.
class [[nodiscard]] EndJobOperation final : public AwaitableOperation {
 public:
  EndJobOperation(Pool& pool, std::shared_ptr<PoolJob> job, std::optional<Error> fault)
      : pool_(pool), job_(std::move(job)), fault_(std::move(fault)) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  void await_resume() const noexcept {}

 private:
  Pool& pool_;
  const std::shared_ptr<PoolJob> job_;
  const std::optional<Error> fault_;
  Waiting waiting_;
};

/// No job comes any more: workers end when the queue is empty.
class [[nodiscard]] CloseOperation final : public AwaitableOperation {
 public:
  explicit CloseOperation(Pool& pool) : pool_(pool) {}

  bool attempt() override;
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override;
  void await_resume() const noexcept {}

 private:
  Pool& pool_;
  Waiting waiting_;
};

/// Jobs in the order of their coming, for the actors that work(). Thread-safe; `mutex_` is a leaf but for
/// Operation::wake(). Outlives its operations and futures; neither copied nor moved.
class Pool {
 public:
  explicit Pool(std::string name) : name_(std::move(name)) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// What a worker does: job after job, in the order of the queue, until the pool is closed and the queue empty. A
  /// fault of a job goes to those who wait for it, and ends no worker.
  Task<> work(Context& c);
  /// `name`: of the job, for people. The job is run by whichever worker takes it, as part of its body and with its
  /// session. Arguments are copied.
  template <class... Args>
  SubmitOperation submit(std::string name, Task<> (*job)(Context&, Args...), std::type_identity_t<Args>... args) {
    return {*this, std::move(name), [job, ... args = std::move(args)](Context& c) { return job(c, args...); }};
  }
  CloseOperation close() { return CloseOperation(*this); }

 private:
  friend class FutureOperation;
  friend class SubmitOperation;
  friend class TakeOperation;
  friend class EndJobOperation;
  friend class CloseOperation;

  void wake_idle() LOCKSTEP_REQUIRES(mutex_);

  const std::string name_;
  ::lockstep::Mutex mutex_;
  std::deque<std::shared_ptr<PoolJob>> queue_ LOCKSTEP_GUARDED_BY(mutex_);
  std::vector<Operation*> idle_ LOCKSTEP_GUARDED_BY(mutex_);  ///< workers that wait for a job, the longest first
  std::set<int> workers_ LOCKSTEP_GUARDED_BY(mutex_);         ///< actors that have asked for a job
  bool closed_ LOCKSTEP_GUARDED_BY(mutex_) = false;
};

}  // namespace sync
}  // namespace lockstep
