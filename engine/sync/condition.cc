// condition.cc: waiting for a notification, and giving one.
#include "engine/sync/condition.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "kv/base/check.h"

namespace lockstep::sync {

CondVar::~CondVar() {
  GateLock lock(gate_);
  LOCKSTEP_CHECK(waiters_.empty(), "the condition {} is destroyed while {} waits in it", name_,
                 waiters_.front()->actor().name);
}

std::size_t CondVar::waiters() const {
  GateLock lock(gate_);
  return waiters_.size();
}

WaitOperation::~WaitOperation() {
  {
    GateLock lock(condition_.gate_);
    if (stage_ == Stage::waiting) {
      std::erase(condition_.waiters_, this);
      stage_ = Stage::withdrawn;
    }
  }
  if (stage_ == Stage::notified) core_->abandon(request_, actor());
}

bool WaitOperation::attempt() {
  touch(actor(), condition_.name(), Touch::changes);
  Stage stage;
  {
    GateLock lock(condition_.gate_);
    stage = stage_;
  }
  switch (stage) {
    case Stage::withdrawn:
    case Stage::done:
      return true;
    case Stage::waiting:
      return false;
    case Stage::notified:
      asked_ = true;
      if (!core_->acquire(request_, *this)) return false;
      stage_ = Stage::done;
      guard_ = Guard(*core_, actor(), LockMode::exclusive);
      return true;
    case Stage::idle:
      break;
  }
  if (core_ == nullptr || guard_.mode() != LockMode::exclusive) {
    stage_ = Stage::done;
    error = Error{
        Fault::invalid, {}, fmt::format("{} waits for {} without holding its mutex", actor().name, condition_.name())};
    return true;
  }
  waiting_.deadline = actor().run.clock().after(limit_);
  if (Footprint* const footprint = actor().run.footprint) footprint->queue_matters(core_->name());
  {
    // First in the list, then without the mutex: no notification can come between.
    GateLock lock(condition_.gate_);
    condition_.waiters_.push_back(this);
    stage_ = Stage::waiting;
  }
  guard_.reset();
  return false;
}

void WaitOperation::cancel(Fault why) {
  touch(actor(), condition_.name(), Touch::changes);
  touch_wait_given_up(actor());
  {
    GateLock lock(condition_.gate_);
    if (stage_ == Stage::waiting) {
      std::erase(condition_.waiters_, this);
      stage_ = Stage::withdrawn;
    }
  }
  if (stage_ == Stage::notified && core_->withdraw(request_)) stage_ = Stage::withdrawn;
  if (stage_ != Stage::withdrawn) return;
  error = Error{why, {}, fmt::format("{} gave up waiting for {}", actor().name, condition_.name())};
}

std::vector<Blocker> WaitOperation::blockers() {
  {
    GateLock lock(condition_.gate_);
    if (stage_ != Stage::notified) return {};
  }
  return core_->blockers(request_);
}

bool WaitOperation::block(Actor& actor, Nanos span) {
  {
    GateLock lock(condition_.gate_);
    if (stage_ == Stage::waiting) {
      condition_.gate_.sleep(std::min(span, kBlockSlice));
      if (stage_ == Stage::waiting) return false;
    }
  }
  // At large nobody but this thread asks for the mutex.
  if (regime_of(actor) == Regime::threads_at_large && !asked_) return true;
  return core_->block(request_, span);
}

Description WaitOperation::describe() const {
  return {.verb = "wait",
          .object = condition_.name(),
          .detail = core_ == nullptr ? std::string() : fmt::format("gives {} back", core_->name())};
}

std::string WaitOperation::answer() const { return fmt::format("notified, holds {}", core_->name()); }

bool NotifyOperation::attempt() {
  touch(actor(), condition_.name(), Touch::changes);
  GateLock lock(condition_.gate_);
  std::vector<WaitOperation*>& waiters = condition_.waiters_;
  const std::size_t count = all_ ? waiters.size() : std::min<std::size_t>(waiters.size(), 1);
  const bool at_large = regime_of(actor()) == Regime::threads_at_large;
  for (std::size_t i = 0; i < count; ++i) {
    WaitOperation& waiter = *waiters[i];
    woken_ += fmt::format("{}{}", i == 0 ? "notified " : ", ", waiter.actor().name);
    waiter.stage_ = WaitOperation::Stage::notified;
    if (!at_large) waiter.core_->enqueue(waiter.request_, waiter);
  }
  waiters.erase(waiters.begin(), waiters.begin() + static_cast<std::ptrdiff_t>(count));
  if (count == 0) woken_ = "nobody waits: the notification is lost";
  condition_.gate_.notify_all();
  return true;
}

Description NotifyOperation::describe() const {
  return {.verb = all_ ? "notify_all" : "notify_one", .object = condition_.name(), .detail = {}};
}

}  // namespace lockstep::sync
