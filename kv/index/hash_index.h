// hash_index.h: from key to entry in two cache misses: one line of the table, one entry.
//
// Open addressing over lines of eight slots. A slot holds an entry's address and, in the 16 bits that an address does
// not use, a part of its hash. So other entries are rarely touched. Readers take no lock; writers lock one shard of the
// table, which grows by itself.
//
// Rules, for every line:
//  1. A slot that was used never becomes empty again (a removed entry leaves kRemoved). The first slot that is free is
//     taken: the empty slots are at the end.
//  2. An entry is in a line behind its own only if every line between was full: a reader stops at an empty slot.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "kv/base/mutex.h"
#include "kv/index/key_set.h"
#include "kv/memory/arena.h"
#include "kv/memory/epochs.h"
#include "kv/store.h"

namespace lockstep::kv {

/// Finds entries that the owner keeps; Entry has `KeyView key() const`, which never changes. Thread-safe. A thread is
/// pinned while it calls find() and while it uses the answer.
template <class Entry, std::size_t (*Hash)(KeyView) noexcept>
class HashIndex {
 public:
  explicit HashIndex(Epochs& epochs) : epochs_(epochs) {
    for (Shard& shard : shards_) shard.table.store(new Table(1), std::memory_order_relaxed);
  }
  ~HashIndex() {
    for (Shard& shard : shards_) delete shard.table.load(std::memory_order_relaxed);
  }
  HashIndex(const HashIndex&) = delete;
  HashIndex& operator=(const HashIndex&) = delete;

  /// nullptr when there is none.
  Entry* find(KeyView key, std::size_t hash) const noexcept {
    const Table& table = *shard_of(hash).table.load(std::memory_order_acquire);
    const std::uint64_t tag = tag_of(hash);
    for (std::size_t i = table.home(hash);; i = table.next(i)) {
      for (const std::atomic<std::uint64_t>& place : table.lines[i].slots) {
        const std::uint64_t slot = place.load(std::memory_order_acquire);
        if (slot == kEmpty) return nullptr;
        if ((slot & kTagMask) != tag || slot == kRemoved) continue;
        Entry* const entry = entry_in(slot);
        if (same_key(entry->key(), key)) return entry;
      }
    }
  }

  /// The first touch of find(), for later.
  void prefetch(std::size_t hash) const noexcept {
    const Table& table = *shard_of(hash).table.load(std::memory_order_acquire);
    __builtin_prefetch(&table.lines[table.home(hash)]);
  }

  /// The second one, once the first has come: an entry that may be the one, which the caller has then fetched. nullptr:
  /// there is none in the key's own line.
  Entry* likely(std::size_t hash) const noexcept {
    const Table& table = *shard_of(hash).table.load(std::memory_order_acquire);
    const std::uint64_t tag = tag_of(hash);
    for (const std::atomic<std::uint64_t>& place : table.lines[table.home(hash)].slots) {
      const std::uint64_t slot = place.load(std::memory_order_acquire);
      if ((slot & kTagMask) == tag && slot != kRemoved) return entry_in(slot);
    }
    return nullptr;
  }

  /// The entry with this key, or the one that `make()` gives, which is then in the index. `make` runs with the shard
  /// locked.
  template <class Make>
  Entry* find_or_add(KeyView key, std::size_t hash, Make make) {
    Table* old = nullptr;
    Entry* entry = nullptr;
    {
      Shard& shard = shard_of(hash);
      MutexLock lock(shard.mutex);
      entry = find(key, hash);
      if (entry) return entry;
      entry = make();
      if ((shard.used + 1) * 4 > shard.table.load(std::memory_order_relaxed)->slots() * 3) old = rebuild(shard);
      if (place(*shard.table.load(std::memory_order_relaxed), entry, hash)) ++shard.used;
      ++shard.entries;
    }
    if (old)
      epochs_.retire(
          old, [](void* table, void*) noexcept { delete static_cast<Table*>(table); }, nullptr,
          old->slots() * sizeof(std::uint64_t));
    return entry;
  }

  /// `entry` is in the index. The owner retires it.
  void remove(const Entry* entry, std::size_t hash) noexcept {
    Shard& shard = shard_of(hash);
    MutexLock lock(shard.mutex);
    Table& table = *shard.table.load(std::memory_order_relaxed);
    const std::uint64_t slot = slot_of(entry, hash);
    for (std::size_t i = table.home(hash);; i = table.next(i)) {
      for (std::atomic<std::uint64_t>& place : table.lines[i].slots) {
        if (place.load(std::memory_order_relaxed) != slot) continue;
        place.store(kRemoved, std::memory_order_release);
        --shard.entries;
        return;
      }
    }
  }

