// lock_core.cc: the model's rules, and its dealings with the real lock.
#include "engine/sync/lock_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/actor/executor.h"
#include "engine/actor/run_state.h"
#include "engine/sync/lock_order.h"
#include "kv/base/check.h"

namespace lockstep::sync {
namespace {

/// Boost's timed upgrade must look by itself. Nothing tells it that the last other reader has left:
/// shared_mutex::unlock_shared() notifies nobody while the upgrader is left.
constexpr Nanos kUpgradeSlice = std::chrono::milliseconds(2);

/// How long a real lock may take to follow the model: a thread that blocks in it may have to leave it first.
constexpr Nanos kFollowMax = std::chrono::seconds(5);

std::chrono::steady_clock::time_point steady_after(Nanos span) { return std::chrono::steady_clock::now() + span; }

}  // namespace

Regime regime_of(const Actor& actor) noexcept {
  if (!actor.executor.parks_threads()) return Regime::suspended;
  return actor.executor.controlled() ? Regime::threads_in_turn : Regime::threads_at_large;
}

LockCore::LockCore(std::string name, std::unique_ptr<RealLock> real) : name_(std::move(name)), real_(std::move(real)) {}

LockCore::~LockCore() {
  MutexLock lock(mutex_);
  LOCKSTEP_CHECK(holds_.empty(), "the lock {} is destroyed while {}", name_, holders_for_people());
  LOCKSTEP_CHECK(queue_.empty(), "the lock {} is destroyed while {} waits for it", name_,
                 queue_.front()->operation_->actor().name);
}

// -- what a search is told --

LockCore::Touching::Touching(const LockCore& core, const Actor& actor, bool needs_free)
    : core_(core), footprint_(actor.run.footprint) {
  if (footprint_ == nullptr) return;
  // No actor stands before a lock that can be shared: there every request queues.
  if (core_.is_exclusive()) gate_ = {.needs_open = needs_free, .closed_before = core_.would_wait()};
}

LockCore::Touching::~Touching() {
  if (footprint_ == nullptr) return;
  gate_.closed_after = core_.is_exclusive() && core_.would_wait();
  footprint_->lock(core_.name_, touch_, gate_);
}

// -- taking --

bool LockCore::acquire(LockRequest& request, Operation& operation) {
  if (LockOrder* const order = operation.actor().run.lock_order; order != nullptr && request.operation_ == nullptr) {
    order->asks(operation.actor().index, name_, request.mode_, request.where_);
  }
  request.belong_to(operation);
  const Regime regime = regime_of(operation.actor());
  if (regime == Regime::threads_at_large) return acquire_real_first(request);
  if (!acquire_in_turn(request)) return false;
  if (regime == Regime::threads_in_turn) take_real(request);
  return true;
}

bool LockCore::acquire_in_turn(LockRequest& request) {
  MutexLock lock(mutex_);
  if (request.stage_ == LockRequest::Stage::idle) {
    if (grantable(request, queue_.size())) {
      grant(request);
    } else {
      push(request);
    }
  }
  if (request.stage_ != LockRequest::Stage::granted) return false;
  request.stage_ = LockRequest::Stage::held;
  return true;
}

bool LockCore::acquire_real_first(LockRequest& request) {
  bool may_try = true;
  {
    MutexLock lock(mutex_);
    may_try = request.has_real_ || !must_sleep(request);
  }
  if (may_try && !request.has_real_) request.has_real_ = real_try(request, Nanos::zero());
  MutexLock lock(mutex_);
  if (!request.has_real_) {
    if (request.stage_ == LockRequest::Stage::idle) push(request);
    return false;
  }
  if (request.stage_ == LockRequest::Stage::queued)
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(position(request)));
  grant(request);
  request.stage_ = LockRequest::Stage::held;
  changed_.notify_all();
  return true;
}

