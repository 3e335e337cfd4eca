// lock.cc: the steps that take, convert and give back a lock.
#include "engine/sync/lock.h"

#include <fmt/format.h>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "kv/base/check.h"

namespace lockstep::sync {
namespace {

double in_ms(Nanos span) { return std::chrono::duration<double, std::milli>(span).count(); }

std::string at_most(Nanos limit) {
  return limit == kNever ? std::string() : fmt::format("at most {} ms", in_ms(limit));
}

Error gave_up(Fault why, const Actor& actor, const LockCore& core, Nanos limit) {
  if (!actor.run.recording) return {why, {}, {}};  // a search, which asks no text of its many runs
  std::string after = why == Fault::lock_timeout ? fmt::format(" after {} ms", in_ms(limit)) : std::string();
  return {why, {}, fmt::format("{} gave {} up{}; it is {}", actor.name, core.name(), after, core.held_by())};
}

}  // namespace

void Guard::reset() noexcept {
  LockCore* const core = std::exchange(core_, nullptr);
  if (core == nullptr) return;
  actor_->emit({.kind = record::EventKind::release, .verb = "unlock", .object = core->name()});
  core->release(*actor_, mode_);
}

// -- lock --

LockOperation::~LockOperation() {
  if (obtained_) {
    core_.release(actor(), request_.mode());
  } else if (waits_) {
    core_.abandon(request_, actor());
  }
}

bool LockOperation::stands_before_it() const {
  if (patience_ != Patience::waits || limit_ != kNever || !core_.is_exclusive()) return false;
  Footprint* const footprint = actor().run.footprint;
  return footprint == nullptr || !footprint->does_queue_matter(core_.name());
}

bool LockOperation::would_wait() const { return stands_before_it() && core_.would_wait(); }

void LockOperation::foresee(Footprint& footprint) const {
  footprint.lock(core_.name(), Touch::changes, {.needs_open = true, .closed_before = true, .closed_after = true});
}

bool LockOperation::attempt() {
  if (gave_up_) return true;
  if (waits_) {  // the step that granted it has touched the lock
    obtained_ = core_.acquire(request_, *this);
    waits_ = !obtained_;
    return obtained_;
  }
  const bool is_search = actor().run.footprint != nullptr;
  LockCore::Touching touching(core_, actor(), is_search && stands_before_it());
  obtained_ = patience_ == Patience::tries ? core_.try_acquire(request_, *this) : core_.acquire(request_, *this);
  if (obtained_) {
    if (request_.mode() == LockMode::shared) touching.as(Touch::shares);
    return true;
  }
  if (patience_ == Patience::tries) {
    touching.as(Touch::looks);
    return true;
  }
  waits_ = true;
  touch_wait_begun(actor());
  waiting_.deadline = actor().run.clock().after(limit_);
  return false;
}

void LockOperation::cancel(Fault why) {
  if (!core_.withdraw(request_)) return;
  touch_wait_given_up(actor());
  gave_up_ = true;
  waits_ = false;
  if (why == Fault::lock_timeout && patience_ == Patience::waits_or_empty) return;
  error = gave_up(why, actor(), core_, limit_);
}

Description LockOperation::describe() const {
  std::string verb = patience_ == Patience::tries ? "try_lock" : "lock";
  if (request_.mode() != LockMode::exclusive) verb += fmt::format("_{}", name_of(request_.mode()));
  return {.verb = std::move(verb), .object = core_.name(), .detail = at_most(limit_)};
}

// -- unlock --

bool UnlockOperation::attempt() {
  if (!guard_) {
    error = Error{Fault::invalid, {}, fmt::format("{} unlocks a guard that holds nothing", actor().name)};
  } else {
    guard_.reset();
  }
  return true;
}

// -- convert --

ConvertOperation::~ConvertOperation() {
  if (waits_) core_.abandon(request_, actor());
}

bool ConvertOperation::attempt() {
  if (gave_up_) return true;
  const LockCore::Touching touching(core_, actor());
  if (!waits_) {
    if (guard_.core() != &core_) {
      error = Error{
          Fault::invalid, {}, fmt::format("{} converts {}, which its guard does not hold", actor().name, core_.name())};
      return true;
    }
    if (guard_.mode() == request_.mode()) return true;
    if (!is_upgrade()) {
      if (guard_.mode() < request_.mode()) {
        error = Error{Fault::invalid,
                      {},
                      fmt::format("{}: from {} to {} is no downgrade of {}", actor().name, name_of(guard_.mode()),
                                  name_of(request_.mode()), core_.name())};
        return true;
      }
      core_.downgrade(actor(), guard_.mode(), request_.mode());
      guard_.mode_ = request_.mode();
      return true;
    }
  }
  const bool obtained = core_.acquire(request_, *this);
  if (obtained) {
    guard_.mode_ = request_.mode();
    waits_ = false;
  } else if (!waits_) {
    waits_ = true;
    touch_wait_begun(actor());
    waiting_.deadline = actor().run.clock().after(limit_);
  }
  return obtained;
}

void ConvertOperation::cancel(Fault why) {
  if (!core_.withdraw(request_)) return;
  touch_wait_given_up(actor());
  gave_up_ = true;
  waits_ = false;
  error = gave_up(why, actor(), core_, limit_);
}

Description ConvertOperation::describe() const {
  return {.verb = is_upgrade() ? "upgrade" : "downgrade",
          .object = core_.name(),
          .detail = is_upgrade() ? at_most(limit_) : fmt::format("to {}", name_of(request_.mode()))};
}

}  // namespace lockstep::sync
