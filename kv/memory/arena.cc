// arena.cc: cutting chunks into pieces.
#include "kv/memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "kv/memory/epochs.h"

namespace lockstep::kv {
namespace {

// A sanitizer sees the end of each piece only when the pieces are its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kUsesChunks = false;
#else
constexpr bool kUsesChunks = true;
#endif

constexpr std::size_t kLargePage = std::size_t{2} * 1024 * 1024;

}  // namespace

void* take_pages(std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  const std::size_t alignment = bytes > kLargePage / 2 ? kLargePage : kCacheLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, rounded);
  if (!memory) throw std::bad_alloc();
  // Only a hint: with a large page each, random look-ups miss the TLB far less often.
  if (alignment == kLargePage) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

Arena::~Arena() {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    for (void* chunk : shard.chunks) std::free(chunk);
  }
}

void* Arena::take(std::size_t bytes) {
  if (!kUsesChunks || bytes > kLargest) return ::operator new(bytes);
  const std::size_t step = (bytes + kStep - 1) / kStep;
  Shard& shard = shards_[thread_number() % kShards];
  MutexLock lock(shard.mutex);
  if (Free* const first = shard.free[step]) {
    shard.free[step] = first->next;
    return first;
  }
  if (shard.left < step * kStep) grow(shard);
  void* const memory = shard.at;
  shard.at += step * kStep;
  shard.left -= step * kStep;
  return memory;
}

void Arena::give_back(void* memory, std::size_t bytes) noexcept {
  if (!kUsesChunks || bytes > kLargest) return ::operator delete(memory);
  const std::size_t step = (bytes + kStep - 1) / kStep;
  Shard& shard = shards_[thread_number() % kShards];
  MutexLock lock(shard.mutex);
  shard.free[step] = new (memory) Free{shard.free[step]};
}

void Arena::grow(Shard& shard) {
  const std::size_t bytes = shard.next_chunk;
  shard.next_chunk = std::min(2 * bytes, kLargePage);
  void* const chunk = take_pages(bytes);
  shard.chunks.push_back(chunk);
  shard.at = static_cast<char*>(chunk);
  shard.left = bytes;
}

}  // namespace lockstep::kv
