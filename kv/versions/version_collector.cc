// version_collector.cc: the queues, and what is done with a row whose turn has come.
#include "kv/versions/version_collector.h"

#include <algorithm>
#include <mutex>

namespace lockstep::kv {

void VersionCollector::add(std::span<VersionedRecord* const> records, Stamp when) {
  if (records.empty()) return;
  Shard& shard = shards_[thread_number() % kShards];
  MutexLock lock(shard.mutex);
  for (VersionedRecord* const record : records) shard.queue.push_back({record, when});
}

std::vector<VersionCollector::Queued>& VersionCollector::batch_of_this_thread() {
  thread_local std::vector<Queued> batch;
  batch.clear();
  return batch;
}

std::vector<VersionCollector::Queued>& VersionCollector::due(Stamp horizon, std::size_t limit) {
  std::vector<Queued>& batch = batch_of_this_thread();
  Shard& mine = shards_[thread_number() % kShards];
  std::size_t other = kShards;
  {
    MutexLock lock(mine.mutex);
    take_due(mine, horizon, limit, batch);
    if (++mine.turn % kTurns == 0) other = mine.turn / kTurns % kShards;
  }
  if (other < kShards) {
    MutexLock lock(shards_[other].mutex);
    take_due(shards_[other], horizon, limit, batch);
  }
  return batch;
}

void VersionCollector::take_due(Shard& shard, Stamp horizon, std::size_t limit, std::vector<Queued>& batch) {
  for (; limit > 0 && shard.first < shard.queue.size() && shard.queue[shard.first].when <= horizon; --limit)
    batch.push_back(shard.queue[shard.first++]);
  if (shard.first > shard.queue.size() / 2) {
    shard.queue.erase(shard.queue.begin(), shard.queue.begin() + static_cast<std::ptrdiff_t>(shard.first));
    shard.first = 0;
  }
}

Version* VersionCollector::work_off(VersionedRecord& record, Stamp horizon) {
  Version* unseen = nullptr;
  bool gone = false;
  bool again = false;
  {
    const std::lock_guard<VersionedRecord::Latch> latch(record.latch);
    unseen = record.collect(horizon);
    const bool is_tombstone = !record.newest.is_none() && !record.newest.writer() && !record.newest.exists();
    if (record.newest.older)
      again = true;
    else if (is_tombstone)
      again = !(gone = leaves(record, horizon));
    record.is_queued = again;
  }
  if (gone) index_.remove(record);
  if (again) {
    VersionedRecord* const one = &record;
    add({&one, 1}, horizon + 1);
  }
  return unseen;
}

// Nobody has or wants its lock, and every transaction that has read it is over. From here on there is nothing that it
// could tell anybody.
bool VersionCollector::leaves(VersionedRecord& record, Stamp horizon) noexcept {
  if (record.newest.stamp() > horizon || record.latest_reader >= horizon) return false;
  std::uintptr_t free = 0;
  if (!record.word.compare_exchange_strong(free, LockCell::kGone | LockCell::kVacant)) return false;
  record.pop();
  return true;
}

}  // namespace lockstep::kv
