// pool.cc: the queue of jobs, those who take from it, and those who wait for what becomes of one.
#include "engine/sync/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"

namespace lockstep::sync {

Task<> Pool::work(Context& c) {
  for (;;) {
    const std::shared_ptr<PoolJob> job = co_await TakeOperation(*this);
    if (job == nullptr) co_return;
    Result<void> ended = co_await tried(job->body(c));
    std::optional<Error> fault;
    if (!ended.ok()) fault = std::move(ended.error());
    EndJobOperation end(*this, job, std::move(fault));
    co_await end;
  }
}

/// Wakes every idle worker. The one that looks first takes the job, and the others wait on.
void Pool::wake_idle() {
  for (Operation* const each : idle_) each->wake();
}

// -- submit --

SubmitOperation::SubmitOperation(Pool& pool, std::string name, std::function<Task<>(Context&)> body)
    : pool_(pool), job_(std::make_shared<PoolJob>(PoolJob{.name = std::move(name), .body = std::move(body)})) {}

bool SubmitOperation::attempt() {
  touch(actor(), pool_.name(), Touch::changes);
  MutexLock lock(pool_.mutex_);
  if (pool_.closed_) {
    error = Error{
        Fault::invalid, {}, fmt::format("{} gives {} to {}, which is closed", actor().name, job_->name, pool_.name())};
    return true;
  }
  pool_.queue_.push_back(job_);
  pool_.wake_idle();
  return true;
}

Description SubmitOperation::describe() const {
  return {.verb = "submit", .object = pool_.name(), .detail = job_->name};
}

// -- take --

TakeOperation::~TakeOperation() {
  if (!waits_) return;
  MutexLock lock(pool_.mutex_);
  std::erase(pool_.idle_, static_cast<Operation*>(this));
}

bool TakeOperation::attempt() {
  if (error) return true;
  touch(actor(), pool_.name(), Touch::changes);
  MutexLock lock(pool_.mutex_);
  pool_.workers_.insert(actor().index);
  if (pool_.queue_.empty() && !pool_.closed_) {
    if (!waits_) {
      touch_wait_begun(actor());
      pool_.idle_.push_back(this);
    }
    waits_ = true;
    return false;
  }
  if (std::exchange(waits_, false)) std::erase(pool_.idle_, static_cast<Operation*>(this));
  if (pool_.queue_.empty()) return true;
  job_ = std::move(pool_.queue_.front());
  pool_.queue_.pop_front();
  job_->stage = PoolJob::Stage::running;
  job_->worker = actor().index;
  return true;
}

void TakeOperation::cancel(Fault why) {
  touch(actor(), pool_.name(), Touch::changes);
  touch_wait_given_up(actor());
  MutexLock lock(pool_.mutex_);
  if (!std::exchange(waits_, false)) return;
  std::erase(pool_.idle_, static_cast<Operation*>(this));
  error = Error{why, {}, fmt::format("{} gave up waiting for a job of {}", actor().name, pool_.name())};
}

Description TakeOperation::describe() const { return {.verb = "take", .object = pool_.name(), .detail = {}}; }

// -- the end of a job --

bool EndJobOperation::attempt() {
  touch(actor(), pool_.name(), Touch::changes);
  MutexLock lock(pool_.mutex_);
  job_->stage = PoolJob::Stage::ended;
  job_->fault = fault_;
  for (Operation* const each : job_->waiters) each->wake();
  return true;
}

Description EndJobOperation::describe() const {
  return {
      .verb = "end_job", .object = job_->name, .detail = fault_ ? std::string(name_of(fault_->fault)) : std::string()};
}

// -- get --

FutureOperation::~FutureOperation() {
  if (!waits_) return;
  MutexLock lock(pool_.mutex_);
  std::erase(job_->waiters, static_cast<Operation*>(this));
}

bool FutureOperation::attempt() {
  if (error) return true;
  touch(actor(), pool_.name(), Touch::changes);
  MutexLock lock(pool_.mutex_);
  if (job_->stage != PoolJob::Stage::ended) {
    if (!waits_) {
      touch_wait_begun(actor());
      job_->waiters.push_back(this);
    }
    waits_ = true;
    return false;
  }
  if (std::exchange(waits_, false)) std::erase(job_->waiters, static_cast<Operation*>(this));
  error = job_->fault;
  return true;
}

void FutureOperation::cancel(Fault why) {
  touch(actor(), pool_.name(), Touch::changes);
  touch_wait_given_up(actor());
  MutexLock lock(pool_.mutex_);
  if (!waits_ || job_->stage == PoolJob::Stage::ended) return;
  waits_ = false;
  std::erase(job_->waiters, static_cast<Operation*>(this));
  error = Error{why, {}, fmt::format("{} gave up waiting for {}", actor().name, job_->name)};
}

std::vector<Blocker> FutureOperation::blockers() {
  MutexLock lock(pool_.mutex_);
  std::vector<Blocker> found;
  if (job_->stage == PoolJob::Stage::running) {
    found.push_back({.actor = job_->worker, .object = job_->name, .what = "runs it"});
  } else if (job_->stage == PoolJob::Stage::queued) {
    for (const int worker : pool_.workers_) {
      found.push_back({.actor = worker, .object = job_->name, .what = "queued in " + pool_.name(), .any = true});
    }
  }
  return found;
}

// -- close --

bool CloseOperation::attempt() {
  touch(actor(), pool_.name(), Touch::changes);
  MutexLock lock(pool_.mutex_);
  pool_.closed_ = true;
  pool_.wake_idle();
  return true;
}

Description CloseOperation::describe() const { return {.verb = "close", .object = pool_.name(), .detail = {}}; }

}  // namespace lockstep::sync
