// arena.h: memory for many small things of one store: no header in front of each, and large pages where there is much.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "kv/base/mutex.h"

namespace lockstep::kv {

/// At least `bytes`, aligned to a cache line, in large pages when there is enough for one; for std::free().
void* take_pages(std::size_t bytes);

/// Gives memory in steps of 16 bytes, aligned to 16, and takes it back for the next of the same size. What it has it
/// keeps to its end. Larger things than kLargest come from operator new. Thread-safe: threads keep to different shards.
class Arena {
 public:
  static constexpr std::size_t kLargest = 384;  // an entry with a key and a value of usual lengths

  Arena() = default;
  /// Whatever is still there goes with it.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* take(std::size_t bytes);
  /// `bytes` as at take().
  void give_back(void* memory, std::size_t bytes) noexcept;

 private:
  static constexpr std::size_t kStep = 16;
  static constexpr std::size_t kShards = 8;
  static constexpr std::size_t kFirstChunk = 4096;

  struct Free {
    Free* next;
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::array<Free*, kLargest / kStep + 1> free LOCKSTEP_GUARDED_BY(mutex){};
    char* at LOCKSTEP_GUARDED_BY(mutex) = nullptr;
    std::size_t left LOCKSTEP_GUARDED_BY(mutex) = 0;
    std::size_t next_chunk LOCKSTEP_GUARDED_BY(mutex) = kFirstChunk;  // doubles, so that a small store stays small
    std::vector<void*> chunks LOCKSTEP_GUARDED_BY(mutex);
  };
  static void grow(Shard& shard) LOCKSTEP_REQUIRES(shard.mutex);

  std::array<Shard, kShards> shards_;
};

}  // namespace lockstep::kv
