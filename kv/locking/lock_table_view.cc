// lock_table_view.cc: a look at a lock table: its holders, its waiters and the edges between them.
#include <algorithm>
#include <iterator>
#include <tuple>

#include "kv/base/spin.h"
#include "kv/locking/lock_table.h"

namespace lockstep::kv {
namespace {

LockInfo info_of(const LockRequest& request, LockSpec spec, bool granted) {
  const bool gap_only = spec.row == Strength::none;
  return LockInfo{.key = std::string(request.head->key),
                  .range = spec.gap != Strength::none,
                  .gap_only = gap_only,
                  .txn = request.owner->id,
                  .mode = mode_of(gap_only ? spec.gap : spec.row),
                  .granted = granted};
}

/// The locks of one key, or the edges of one waiter: in the order of the queue.
template <class T>
using Groups = std::vector<std::vector<T>>;

/// All groups as one list, in the order of their first elements; no two of them are equal. The tables have no order of
/// their own that a person could follow.
template <class T, class Less>
std::vector<T> joined(Groups<T> groups, Less less) {
  std::erase_if(groups, [](const std::vector<T>& group) { return group.empty(); });
  std::sort(groups.begin(), groups.end(),
            [&](const std::vector<T>& a, const std::vector<T>& b) { return less(a.front(), b.front()); });
  std::vector<T> all;
  for (std::vector<T>& group : groups)
    all.insert(all.end(), std::make_move_iterator(group.begin()), std::make_move_iterator(group.end()));
  return all;
}

}  // namespace

void LockTable::for_each_blocker(const LockRequest& request, const std::function<void(const LockRequest&)>& visit) {
  for (const LockRequest* holder = request.head->first_holder; holder; holder = holder->next_holder)
    if (holder->owner != request.owner && holder->held.conflicts_with(request.wanted)) visit(*holder);
  if (request.is_conversion()) return;
  // Those in front, the first of them first. One that holds and conflicts by that has been visited already.
  const LockRequest* front = request.owner->waiting == &request ? request.head->first_waiter : nullptr;
  for (; front && front != &request; front = front->next_waiter)
    if (front->wanted.conflicts_with(request.wanted) && !front->held.conflicts_with(request.wanted)) visit(*front);
}

void LockTable::for_each_blocked(const LockRequest& request, const std::function<void(const LockRequest&)>& visit) {
  bool behind = false;
  for (const LockRequest* waiter = request.head->first_waiter; waiter; waiter = waiter->next_waiter) {
    if (waiter == &request) {
      behind = true;
    } else if (waiter->owner != request.owner) {
      const bool queued_for_it = behind && !waiter->is_conversion() && request.wanted.conflicts_with(waiter->wanted);
      if (request.held.conflicts_with(waiter->wanted) || queued_for_it) visit(*waiter);
    }
  }
}

void LockTable::for_each_rival(const LockRequest& request, const std::function<void(const LockRequest&)>& visit) {
  if (!request.is_conversion()) return;
  const LockRequest* rival = request.head->first_waiter;
  for (; rival && rival->is_conversion(); rival = rival->next_waiter)
    if (rival != &request && rival->wanted.conflicts_with(request.wanted)) visit(*rival);
}

WaitEdge LockTable::edge(const LockRequest& waiter, const LockRequest& blocker) {
  const LockSpec theirs = blocker.held.conflicts_with(waiter.wanted) ? blocker.held : blocker.wanted;
  const bool row = kv::conflicts(waiter.wanted.row, theirs.row);
  return WaitEdge{.waiter = waiter.owner->id,
                  .holder = blocker.owner->id,
                  .key = std::string(waiter.head->key),
                  .wanted = mode_of(row ? waiter.wanted.row : waiter.wanted.gap),
                  .held = mode_of(row ? theirs.row : theirs.gap),
                  .range = !row};
}

// The analysis cannot follow a loop that takes every mutex; they are taken in the order of the table and given back.
void LockTable::frozen(const std::function<void()>& look) const LOCKSTEP_NO_ANALYSIS {
  for (const LockShard& shard : shards_) shard.mutex.lock();
  look();
  for (const LockShard& shard : shards_) shard.mutex.unlock();
}

void LockTable::at_wait(const LockOwner& owner, const std::function<void(const LockRequest&)>& look) const {
  LockShard* const shard = owner.queued_in;  // as in withdraw()
  if (!shard) return;
  SpinningLock lock(shard->mutex);
  if (owner.is_waiting()) look(*owner.waiting);
}

void LockTable::at_key(const LockRequest& request, const std::function<void()>& look) const {
  SpinningLock lock(shard_of(*request.cell.load(std::memory_order_relaxed)).mutex);
  look();
}

std::vector<LockInfo> LockTable::locks() const {
  const_cast<LockTable*>(this)->inflate_all();  // says the same in another form
  Groups<LockInfo> keys;
  for (const LockShard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (const auto& head : shard.heads) {
      if (!head->cell) continue;
      std::vector<LockInfo>& infos = keys.emplace_back();
      for (const LockRequest* r = head->first_holder; r; r = r->next_holder)
        infos.push_back(info_of(*r, r->held, true));
      for (const LockRequest* r = head->first_waiter; r; r = r->next_waiter)
        infos.push_back(info_of(*r, r->wanted, false));
    }
  }
  // The end of the key space comes last.
  return joined(std::move(keys), [](const LockInfo& a, const LockInfo& b) {
    return std::tuple(a.key.empty(), KeyView(a.key)) < std::tuple(b.key.empty(), KeyView(b.key));
  });
}

std::vector<WaitEdge> LockTable::waits() const {
  Groups<WaitEdge> waiters;
  for (const LockShard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (const auto& head : shard.heads) {
      for (const LockRequest* r = head->first_waiter; r; r = r->next_waiter) {
        std::vector<WaitEdge>& edges = waiters.emplace_back();
        for_each_blocker(*r, [&](const LockRequest& blocker) { edges.push_back(edge(*r, blocker)); });
      }
    }
  }
  return joined(std::move(waiters), [](const WaitEdge& a, const WaitEdge& b) { return a.waiter < b.waiter; });
}

std::vector<WaitEdge> LockTable::waits_of(const LockOwner& owner) const {
  std::vector<WaitEdge> edges;
  while (LockShard* const shard = owner.waits_in.load(std::memory_order_acquire)) {
    MutexLock lock(shard->mutex);
    if (owner.waits_in.load(std::memory_order_acquire) != shard) continue;  // it went on meanwhile
    for_each_blocker(*owner.waiting,
                     [&](const LockRequest& blocker) { edges.push_back(edge(*owner.waiting, blocker)); });
    break;
  }
  return edges;
}

}  // namespace lockstep::kv
