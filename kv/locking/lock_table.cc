// lock_table.cc: granting, queueing and giving back. Introspection is in lock_table_view.cc.
#include "kv/locking/lock_table.h"

#include <fmt/format.h>

#include <utility>

#include "kv/base/spin.h"

namespace lockstep::kv {
namespace {

void push_holder(LockHead& head, LockRequest& request) noexcept {
  request.previous_holder = head.last_holder;
  request.next_holder = nullptr;
  (head.last_holder ? head.last_holder->next_holder : head.first_holder) = &request;
  head.last_holder = &request;
}

void unlink_holder(LockHead& head, LockRequest& request) noexcept {
  (request.previous_holder ? request.previous_holder->next_holder : head.first_holder) = request.next_holder;
  (request.next_holder ? request.next_holder->previous_holder : head.last_holder) = request.previous_holder;
}

/// In front of `successor`; at the end when it is nullptr.
void insert_waiter(LockHead& head, LockRequest& request, LockRequest* successor) noexcept {
  LockRequest* const predecessor = successor ? successor->previous_waiter : head.last_waiter;
  request.previous_waiter = predecessor;
  request.next_waiter = successor;
  (predecessor ? predecessor->next_waiter : head.first_waiter) = &request;
  (successor ? successor->previous_waiter : head.last_waiter) = &request;
}

void unlink_waiter(LockHead& head, LockRequest& request) noexcept {
  (request.previous_waiter ? request.previous_waiter->next_waiter : head.first_waiter) = request.next_waiter;
  (request.next_waiter ? request.next_waiter->previous_waiter : head.last_waiter) = request.previous_waiter;
}

std::string holders_of(const LockRequest& request) {
  std::string names;
  LockTable::for_each_blocker(request, [&names](const LockRequest& blocker) {
    if (!names.empty()) names += ", ";
    names += blocker.owner->name();
  });
  return names;
}

}  // namespace

LockTable::LockTable(Config config) : config_(std::move(config)) {
  LOCKSTEP_CHECK(config_.clock != nullptr, "a lock table needs a clock");
}

LockTable::~LockTable() {
  {
    MutexLock lock(owners_mutex_);
    for (LockOwner* owner : owners_) owner->manager = nullptr;
  }
  for (LockShard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (const auto& head : shard.heads)
      LOCKSTEP_CHECK(head->cell == nullptr, "{} is still locked when the table ends", head->key);
  }
}

void LockTable::attach(LockOwner& owner) {
  MutexLock lock(owners_mutex_);
  owners_.push_back(&owner);
  owner.manager = this;
}

void LockTable::forget(LockOwner& owner) noexcept {
  MutexLock lock(owners_mutex_);
  std::erase(owners_, &owner);
}

Locked LockTable::lock(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) {
  if (const Error* const why = owner.wound.why()) {
    owner.verdict = *why;
    return Locked::refused;
  }
  if (!owner.manager) attach(owner);
  LockCell& cell = *target.cell;
  std::uintptr_t word = cell.word.load(std::memory_order_acquire);
  if (LockCell::is_free(word)) {
    LockRequest& mine = owner.requests.take(target);
    mine.held = mine.wanted = wanted;
    const std::uintptr_t taken = reinterpret_cast<std::uintptr_t>(&mine) | word;
    // Acquire: what earlier holders did to the row. Release: the request, for the thread that inflates the cell.
    if (cell.word.compare_exchange_strong(word, taken, std::memory_order_acq_rel, std::memory_order_acquire))
      return Locked::granted;
    owner.requests.drop_last();
  }
  if (word & LockCell::kGone) return Locked::gone;
  const LockRequest* const mine = find_without_mutex(owner, cell, word);
  if (mine && mine->held.covers(wanted)) return Locked::granted;
  return lock_slowly(owner, target, wanted, waiter);
}

Locked LockTable::lock_slowly(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) {
  LockShard& shard = shard_of(*target.cell);
  LockRequest* mine = nullptr;
  LockCell* gone = nullptr;
  bool converts = false;
  bool overtook = false;
  bool refused = false;
  {
    SpinningLock lock(shard.mutex);
    LockRequest* const only = LockCell::only_holder(target.cell->word.load(std::memory_order_acquire));
    if (only && only->owner == &owner) {  // and nobody becomes another one while we have the mutex
      only->held = only->wanted = only->held.joined(wanted);
      return Locked::granted;
    }
    LockHead* const found = inflate(shard, *target.cell, target.key);
    if (!found) return Locked::gone;
    LockHead& head = *found;
    mine = holder_of(head, owner);
    if (mine && mine->held.covers(wanted)) return Locked::granted;
    if (mine) wanted = wanted.joined(mine->held);
    const bool free =
        is_free(head, wanted, mine) && (mine || !head.first_waiter || !head.waiting.conflicts_with(wanted));
    refused = !free && config_.policy && !config_.policy->may_wait();
    if (refused) {
      LockRequest probe;
      probe.owner = &owner;
      probe.head = &head;
      probe.wanted = wanted;
      owner.verdict = Error{Fault::no_wait_conflict,
                            {},
                            fmt::format("{} gave up {}: held by {}, and this protocol never waits; a retry is safe",
                                        owner.name(), describe(target.key, wanted), holders_of(probe))};
      gone = unlink_if_idle(shard, head);
    } else {
      if (!mine) {
        mine = &owner.requests.take(target);
        mine->head = &head;
      }
      converts = mine->is_conversion();
      if (free) {
        overtook = converts && head.first_waiter;
        mine->wanted = wanted;
        grant(head, *mine);
        if (!overtook) return Locked::granted;
      } else {
        enqueue(shard, head, *mine, wanted, waiter);
      }
    }
  }
  tell_gone(gone);
  if (refused) return Locked::refused;
  if (!config_.policy) return overtook ? Locked::granted : Locked::pending;
  if (std::optional<Error> error =
          overtook ? config_.policy->overtook(*this, owner, *mine) : config_.policy->queued(*this, owner)) {
    owner.verdict = std::move(error);
    return Locked::refused;
  }
  if (overtook) return Locked::granted;
  // A conversion may be granted before the policy has looked at it in the queue. It has then gone past requests that
  // the policy knows nothing of. Its owner has been woken for it: the answer comes with the next attempt.
  if (converts && !owner.is_waiting() && !owner.verdict) owner.verdict = config_.policy->overtook(*this, owner, *mine);
  return Locked::pending;
}

// While the owner does not wait, nobody else changes what it holds, so it may look without the mutex. It finds what a
// wait has given it while its waker still has the mutex.
LockRequest* LockTable::find_without_mutex(LockOwner& owner, const LockCell& cell, std::uintptr_t word) noexcept {
  if (!LockCell::head_in(word)) {
    LockRequest* const only = LockCell::only_holder(word);
    return only && only->owner == &owner ? only : nullptr;
  }
  constexpr std::size_t kFew = 16;
  const std::size_t size = owner.requests.size();
  for (std::size_t i = size; i > 0 && size - i < kFew; --i)
    if (owner.requests[i - 1].cell.load(std::memory_order_relaxed) == &cell) return &owner.requests[i - 1];
  return nullptr;
}

LockRequest* LockTable::find(LockOwner& owner, const LockTarget& target) {
  const std::uintptr_t word = target.cell->word.load(std::memory_order_acquire);
  LockRequest* const mine = find_without_mutex(owner, *target.cell, word);
  if (mine || !LockCell::head_in(word)) return mine;
  SpinningLock lock(shard_of(*target.cell).mutex);
  const std::uintptr_t now = target.cell->word.load(std::memory_order_acquire);
  const LockHead* const head = LockCell::head_in(now);
  return head ? holder_of(*head, owner) : find_without_mutex(owner, *target.cell, now);
}

void LockTable::weaken(LockRequest& request, LockSpec kept) noexcept {
  LOCKSTEP_CHECK(request.held.covers(kept), "a lock cannot be weakened to more than is held");
  if (kept == request.held) return;
  if (!kept.any()) return release(request);
  SpinningLock lock(shard_of(*request.cell.load(std::memory_order_relaxed)).mutex);
  if (request.head) request.head->held.add(request.held, -1);
  request.held = request.wanted = kept;
  if (!request.head) return;
  request.head->held.add(kept, +1);
  grant_waiters(*request.head);
}

void LockTable::release(LockRequest& request) noexcept {
  LockCell& cell = *request.cell.load(std::memory_order_relaxed);
  // First: a thread that still finds the cell by this request has found it before the cell could go.
  request.cell.store(nullptr, std::memory_order_release);
  std::uintptr_t word = cell.word.load(std::memory_order_acquire);
  while (LockCell::only_holder(word) == &request) {
    const bool goes = (word & LockCell::kVacant) != 0 && when_gone_;
    const std::uintptr_t left = (word & LockCell::kVacant) | (goes ? LockCell::kGone : 0);
    if (!cell.word.compare_exchange_weak(word, left, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    request.held = request.wanted = LockSpec{};
    if (goes) when_gone_(cell);
    return;
  }
  LockShard& shard = shard_of(cell);
  LockCell* gone = nullptr;
  {
    SpinningLock lock(shard.mutex);
    LockHead& head = *request.head;
    head.held.add(request.held, -1);
    request.held = request.wanted = LockSpec{};
    unlink_holder(head, request);
    request.head = nullptr;
    grant_waiters(head);
    gone = unlink_if_idle(shard, head);
  }
  tell_gone(gone);
}

void LockTable::release_all(LockOwner& owner) noexcept {
  LOCKSTEP_CHECK(!owner.is_waiting(), "{} gives back its locks while it waits", owner.name());
  const std::size_t size = owner.requests.size();
  for (std::size_t i = 0; i < size; ++i) {
    LockRequest& request = owner.requests[i];
    if (request.cell.load(std::memory_order_relaxed)) release(request);
  }
  owner.requests.clear();
}

bool LockTable::withdraw(LockOwner& owner) noexcept {
  // The thread that ends the wait wakes under this mutex. With it held, the wait is either on, or over with its wake-up
  // done.
  LockShard* const shard = owner.queued_in;
  if (!shard) return false;
  LockCell* gone = nullptr;
  {
    SpinningLock lock(shard->mutex);
    if (!owner.is_waiting()) return false;
    gone = dequeue(*shard, owner);
  }
  tell_gone(gone);
  return true;
}

bool LockTable::cancel(LockOwner& owner, Fault why) noexcept {
  LockShard* const shard = owner.queued_in;  // as in withdraw()
  if (!shard) return false;
  LockCell* gone = nullptr;
  {
    SpinningLock lock(shard->mutex);
    if (!owner.is_waiting()) return false;
    const LockRequest& request = *owner.waiting;
    owner.verdict = Error{why,
                          {},
                          describe_cancelled(owner, why, config_.clock->now() - owner.waits_since, request.key,
                                             request.wanted, holders_of(request))};
    gone = dequeue(*shard, owner);
  }
  tell_gone(gone);
  return true;
}

bool LockTable::kill(LockOwner& victim, LockShard& where, std::uint64_t wait_number, Error why) noexcept {
  LockCell* gone = nullptr;
  {
    SpinningLock lock(where.mutex);
    if (victim.waits_in.load(std::memory_order_acquire) != &where || victim.wait_number != wait_number) return false;
    gone = end_wait(where, victim, std::move(why));
  }
  tell_gone(gone);
  return true;
}

void LockTable::kill(LockOwner& victim, TxnId id, Error why) noexcept {
  LockCell* gone = nullptr;
  while (LockShard* const where = victim.waits_in.load()) {
    SpinningLock lock(where->mutex);
    if (victim.waits_in.load(std::memory_order_acquire) != where) continue;  // it went on meanwhile
    if (victim.id == id) gone = end_wait(*where, victim, std::move(why));
    break;
  }
  tell_gone(gone);
}

void LockTable::kill(std::vector<Victim> victims) noexcept {
  for (Victim& victim : victims) kill(*victim.owner, victim.id, std::move(victim.why));
}

LockCell* LockTable::end_wait(LockShard& where, LockOwner& victim, Error why) const noexcept {
  Waiter* const waiter = victim.waiting->waiter;
  victim.verdict = std::move(why);
  LockCell* const gone = dequeue(where, victim);
  waiter->wake();  // last: its owner may be running from here on
  return gone;
}

void LockTable::enqueue(LockShard& shard, LockHead& head, LockRequest& request, LockSpec wanted, Waiter& waiter) {
  request.wanted = wanted;
  request.waiter = &waiter;
  LockRequest* successor = nullptr;
  if (request.is_conversion()) {
    successor = head.first_waiter;
    while (successor && successor->is_conversion()) successor = successor->next_waiter;
  }
  insert_waiter(head, request, successor);
  head.waiting.add(wanted, +1);
  LockOwner& owner = *request.owner;
  owner.waiting = &request;
  owner.verdict.reset();
  owner.waits_since = config_.clock->now();
  owner.deadline = config_.clock->after(config_.lock_timeout);
  ++owner.wait_number;
  owner.queued_in = &shard;
  owner.queued_empty_handed = owner.requests.size() == 1 && !request.is_conversion();
  owner.waits_in.store(&shard);  // sequentially consistent: see Wound::inflict and DeadlockDetector::queued
}

LockCell* LockTable::dequeue(LockShard& shard, LockOwner& owner) const noexcept {
  LockRequest& request = *owner.waiting;
  LockHead& head = *request.head;
  unlink_waiter(head, request);
  head.waiting.add(request.wanted, -1);
  request.wanted = request.held;
  if (!request.held.any()) {
    request.head = nullptr;
    request.cell.store(nullptr, std::memory_order_release);
  }
  owner.waiting = nullptr;
  owner.waits_in.store(nullptr, std::memory_order_release);
  grant_waiters(head);
  return unlink_if_idle(shard, head);
}

bool LockTable::is_free(const LockHead& head, LockSpec wanted, const LockRequest* mine) noexcept {
  if (!mine) return !head.held.conflicts_with(wanted);
  SpecCounts others = head.held;
  if (mine->held.any()) others.add(mine->held, -1);
  return !others.conflicts_with(wanted);
}

void LockTable::grant(LockHead& head, LockRequest& request) noexcept {
  if (request.held.any())
    head.held.add(request.held, -1);
  else
    push_holder(head, request);
  request.held = request.wanted;
  head.held.add(request.held, +1);
}

void LockTable::grant_waiters(LockHead& head) noexcept {
  SpecCounts in_front;
  for (LockRequest* request = head.first_waiter; request;) {
    LockRequest* const next = request->next_waiter;
    const bool conversion = request->is_conversion();
    if (is_free(head, request->wanted, request) && (conversion || !in_front.conflicts_with(request->wanted))) {
      unlink_waiter(head, *request);
      head.waiting.add(request->wanted, -1);
      grant(head, *request);
      LockOwner& owner = *request->owner;
      Waiter* const waiter = request->waiter;
      owner.waiting = nullptr;
      owner.waits_in.store(nullptr, std::memory_order_release);
      waiter->wake();  // last: its owner may be running from here on
    } else {
      in_front.add(request->wanted, +1);
      // Everybody behind an exclusive request waits for it, unless somebody wants a gap only.
      if (!conversion && request->wanted.row == Strength::exclusive && head.waiting.with_row(Strength::none) == 0)
        break;
    }
    request = next;
  }
}

LockRequest* LockTable::holder_of(const LockHead& head, const LockOwner& owner) noexcept {
  LockRequest* holder = head.first_holder;
  while (holder && holder->owner != &owner) holder = holder->next_holder;
  return holder;
}

LockHead* LockTable::inflate(LockShard& shard, LockCell& cell, KeyView key) {
  std::uintptr_t word = cell.word.load(std::memory_order_acquire);
  while (true) {
    if (word & LockCell::kGone) return nullptr;
    if (LockHead* const head = LockCell::head_in(word)) return head;
    if (!shard.first_idle) {
      shard.heads.push_back(std::make_unique<LockHead>());
      shard.first_idle = shard.heads.back().get();
    }
    LockHead& head = *shard.first_idle;
    const std::uintptr_t fat = reinterpret_cast<std::uintptr_t>(&head) | LockCell::kFat | (word & LockCell::kVacant);
    if (!cell.word.compare_exchange_weak(word, fat, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    shard.first_idle = head.next_idle;
    head.key = key;
    head.cell = &cell;
    if (LockRequest* const holder = LockCell::only_holder(word)) {
      push_holder(head, *holder);
      head.held.add(holder->held, +1);
      holder->head = &head;
    }
    return &head;
  }
}

LockCell* LockTable::unlink_if_idle(LockShard& shard, LockHead& head) const {
  if (head.first_holder || head.first_waiter) return nullptr;
  LockCell& cell = *std::exchange(head.cell, nullptr);
  head.next_idle = std::exchange(shard.first_idle, &head);
  // Nobody holds the row, so nobody changes the flag.
  const std::uintptr_t vacant = cell.word.load(std::memory_order_relaxed) & LockCell::kVacant;
  const bool goes = vacant != 0 && when_gone_;
  cell.word.store(vacant | (goes ? LockCell::kGone : 0), std::memory_order_release);
  return goes ? &cell : nullptr;
}

void LockTable::inflate_all() {
  std::vector<LockCell*> gone;
  {
    MutexLock owners(owners_mutex_);
    for (LockOwner* owner : owners_) {
      for (std::size_t i = 0; i < owner->requests.size(); ++i) {
        const LockRequest& request = owner->requests[i];
        LockCell* const cell = request.cell.load(std::memory_order_acquire);
        if (!cell) continue;
        LockShard& shard = shard_of(*cell);
        MutexLock lock(shard.mutex);
        if (LockCell::only_holder(cell->word.load(std::memory_order_acquire)) != &request) continue;
        // A thin lock is given back without the mutex: the cell may be free by now, and its head nobody's.
        LockHead* const head = inflate(shard, *cell, request.key);
        LockCell* const idle = head ? unlink_if_idle(shard, *head) : nullptr;
        if (idle) gone.push_back(idle);
      }
    }
  }
  for (LockCell* cell : gone) tell_gone(cell);
}

}  // namespace lockstep::kv
