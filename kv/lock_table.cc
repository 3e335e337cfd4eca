// lock_table.cc: granting, queueing and giving back. Introspection is in lock_table_view.cc.
#include "kv/lock_table.h"

#include <fmt/format.h>

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
    names += blocker.owner->label;
  });
  return names;
}

}  // namespace

LockTable::LockTable(Config config) : config_(std::move(config)) {
  LOCKSTEP_CHECK(config_.clock != nullptr, "a lock table needs a clock");
}

LockTable::~LockTable() {
  for (LockShard& shard : shards_) {
    MutexLock lock(shard.mutex);
    LOCKSTEP_CHECK(shard.linked == 0, "{} keys are still locked when the table ends", shard.linked);
  }
}

Attempt<void> LockTable::lock(LockOwner& owner, KeyView key, LockSpec wanted, Waiter& waiter) {
  if (const Error* const why = owner.wound.why()) return Result<void>(*why);
  const std::size_t hash = hash_of(key);
  const std::size_t position = owner.by_key.find(
      hash, [&](std::size_t i) { return owner.requests[i].head && owner.requests[i].head->key == key; });
  LockRequest* mine = position == KeySet::npos ? nullptr : &owner.requests[position];
  if (mine && mine->held.covers(wanted)) return Result<void>();

  LockShard& shard = shard_of(hash);
  bool overtook = false;
  {
    MutexLock lock(shard.mutex);
    LockHead& head = mine ? *mine->head : find_or_link(shard, key, hash);
    if (mine) wanted = wanted.joined(mine->held);
    const bool free = is_free(head, wanted, mine) && (mine || !head.waiting.conflicts_with(wanted));
    const bool refused = !free && config_.policy && !config_.policy->may_wait();
    if (refused) {
      LockRequest probe;
      probe.owner = &owner;
      probe.head = &head;
      probe.wanted = wanted;
      Error error{Fault::no_wait_conflict,
                  {},
                  fmt::format("{} gave up {}: held by {}, and this protocol never waits; a retry is safe", owner.label,
                              describe(key, wanted), holders_of(probe))};
      unlink_if_idle(shard, head);
      return Result<void>(std::move(error));
    }
    if (!mine) {
      owner.by_key.add(hash, owner.requests.size());
      mine = &owner.requests.take();
      *mine = LockRequest{};
      mine->owner = &owner;
      mine->head = &head;
    }
    if (free) {
      overtook = mine->is_conversion() && head.first_waiter;
      mine->wanted = wanted;
      grant(head, *mine);
      if (!overtook) return Result<void>();
    } else {
      enqueue(shard, head, *mine, wanted, waiter);
    }
  }
  if (overtook) {
    if (config_.policy)
      if (std::optional<Error> error = config_.policy->overtook(*this, owner, *mine))
        return Result<void>(*std::move(error));
    return Result<void>();
  }
  if (config_.policy)
    if (std::optional<Error> error = config_.policy->queued(*this, owner)) return Result<void>(*std::move(error));
  return std::nullopt;
}

LockRequest* LockTable::find(LockOwner& owner, KeyView key) {
  const std::size_t position = owner.by_key.find(
      hash_of(key), [&](std::size_t i) { return owner.requests[i].head && owner.requests[i].head->key == key; });
  return position == KeySet::npos ? nullptr : &owner.requests[position];
}

void LockTable::weaken(LockRequest& request, LockSpec kept) noexcept {
  LOCKSTEP_CHECK(request.held.covers(kept), "a lock cannot be weakened to more than is held");
  if (kept == request.held) return;
  LockShard& shard = shard_of(request.head->hash);
  MutexLock lock(shard.mutex);
  LockHead& head = *request.head;
  head.held.add(request.held, -1);
  request.held = request.wanted = kept;
  if (kept.any())
    head.held.add(kept, +1);
  else
    drop_holder(head, request);
  grant_waiters(head);
  unlink_if_idle(shard, head);
}

void LockTable::release_all(LockOwner& owner) noexcept {
  LOCKSTEP_CHECK(!owner.is_waiting(), "{} gives back its locks while it waits", owner.label);
  for (std::size_t i = 0; i < owner.requests.size(); ++i) {
    LockRequest& request = owner.requests[i];
    if (request.head) weaken(request, LockSpec{});
  }
  owner.requests.clear();
  owner.by_key.clear();
}

