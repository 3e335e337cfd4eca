// banker_locks.cc: the safe-state check, and what is granted because of it.
#include "kv/locking/banker_locks.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::kv {
namespace {

bool has_claimed(const LockOwner& owner, KeyView key) {
  if (owner.claims_all) return true;
  if (owner.claims.empty()) return false;
  return key == kEndOfKeys || std::find(owner.claims.begin(), owner.claims.end(), key) != owner.claims.end();
}

Error claim_exceeded(const LockOwner& owner, KeyView key, LockSpec wanted) {
  std::string claims;
  for (const std::string& claim : owner.claims) claims += (claims.empty() ? "" : ", ") + claim;
  const std::string what = key.empty() ? "the membership of the store" : describe(key, wanted);
  return Error{Fault::claim_exceeded,
               {},
               claims.empty()
                   ? fmt::format("{} may not lock {}: it declared no claims, and the banker grants only keys that were "
                                 "claimed at begin",
                                 owner.name(), what)
                   : fmt::format("{} may not lock {}: it claimed only {} at begin", owner.name(), what, claims)};
}

}  // namespace

Locked BankerLocks::lock(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) {
  const KeyView key = target.key;
  LockRequest* mine = find_request(owner, key);
  if (mine && mine->held.covers(wanted)) return Locked::granted;
  if (!has_claimed(owner, key)) {
    owner.verdict = claim_exceeded(owner, key, wanted);
    return Locked::refused;
  }

  MutexLock lock(all_.mutex);
  if (mine) {  // there is only one unit, and it has it
    mine->held = mine->wanted = mine->held.joined(wanted);
    return Locked::granted;
  }
  Resource& resource = resource_of(key);
  owner.by_key.add(hash_of(key), owner.requests.size());
  mine = &owner.requests.take({nullptr, resource.head.key});
  mine->head = &resource.head;
  mine->wanted = wanted;
  if (!resource.holder && stuck_if_granted(owner, key).empty()) {
    grant(resource, *mine);
    return Locked::granted;
  }
  mine->waiter = &waiter;
  ++resource.waiting;
  queue_.push_back(mine);
  owner.waiting = mine;
  owner.verdict.reset();
  owner.waits_since = config_.clock->now();
  owner.deadline = config_.clock->after(config_.lock_timeout);
  ++owner.wait_number;
  owner.queued_in = &all_;
  owner.waits_in.store(&all_, std::memory_order_release);
  return Locked::pending;
}

// Habermann's check: a transaction that can get all that it has claimed will finish and give back what it holds. Repeat
// until none is left or none can. Only transactions that hold something can be in anybody's way.
BankerLocks::Owners BankerLocks::stuck_if_granted(const LockOwner& requester, KeyView key) const {
  // Alone it can finish whatever it is given. Without this shortcut a transaction that fills or reads the whole store
  // would go through all that it holds for each key.
  const bool is_alone = units_.empty() || (units_.size() == 1 && units_.begin()->first == &requester);
  if (is_alone) return {};
  std::map<KeyView, const LockOwner*> holders{{key, &requester}};
  for (const auto& [name, resource] : resources_)
    if (resource.holder) holders.emplace(name, resource.holder->owner);
  const auto older = [](const LockOwner* a, const LockOwner* b) { return a->id < b->id; };
  Owners running;
  for (const auto& [name, holder] : holders) running.push_back(holder);
  std::sort(running.begin(), running.end(), older);
  running.erase(std::unique(running.begin(), running.end()), running.end());

  // `who` cannot have `k` yet: another transaction that has not finished holds it.
  const auto is_blocked_by = [&](const LockOwner& who, KeyView k) {
    const auto held = holders.find(k);
    return held != holders.end() && held->second != &who &&
           std::binary_search(running.begin(), running.end(), held->second, older);
  };
  const auto can_finish = [&](const LockOwner* who) {
    if (who->claims_all) return running.size() == 1;  // everybody left holds something that it has claimed
    return !is_blocked_by(*who, kEndOfKeys) &&
           std::none_of(who->claims.begin(), who->claims.end(), [&](KeyView k) { return is_blocked_by(*who, k); });
  };
  while (true) {
    const auto finishes = std::find_if(running.begin(), running.end(), can_finish);
    if (finishes == running.end()) return running;
    running.erase(finishes);
  }
}

LockRequest* BankerLocks::find_request(LockOwner& owner, KeyView key) const {
  const std::size_t position = owner.by_key.find(
      hash_of(key), [&](std::size_t i) { return owner.requests[i].head && owner.requests[i].head->key == key; });
  return position == KeySet::npos ? nullptr : &owner.requests[position];
}

LockRequest* BankerLocks::find(LockOwner& owner, const LockTarget& target) { return find_request(owner, target.key); }

void BankerLocks::weaken(LockRequest& request, LockSpec kept) noexcept {
  LOCKSTEP_CHECK(request.held.covers(kept), "a lock cannot be weakened to more than is held");
  MutexLock lock(all_.mutex);
  request.held = request.wanted = kept;
  if (kept.any()) return;  // still the one unit
  give_back(request);
  grant_waiters();
}

void BankerLocks::release_all(LockOwner& owner) noexcept {
  LOCKSTEP_CHECK(!owner.is_waiting(), "{} gives back its locks while it waits", owner.name());
  MutexLock lock(all_.mutex);
  for (std::size_t i = 0; i < owner.requests.size(); ++i)
    if (owner.requests[i].head) give_back(owner.requests[i]);
  owner.requests.clear();
  owner.by_key.clear();
  grant_waiters();
}