  /// Calls `visit(entry)` for each entry, in no order. Not while anybody else changes the index.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Shard& shard : shards_) {
      const Table& table = *shard.table.load(std::memory_order_acquire);
      for (std::size_t i = 0; i < table.count; ++i)
        for (const std::atomic<std::uint64_t>& place : table.lines[i].slots)
          if (Entry* entry = entry_in(place.load(std::memory_order_acquire))) visit(entry);
    }
  }

 private:
  static constexpr std::uint64_t kEmpty = 0;
  static constexpr std::uint64_t kTagMask = 0xffff'0000'0000'0000;
  static constexpr std::uint64_t kRemoved = kTagMask;  // no address
  static constexpr std::size_t kShards = 8;            // by the highest three bits of the hash

  struct alignas(64) Line {
    std::array<std::atomic<std::uint64_t>, 8> slots{};
  };
  struct Table {
    explicit Table(std::size_t wanted) : count(wanted), lines(static_cast<Line*>(take_pages(wanted * sizeof(Line)))) {
      for (std::size_t i = 0; i < count; ++i) new (lines + i) Line;
    }
    ~Table() { std::free(lines); }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    std::size_t slots() const noexcept { return count * 8; }
    /// Any number of lines will do, so a table need not double: the low half of the hash, scaled (Lemire 2019).
    std::size_t home(std::size_t hash) const noexcept { return ((hash & 0xffff'ffff) * count) >> 32; }
    std::size_t next(std::size_t line) const noexcept { return line + 1 == count ? 0 : line + 1; }

    const std::size_t count;
    Line* const lines;
  };
  struct alignas(64) Shard {
    std::atomic<Table*> table{nullptr};  // replaced with the mutex held
    Mutex mutex;
    std::size_t used LOCKSTEP_GUARDED_BY(mutex) = 0;  // slots that are not empty
    std::size_t entries LOCKSTEP_GUARDED_BY(mutex) = 0;
  };

  static std::uint64_t tag_of(std::size_t hash) noexcept { return (hash << 6) & kTagMask; }
  static std::uint64_t slot_of(const Entry* entry, std::size_t hash) noexcept {
    return tag_of(hash) | reinterpret_cast<std::uintptr_t>(entry);
  }
  static Entry* entry_in(std::uint64_t slot) noexcept { return reinterpret_cast<Entry*>(slot & ~kTagMask); }
  Shard& shard_of(std::size_t hash) noexcept { return shards_[hash >> 61]; }
  const Shard& shard_of(std::size_t hash) const noexcept { return shards_[hash >> 61]; }

  /// True when an empty slot was taken.
  static bool place(Table& table, const Entry* entry, std::size_t hash) noexcept {
    for (std::size_t i = table.home(hash);; i = table.next(i)) {
      for (std::atomic<std::uint64_t>& place : table.lines[i].slots) {
        const std::uint64_t slot = place.load(std::memory_order_relaxed);
        if (slot != kEmpty && slot != kRemoved) continue;
        place.store(slot_of(entry, hash), std::memory_order_release);
        return slot == kEmpty;
      }
    }
  }

  /// A table without the slots of removed entries, larger when the entries need it. Answers the old one: its readers
  /// still find what they may.
  static Table* rebuild(Shard& shard) LOCKSTEP_REQUIRES(shard.mutex) {
    Table* const old = shard.table.load(std::memory_order_relaxed);
    const std::size_t needed = shard.entries / 4 + 1;  // half full
    auto table = std::make_unique<Table>(needed);
    for (std::size_t i = 0; i < old->count; ++i) {
      constexpr std::size_t kAhead = 2;  // lines whose entries are fetched while this one's are hashed
      if (i + kAhead < old->count)
        for (const std::atomic<std::uint64_t>& place : old->lines[i + kAhead].slots)
          __builtin_prefetch(entry_in(place.load(std::memory_order_relaxed)));
      for (const std::atomic<std::uint64_t>& place : old->lines[i].slots)
        if (const Entry* entry = entry_in(place.load(std::memory_order_relaxed)))
          HashIndex::place(*table, entry, Hash(entry->key()));
    }
    shard.used = shard.entries;
    shard.table.store(table.release(), std::memory_order_release);
    return old;
  }

  Epochs& epochs_;
  std::array<Shard, kShards> shards_;
};

}  // namespace lockstep::kv
