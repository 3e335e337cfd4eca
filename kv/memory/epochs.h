// epochs.h: the reuse of memory that other threads may still be looking at.
//
// Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004, 5.2.3). A reader of shared structures pins the
// current epoch first. What is taken out of them is retired, and freed when every reader that was pinned then has gone.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "kv/base/mutex.h"

namespace lockstep::kv {

/// A small number of this thread, so that threads keep to different shards of what is shared.
inline std::size_t thread_number() noexcept {
  static std::atomic<std::size_t> threads{0};
  thread_local std::size_t mine = 0;  // a constant at first: no look whether it has been initialised
  if (mine == 0) mine = threads.fetch_add(1, std::memory_order_relaxed) + 1;
  return mine - 1;
}

/// Thread-safe. Lock order: the mutex of a shard, then `readers_mutex_`; both are leaves to everybody else, and no
/// callback runs with one held.
///
/// A transaction that stays open holds up everything that is retired after its begin, as an old snapshot does.
class Epochs {
 public:
  /// A reader of shared structures, pinned from pin() to unpin(): each is an atomic operation on a cache line of its
  /// own. One thread at a time; lives no longer than its Epochs.
  class alignas(64) Reader {
   public:
    explicit Reader(Epochs& epochs);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // An older epoch than the current one only delays. The exchange is ordered with the one in oldest_pinned(). Either
    // that one sees this pin, or whatever was retired before it can no longer be found after this.
    void pin() noexcept {
      pinned_.exchange(epochs_.current_.load(std::memory_order_acquire), std::memory_order_acq_rel);
    }
    void unpin() noexcept { pinned_.store(kIdle, std::memory_order_release); }

   private:
    friend class Epochs;
    Epochs& epochs_;
    std::atomic<std::uint64_t> pinned_{kIdle};
  };

  /// Pins for a scope.
  class Pin {
   public:
    explicit Pin(Epochs& epochs) : reader_(epochs) { reader_.pin(); }

   private:
    Reader reader_;
  };

  using Free = void (*)(void* memory, void* context) noexcept;

  Epochs() = default;
  /// Frees everything that was retired.
  ~Epochs();
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  /// Calls `free(memory, context)` once nobody can look at `memory` any more, possibly from another thread, possibly
  /// not before the end. New readers must not be able to find it. Not with a lock held that `free` takes.
  /// `bytes`, if it is worth saying: much memory is not left waiting for a whole batch.
  void retire(void* memory, Free free, void* context, std::size_t bytes = 0);
  /// Frees what is retired; nobody is pinned.
  void free_all() noexcept;

 private:
  static constexpr std::uint64_t kIdle = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kBatch = 64;  // one look at the readers for so many, or for so much
  static constexpr std::size_t kBatchBytes = std::size_t{256} * 1024;

  struct Retired {
    void* memory = nullptr;
    Free free = nullptr;
    void* context = nullptr;
    std::uint64_t epoch = 0;  // 0: not sealed yet
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::vector<Retired> list LOCKSTEP_GUARDED_BY(mutex);  // [first, sealed) have an epoch, in ascending order
    std::size_t first LOCKSTEP_GUARDED_BY(mutex) = 0;
    std::size_t sealed LOCKSTEP_GUARDED_BY(mutex) = 0;
    std::size_t unsealed_bytes LOCKSTEP_GUARDED_BY(mutex) = 0;
  };

  std::uint64_t oldest_pinned();

  // Written once for a batch, so readers mostly find it in their own cache.
  alignas(64) std::atomic<std::uint64_t> current_{1};
  std::array<Shard, kShards> shards_;
  Mutex readers_mutex_;
  std::vector<Reader*> readers_ LOCKSTEP_GUARDED_BY(readers_mutex_);
};

}  // namespace lockstep::kv
