// semaphore.cc: permits, first come, first served.
#include "engine/sync/semaphore.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/sync/lock_core.h"
#include "kv/base/check.h"

namespace lockstep::sync {

Semaphore::Semaphore(std::string name, int available, Permits permits)
    : name_(std::move(name)), permits_(permits), available_(available) {
  LOCKSTEP_CHECK(available >= 0, "the semaphore {} begins with {} permits", name_, available);
}

Semaphore::~Semaphore() {
  GateLock lock(gate_);
  LOCKSTEP_CHECK(queue_.empty(), "the semaphore {} is destroyed while {} waits for it", name_,
                 queue_.front()->actor().name);
}

int Semaphore::available() const {
  GateLock lock(gate_);
  return available_;
}

void Semaphore::take(AcquireOperation& operation) {
  available_ -= operation.permits_;
  if (permits_ == Permits::owned) taken_[operation.actor().index] += operation.permits_;
  operation.stage_ = AcquireOperation::Stage::granted;
}

void Semaphore::serve() {
  while (!queue_.empty() && queue_.front()->permits_ <= available_) {
    AcquireOperation& first = *queue_.front();
    if (first.is_woken())
      return;  // by a deadline or a stop: it is about to leave the queue, which serves those behind it
    queue_.erase(queue_.begin());
    take(first);
    first.wake();
  }
}

AcquireOperation::~AcquireOperation() {
  if (!waiting_began_) return;
  GateLock lock(semaphore_.gate_);
  if (stage_ != Stage::queued) return;
  std::erase(semaphore_.queue_, this);
  semaphore_.serve();
}

bool AcquireOperation::attempt() {
  touch(actor(), semaphore_.name(), Touch::changes);
  if (permits_ < 0) {
    error =
        Error{Fault::invalid, {}, fmt::format("{} asks {} for {} permits", actor().name, semaphore_.name(), permits_)};
    return true;
  }
  GateLock lock(semaphore_.gate_);
  if (stage_ == Stage::idle) {
    if (semaphore_.queue_.empty() && permits_ <= semaphore_.available_) {
      semaphore_.take(*this);
    } else if (!waits_) {
      stage_ = Stage::refused;
    } else {
      waiting_.deadline = actor().run.clock().after(limit_);
      waiting_began_ = true;
      touch_wait_begun(actor());
      semaphore_.queue_.push_back(this);
      stage_ = Stage::queued;
    }
  }
  return stage_ != Stage::queued;
}

void AcquireOperation::cancel(Fault why) {
  touch(actor(), semaphore_.name(), Touch::changes);
  touch_wait_given_up(actor());
  GateLock lock(semaphore_.gate_);
  if (stage_ != Stage::queued) return;
  std::erase(semaphore_.queue_, this);
  stage_ = Stage::refused;
  semaphore_.serve();
  semaphore_.gate_.notify_all();
  error = Error{why, {}, fmt::format("{} gave up waiting for {}", actor().name, semaphore_.name())};
}

std::vector<Blocker> AcquireOperation::blockers() {
  GateLock lock(semaphore_.gate_);
  std::vector<Blocker> found;
  if (stage_ != Stage::queued) return found;
  const auto add = [&](int who, std::string what) {
    found.push_back({.actor = who, .object = semaphore_.name_, .what = std::move(what), .any = true});
  };
  if (permits_ <= semaphore_.available_) {
    add(semaphore_.queue_.front()->actor().index, "queued ahead");
    return found;
  }
  for (const auto& [who, permits] : semaphore_.taken_) {
    if (permits > 0 && who != actor().index) add(who, fmt::format("{} permit{}", permits, permits == 1 ? "" : "s"));
  }
  const auto own = semaphore_.taken_.find(actor().index);
  if (found.empty() && own != semaphore_.taken_.end() && own->second > 0) add(actor().index, "its own permits");
  return found;
}

bool AcquireOperation::block(Actor&, Nanos span) {
  GateLock lock(semaphore_.gate_);
  if (stage_ == Stage::queued) semaphore_.gate_.sleep(std::min(span, kBlockSlice));
  return stage_ != Stage::queued;
}

Description AcquireOperation::describe() const {
  return {.verb = waits_ ? "acquire" : "try_acquire",
          .object = semaphore_.name(),
          .detail = permits_ == 1 ? std::string() : fmt::format("{} permits", permits_)};
}

std::string AcquireOperation::answer() const { return stage_ == Stage::granted ? std::string() : "not obtained"; }

bool ReleaseOperation::attempt() {
  touch(actor(), semaphore_.name(), Touch::changes);
  if (permits_ < 0) {
    error = Error{
        Fault::invalid, {}, fmt::format("{} gives {} back {} permits", actor().name, semaphore_.name(), permits_)};
    return true;
  }
  GateLock lock(semaphore_.gate_);
  if (semaphore_.permits_ == Semaphore::Permits::owned) {
    int& own = semaphore_.taken_[actor().index];
    if (own < permits_) {
      error =
          Error{Fault::invalid,
                {},
                fmt::format("{} gives {} back {} permits, but has {}", actor().name, semaphore_.name(), permits_, own)};
      return true;
    }
    own -= permits_;
  }
  semaphore_.available_ += permits_;
  semaphore_.serve();
  semaphore_.gate_.notify_all();
  return true;
}

Description ReleaseOperation::describe() const {
  return {.verb = "release",
          .object = semaphore_.name(),
          .detail = permits_ == 1 ? std::string() : fmt::format("{} permits", permits_)};
}

}  // namespace lockstep::sync