bool LockCore::try_acquire(LockRequest& request, Operation& operation) {
  request.belong_to(operation);
  const Regime regime = regime_of(operation.actor());
  if (regime == Regime::threads_at_large) {
    {
      MutexLock lock(mutex_);
      if (must_sleep(request)) return false;
    }
    if (!real_try(request, Nanos::zero())) return false;
    request.has_real_ = true;
    return acquire_real_first(request);
  }
  {
    MutexLock lock(mutex_);
    if (!grantable(request, queue_.size())) return false;
    grant(request);
    request.stage_ = LockRequest::Stage::held;
  }
  if (regime == Regime::threads_in_turn) take_real(request);
  return true;
}

bool LockCore::would_wait() const {
  MutexLock lock(mutex_);
  return !holds_.empty() || !queue_.empty();
}

void LockCore::enqueue(LockRequest& request, Operation& operation) {
  request.belong_to(operation);
  const Touching touching(*this, operation.actor());
  MutexLock lock(mutex_);
  if (grantable(request, queue_.size())) {
    grant(request);
    operation.wake();
  } else {
    push(request);
    touch_wait_begun(operation.actor());
  }
}

/// The model has granted the request: the real lock follows at once.
void LockCore::take_real(LockRequest& request) {
  const Actor& actor = request.operation_->actor();
  if (!request.has_real_) {
    request.has_real_ = real_try(request, Nanos::zero()) || real_try(request, kFollowMax);
    LOCKSTEP_CHECK(request.has_real_, "{} was granted {} ({}), but the real lock is not to be had", actor.name, name_,
                   name_of(request.mode_));
  }
  MutexLock lock(mutex_);
  for (Hold& hold : holds_) {
    if (hold.actor == &actor && hold.mode == request.mode_) hold.thread = boost::this_thread::get_id();
  }
  --unsettled_;
  changed_.notify_all();
}

bool LockCore::real_try(LockRequest& request, Nanos span) {
  if (request.from_) return real_->try_upgrade_for(*request.from_, span);
  return span == Nanos::zero() ? real_->try_lock(request.mode_) : real_->try_lock_for(request.mode_, span);
}

// -- waiting --

bool LockCore::block(LockRequest& request, Nanos span) {
  const Nanos slice = std::min(span, request.from_ ? kUpgradeSlice : kBlockSlice);
  return regime_of(request.operation_->actor()) == Regime::threads_in_turn ? block_in_turn(request, slice)
                                                                           : block_at_large(request, slice);
}

bool LockCore::block_in_turn(LockRequest& request, Nanos span) {
  {
    MutexLock lock(mutex_);
    if (request.stage_ != LockRequest::Stage::queued) return true;
    if (queue_.front() != &request || unsettled_ != 0 || conflicts_with_own(request)) {
      changed_.wait_until(mutex_, steady_after(span));
      return request.stage_ != LockRequest::Stage::queued;
    }
  }
  request.has_real_ = real_try(request, span);
  MutexLock lock(mutex_);
  if (request.stage_ == LockRequest::Stage::queued && request.has_real_) {
    LOCKSTEP_CHECK(request.operation_->is_woken(), "{} got the real lock of {} before it was granted",
                   request.operation_->actor().name, name_);
    give_real_back(request);  // its wait was ended meanwhile: serve() has passed it over
  }
  return request.stage_ != LockRequest::Stage::queued;
}

bool LockCore::block_at_large(LockRequest& request, Nanos span) {
  {
    MutexLock lock(mutex_);
    if (must_sleep(request)) {
      changed_.wait_until(mutex_, steady_after(span));
      return !must_sleep(request);
    }
  }
  request.has_real_ = real_try(request, span);
  return request.has_real_;
}

bool LockCore::withdraw(LockRequest& request) {
  if (request.operation_ == nullptr) return true;  // it has not asked yet
  const Touching touching(*this, request.operation_->actor());
  const bool at_large = regime_of(request.operation_->actor()) == Regime::threads_at_large;
  {
    MutexLock lock(mutex_);
    if (request.stage_ == LockRequest::Stage::granted || request.stage_ == LockRequest::Stage::held) return false;
    if (request.stage_ == LockRequest::Stage::queued) {
      queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(position(request)));
      if (!at_large) serve();
      changed_.notify_all();
    }
    request.stage_ = LockRequest::Stage::withdrawn;
  }
  // The wait was ended before its thread could say that it got the real lock: the end came first.
  if (request.has_real_) give_real_back(request);
  return true;
}