bool LockTable::withdraw(LockOwner& owner) noexcept {
  // Whoever ends the wait wakes under this mutex: with it held, the wait is either on or over with its wake-up done.
  LockShard* const shard = owner.queued_in;
  if (!shard) return false;
  MutexLock lock(shard->mutex);
  if (!owner.is_waiting()) return false;
  dequeue(*shard, owner);
  return true;
}

bool LockTable::cancel(LockOwner& owner, Fault why) noexcept {
  LockShard* const shard = owner.queued_in;  // as in withdraw()
  if (!shard) return false;
  MutexLock lock(shard->mutex);
  if (!owner.is_waiting()) return false;
  const LockRequest& request = *owner.waiting;
  owner.verdict = Error{why,
                        {},
                        describe_cancelled(owner, why, config_.clock->now() - owner.waits_since, request.head->key,
                                           request.wanted, holders_of(request))};
  dequeue(*shard, owner);
  return true;
}

bool LockTable::kill(LockOwner& victim, LockShard& where, std::uint64_t wait_number, Error why) noexcept {
  MutexLock lock(where.mutex);
  if (victim.waits_in.load(std::memory_order_acquire) != &where || victim.wait_number != wait_number) return false;
  end_wait(where, victim, std::move(why));
  return true;
}

void LockTable::kill(LockOwner& victim, TxnId id, Error why) noexcept {
  while (LockShard* const where = victim.waits_in.load()) {
    MutexLock lock(where->mutex);
    if (victim.waits_in.load(std::memory_order_acquire) != where) continue;  // it went on meanwhile
    if (victim.id == id) end_wait(*where, victim, std::move(why));
    return;
  }
}

void LockTable::end_wait(LockShard& where, LockOwner& victim, Error why) noexcept {
  Waiter* const waiter = victim.waiting->waiter;
  victim.verdict = std::move(why);
  dequeue(where, victim);
  waiter->wake();  // last: its owner may be running from here on
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
  owner.waits_in.store(&shard);  // sequentially consistent: see Wound::inflict
}

void LockTable::dequeue(LockShard& shard, LockOwner& owner) noexcept {
  LockRequest& request = *owner.waiting;
  LockHead& head = *request.head;
  unlink_waiter(head, request);
  head.waiting.add(request.wanted, -1);
  request.wanted = request.held;
  if (!request.held.any()) request.head = nullptr;
  owner.waiting = nullptr;
  owner.waits_in.store(nullptr, std::memory_order_release);
  grant_waiters(head);
  unlink_if_idle(shard, head);
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

void LockTable::drop_holder(LockHead& head, LockRequest& request) noexcept {
  unlink_holder(head, request);
  request.head = nullptr;
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

LockHead& LockTable::find_or_link(LockShard& shard, KeyView key, std::size_t hash) {
  if (shard.linked >= shard.buckets.size()) grow(shard);
  LockHead*& bucket = shard.buckets[hash & (shard.buckets.size() - 1)];
  for (LockHead* head = bucket; head; head = head->next)
    if (head->hash == hash && head->key == key) return *head;
  if (shard.idle.empty()) {
    shard.heads.push_back(std::make_unique<LockHead>());
    shard.idle.reserve(shard.heads.capacity());  // unlink_if_idle() must not allocate
    shard.idle.push_back(shard.heads.back().get());
  }
  LockHead& head = *shard.idle.back();
  shard.idle.pop_back();
  head.key.assign(key);
  head.hash = hash;
  head.next = bucket;
  bucket = &head;
  ++shard.linked;
  return head;
}

void LockTable::unlink_if_idle(LockShard& shard, LockHead& head) {
  if (head.first_holder || head.first_waiter) return;
  LockHead** link = &shard.buckets[head.hash & (shard.buckets.size() - 1)];
  while (*link != &head) link = &(*link)->next;
  *link = head.next;
  --shard.linked;
  shard.idle.push_back(&head);
}

void LockTable::grow(LockShard& shard) {
  std::vector<LockHead*> old(shard.buckets.empty() ? 16 : shard.buckets.size() * 2, nullptr);
  old.swap(shard.buckets);
  for (LockHead* head : old) {
    while (head) {
      LockHead* const next = head->next;
      LockHead*& bucket = shard.buckets[head->hash & (shard.buckets.size() - 1)];
      head->next = bucket;
      bucket = head;
      head = next;
    }
  }
}

}  // namespace lockstep::kv