bool BankerLocks::cancel(LockOwner& owner, Fault why) noexcept {
  MutexLock lock(all_.mutex);
  if (!owner.is_waiting()) return false;
  const LockRequest& request = *owner.waiting;
  std::string holders;
  for (const LockOwner* other : blockers_of(request)) holders += (holders.empty() ? "" : ", ") + other->name();
  owner.verdict = Error{why,
                        {},
                        describe_cancelled(owner, why, config_.clock->now() - owner.waits_since, request.head->key,
                                           request.wanted, holders)};
  dequeue(owner);
  return true;
}

BankerLocks::Resource& BankerLocks::resource_of(KeyView key) {
  const auto found = resources_.find(key);
  if (found != resources_.end()) return found->second;
  const auto added = resources_.try_emplace(std::string(key)).first;
  added->second.head.key = added->first;
  return added->second;
}

BankerLocks::Resource& BankerLocks::resource_of(const LockRequest& request) {
  return resources_.find(request.head->key)->second;
}

void BankerLocks::forget_if_idle(const LockHead& head) {
  const auto found = resources_.find(head.key);
  if (!found->second.holder && found->second.waiting == 0) resources_.erase(found);
}

void BankerLocks::grant(Resource& resource, LockRequest& request) {
  resource.holder = &request;
  ++units_[request.owner];
  request.held = request.wanted;
}

void BankerLocks::give_back(LockRequest& request) noexcept {
  if (const auto units = units_.find(request.owner); --units->second == 0) units_.erase(units);
  resource_of(request).holder = nullptr;
  const LockHead& head = *request.head;
  request.held = request.wanted = LockSpec{};
  request.head = nullptr;
  forget_if_idle(head);
}

void BankerLocks::grant_waiters() noexcept {
  for (std::size_t i = 0; i < queue_.size();) {
    LockRequest& request = *queue_[i];
    Resource& resource = resource_of(request);
    if (resource.holder || !stuck_if_granted(*request.owner, resource.head.key).empty()) {
      ++i;
      continue;
    }
    Waiter* const waiter = request.waiter;
    --resource.waiting;
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    grant(resource, request);
    request.owner->waiting = nullptr;
    request.owner->waits_in.store(nullptr, std::memory_order_release);
    waiter->wake();  // last: its owner may be running from here on
  }
}

void BankerLocks::dequeue(LockOwner& owner) noexcept {
  LockRequest& request = *owner.waiting;
  std::erase(queue_, &request);
  --resource_of(request).waiting;
  const LockHead& head = *request.head;
  request.head = nullptr;
  request.wanted = LockSpec{};
  owner.waiting = nullptr;
  owner.waits_in.store(nullptr, std::memory_order_release);
  forget_if_idle(head);
}

BankerLocks::Owners BankerLocks::blockers_of(const LockRequest& request) const {
  const auto found = resources_.find(request.head->key);
  if (found->second.holder) return {found->second.holder->owner};
  Owners stuck = stuck_if_granted(*request.owner, request.head->key);
  std::erase(stuck, request.owner);
  return stuck;
}

std::vector<WaitEdge> BankerLocks::edges_of(const LockRequest& request) const {
  const bool avoidance = resources_.find(request.head->key)->second.holder == nullptr;
  std::vector<WaitEdge> edges;
  for (const LockOwner* holder : blockers_of(request))
    edges.push_back(WaitEdge{.waiter = request.owner->id,
                             .holder = holder->id,
                             .key = std::string(request.head->key),
                             .wanted = LockMode::exclusive,
                             .held = LockMode::exclusive,
                             .range = request.head->key.empty(),
                             .avoidance = avoidance});
  return edges;
}

std::vector<LockInfo> BankerLocks::locks() const {
  MutexLock lock(all_.mutex);
  std::vector<LockInfo> infos;
  const auto add = [&infos](const LockRequest& request, bool granted) {
    const bool end = request.head->key.empty();
    infos.push_back(LockInfo{.key = std::string(request.head->key),
                             .range = end,
                             .gap_only = end,
                             .txn = request.owner->id,
                             .mode = LockMode::exclusive,
                             .granted = granted});
  };
  const auto add_all = [&](const Resource& resource, const std::vector<LockRequest*>& queue) {
    if (resource.holder) add(*resource.holder, true);
    for (const LockRequest* request : queue)
      if (request->head == &resource.head) add(*request, false);
  };
  // As in a lock table, the end of the key space comes last.
  for (const auto& [key, resource] : resources_)
    if (!key.empty()) add_all(resource, queue_);
  const auto end = resources_.find(kEndOfKeys);
  if (end != resources_.end()) add_all(end->second, queue_);
  return infos;
}

std::vector<WaitEdge> BankerLocks::waits() const {
  MutexLock lock(all_.mutex);
  std::vector<const LockRequest*> waiting(queue_.begin(), queue_.end());
  std::sort(waiting.begin(), waiting.end(),
            [](const LockRequest* a, const LockRequest* b) { return a->owner->id < b->owner->id; });
  std::vector<WaitEdge> edges;
  for (const LockRequest* request : waiting)
    for (WaitEdge& edge : edges_of(*request)) edges.push_back(std::move(edge));
  return edges;
}

std::vector<WaitEdge> BankerLocks::waits_of(const LockOwner& owner) const {
  MutexLock lock(all_.mutex);
  return owner.is_waiting() ? edges_of(*owner.waiting) : std::vector<WaitEdge>{};
}

}  // namespace lockstep::kv