void LockCore::give_real_back(LockRequest& request) {
  request.has_real_ = false;
  if (request.from_) {
    real_->downgrade(request.mode_, *request.from_);
  } else {
    real_->unlock(request.mode_);
  }
}

void LockCore::abandon(LockRequest& request, Actor& actor) noexcept {
  if (withdraw(request)) return;
  // Granted, and nobody will ever use it. What was converted stays converted: its guard gives it back.
  if (!acquire(request, *request.operation_)) return;
  if (!request.from_) release(actor, request.mode_);
}

// -- giving back --

void LockCore::release(Actor& actor, LockMode mode) {
  Touching touching(*this, actor);
  const Regime regime = regime_of(actor);
  {
    MutexLock lock(mutex_);
    if (mode == LockMode::shared && queue_.empty()) touching.as(Touch::shares);
    drop(actor, mode);
    if (regime != Regime::threads_at_large) serve();
    changed_.notify_all();
  }
  if (regime != Regime::suspended) real_->unlock(mode);
}

void LockCore::drop(Actor& actor, LockMode mode) {
  const auto hold = std::find_if(holds_.begin(), holds_.end(),
                                 [&](const Hold& each) { return each.actor == &actor && each.mode == mode; });
  LOCKSTEP_CHECK(hold != holds_.end(), "{} gives back {} ({}), which it does not hold: {}", actor.name, name_,
                 name_of(mode), holders_for_people());
  LOCKSTEP_CHECK(regime_of(actor) == Regime::suspended || hold->thread == boost::this_thread::get_id(),
                 "{}, taken by {}, is given back by another thread", name_, actor.name);
  holds_.erase(hold);
  if (LockOrder* const order = actor.run.lock_order) order->gives_back(actor.index, name_);
}

void LockCore::downgrade(Actor& actor, LockMode from, LockMode to) {
  const Regime regime = regime_of(actor);
  {
    MutexLock lock(mutex_);
    const auto hold = std::find_if(holds_.begin(), holds_.end(),
                                   [&](const Hold& each) { return each.actor == &actor && each.mode == from; });
    LOCKSTEP_CHECK(hold != holds_.end(), "{} downgrades {} ({}), which it does not hold: {}", actor.name, name_,
                   name_of(from), holders_for_people());
    hold->mode = to;
    if (regime != Regime::threads_at_large) serve();
    changed_.notify_all();
  }
  if (regime != Regime::suspended) real_->downgrade(from, to);
}

// -- rules --

bool LockCore::conflicts(const LockRequest& request, const Hold& hold) const noexcept {
  const bool converted = request.from_ && hold.actor == &request.operation_->actor() && hold.mode == *request.from_;
  return !converted && !compatible(hold.mode, request.mode_);
}

bool LockCore::conflicts_with_own(const LockRequest& request) const noexcept {
  return std::any_of(holds_.begin(), holds_.end(), [&](const Hold& hold) {
    return hold.actor == &request.operation_->actor() && conflicts(request, hold);
  });
}

/// At large: whether the request must keep away from the real lock for now.
bool LockCore::must_sleep(const LockRequest& request) const noexcept {
  if (conflicts_with_own(request)) return true;
  if (request.mode_ == LockMode::exclusive) return false;
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(position(request));
  return std::any_of(queue_.begin(), end, [](const LockRequest* each) { return each->mode_ == LockMode::exclusive; });
}

/// `ahead`: how many of the queue come before it.
bool LockCore::grantable(const LockRequest& request, std::size_t ahead) const noexcept {
  // A conversion comes before what is no conversion, also when it is not queued yet.
  for (std::size_t i = 0; i < ahead; ++i) {
    if (request.from_ && !queue_[i]->from_) break;
    if (!compatible(queue_[i]->mode_, request.mode_)) return false;
  }
  return std::none_of(holds_.begin(), holds_.end(), [&](const Hold& hold) { return conflicts(request, hold); });
}

