// epochs.cc: sealing what was retired with an epoch, and freeing what is older than every reader.
#include "kv/memory/epochs.h"

#include <algorithm>
#include <utility>

#include "kv/base/check.h"

namespace lockstep::kv {

Epochs::Reader::Reader(Epochs& epochs) : epochs_(epochs) {
  MutexLock lock(epochs_.readers_mutex_);
  epochs_.readers_.push_back(this);
}

Epochs::Reader::~Reader() {
  MutexLock lock(epochs_.readers_mutex_);
  std::erase(epochs_.readers_, this);
}

Epochs::~Epochs() { free_all(); }

void Epochs::free_all() noexcept {
  for (Shard& shard : shards_) {
    std::vector<Retired> list;
    {
      MutexLock lock(shard.mutex);
      list.swap(shard.list);
      shard.first = shard.sealed = shard.unsealed_bytes = 0;
    }
    for (const Retired& retired : list)
      if (retired.free) retired.free(retired.memory, retired.context);
  }
}

void Epochs::retire(void* memory, Free free, void* context, std::size_t bytes) {
  std::array<Retired, 2 * kBatch> ready;
  std::size_t count = 0;
  Shard& shard = shards_[thread_number() % kShards];
  {
    MutexLock lock(shard.mutex);
    shard.list.push_back({memory, free, context, 0});
    shard.unsealed_bytes += bytes;
    if (shard.list.size() - shard.sealed < kBatch && shard.unsealed_bytes < kBatchBytes) return;
    shard.unsealed_bytes = 0;
    // A reader that pins a later epoch has read it from this addition or a later one. So it cannot find what was taken
    // out before.
    const std::uint64_t epoch = current_.fetch_add(1, std::memory_order_acq_rel);
    for (; shard.sealed < shard.list.size(); ++shard.sealed) shard.list[shard.sealed].epoch = epoch;
    const std::uint64_t oldest = oldest_pinned();
    while (count < ready.size() && shard.first < shard.sealed && shard.list[shard.first].epoch < oldest)
      ready[count++] = std::exchange(shard.list[shard.first++], Retired{});
    if (shard.first * 2 >= shard.list.size()) {
      shard.list.erase(shard.list.begin(), shard.list.begin() + static_cast<std::ptrdiff_t>(shard.first));
      shard.sealed -= shard.first;
      shard.first = 0;
    }
  }
  for (std::size_t i = 0; i < count; ++i) ready[i].free(ready[i].memory, ready[i].context);
}

std::uint64_t Epochs::oldest_pinned() {
  MutexLock lock(readers_mutex_);
  std::uint64_t oldest = kIdle;
  // A read that is a write too: see Reader::pin().
  for (Reader* reader : readers_) oldest = std::min(oldest, reader->pinned_.fetch_add(0, std::memory_order_acq_rel));
  return oldest;
}

}  // namespace lockstep::kv
