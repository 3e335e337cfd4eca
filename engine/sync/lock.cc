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

bool LockOperation::is_for_one_alone() const {
  return patience_ == Patience::waits && limit_ == kNever && core_.is_exclusive();
}

bool LockOperation::would_wait() const {
  Footprint* const footprint = actor().run.footprint;
  return is_for_one_alone() && core_.would_wait() &&
         !(footprint != nullptr && footprint->does_queue_matter(core_.name()));
}

void LockOperation::foresee(Footprint& footprint) const { footprint.lock(core_.name(), Touch::takes); }

bool LockOperation::attempt() {
  if (gave_up_) return true;
  if (!waits_) {
    touch(actor(), core_.name(),
          is_for_one_alone()                    ? Touch::takes
          : request_.mode() == LockMode::shared ? Touch::looks
                                                : Touch::changes);
  }
  if (patience_ == Patience::tries) {
    obtained_ = core_.try_acquire(request_, *this);
    return true;
  }
  obtained_ = core_.acquire(request_, *this);
  if (!obtained_ && !waits_) {
    waits_ = true;
    waiting_.deadline = actor().run.clock().after(limit_);
  }
  if (obtained_) waits_ = false;
  return obtained_;
}

void LockOperation::cancel(Fault why) {
  if (!core_.withdraw(request_)) return;
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
  touch(actor(), core_.name(), Touch::changes);
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
    waiting_.deadline = actor().run.clock().after(limit_);
  }
  return obtained;
}

void ConvertOperation::cancel(Fault why) {
  if (!core_.withdraw(request_)) return;
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