void LockCore::grant(LockRequest& request) {
  const Actor& actor = request.operation_->actor();
  if (actor.run.keeps_locks || actor.run.observer != nullptr) actor.run.note_lock(*this);
  const Regime regime = regime_of(actor);
  const boost::thread::id thread =
      regime == Regime::threads_at_large ? boost::this_thread::get_id() : boost::thread::id();
  if (request.from_) {
    const auto hold = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& each) {
      return each.actor == &actor && each.mode == *request.from_;
    });
    LOCKSTEP_CHECK(hold != holds_.end(), "{} converts {} ({}), which it does not hold", actor.name, name_,
                   name_of(*request.from_));
    *hold = {&actor, request.mode_, request.where_, thread};
  } else {
    holds_.push_back({&actor, request.mode_, request.where_, thread});
    if (LockOrder* const order = actor.run.lock_order) order->takes(actor.index, name_, request.mode_, request.where_);
  }
  if (regime == Regime::threads_in_turn) ++unsettled_;
  request.stage_ = LockRequest::Stage::granted;
}

void LockCore::push(LockRequest& request) {
  auto place = queue_.end();
  if (request.from_) {
    place = std::find_if(queue_.begin(), queue_.end(), [](const LockRequest* each) { return !each->from_; });
  }
  queue_.insert(place, &request);
  request.stage_ = LockRequest::Stage::queued;
}

std::size_t LockCore::position(const LockRequest& request) const noexcept {
  return static_cast<std::size_t>(std::find(queue_.begin(), queue_.end(), &request) - queue_.begin());
}

/// Grants and wakes every request that can go on now, in the order of the queue. An actor that a deadline or a stop has
/// woken already is about to withdraw, which serves those behind it.
void LockCore::serve() {
  for (std::size_t i = 0; i < queue_.size();) {
    LockRequest& request = *queue_[i];
    if (request.operation_->is_woken() || !grantable(request, i)) {
      ++i;
      continue;
    }
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    grant(request);
    request.operation_->wake();
  }
}

// -- looking --

std::vector<Blocker> LockCore::blockers(const LockRequest& request) const {
  std::vector<Blocker> found;
  const auto add = [&](const Actor& actor, std::string what) {
    for (const Blocker& each : found) {
      if (each.actor == actor.index) return;
    }
    found.push_back({.actor = actor.index, .object = name_, .what = std::move(what)});
  };
  MutexLock lock(mutex_);
  if (request.stage_ != LockRequest::Stage::queued) return found;
  for (const Hold& hold : holds_) {
    if (conflicts(request, hold)) add(*hold.actor, std::string(name_of(hold.mode)) + " lock");
  }
  // At large a writer may pass those ahead of it.
  if (request.mode_ == LockMode::exclusive && regime_of(request.operation_->actor()) == Regime::threads_at_large) {
    return found;
  }
  const std::size_t ahead = position(request);
  for (std::size_t i = 0; i < ahead; ++i) {
    const LockRequest& other = *queue_[i];
    if (compatible(other.mode_, request.mode_)) continue;
    // A request that waits only for holds that we wait for anyway is no reason of its own.
    const bool adds_nothing = std::all_of(holds_.begin(), holds_.end(), [&](const Hold& hold) {
      return !conflicts(other, hold) || conflicts(request, hold);
    });
    if (!adds_nothing) add(other.operation_->actor(), fmt::format("queued ahead for {}", name_of(other.mode_)));
  }
  return found;
}

std::string LockCore::held_by() const {
  MutexLock lock(mutex_);
  return holders_for_people();
}

std::string LockCore::holders_for_people() const {
  if (holds_.empty()) return "held by nobody";
  std::string text = "held by ";
  for (const Hold& hold : holds_) {
    if (&hold != &holds_.front()) text += ", ";
    text += hold.actor->name;
  }
  return text;
}

std::vector<Hold> LockCore::holds() const {
  MutexLock lock(mutex_);
  return holds_;
}

std::size_t LockCore::queue_length() const {
  MutexLock lock(mutex_);
  return queue_.size();
}

}  // namespace lockstep::sync
