// index.h: the ordered index: from key to record, for every protocol that keeps records of its own type.
//
// Two structures over the same entries: a hash table for one key (index/hash_index.h) and a B+tree for the order
// (index/tree.h). Only scans, new keys and keys that leave touch the tree. An entry is one piece of memory: the record,
// then the bytes of its key.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>
#include <span>
#include <thread>
#include <utility>

#include "kv/index/hash_index.h"
#include "kv/index/key_set.h"
#include "kv/index/tree.h"
#include "kv/memory/arena.h"
#include "kv/memory/epochs.h"

namespace lockstep::kv {

/// Thread-safe: any number of readers and inserters. A thread that uses it is pinned (Epochs::Reader); what it has
/// found stays valid until it unpins. What is inside a record is guarded by the protocol.
template <class Record>
class Index {
  static constexpr bool kHasRoom = requires(Record& record) { record.use_room(nullptr, std::size_t{}); };

  /// Where an entry is: in the hash table only, or for scans too.
  enum class Listing : std::uint8_t { hidden, in_progress, listed };

  /// The bytes of the key follow, then room for the record's values, if it has any. Its fields lie in what is left of
  /// the record's last word.
  struct Entry : Record {
    static constexpr std::size_t kRoomStep = 8;

    std::atomic<Listing> listing{Listing::hidden};
    const std::uint8_t room_steps;
    const std::uint16_t key_bytes_less_one;

    Entry(KeyView key, std::size_t room)
        : room_steps(static_cast<std::uint8_t>(room / kRoomStep)),
          key_bytes_less_one(static_cast<std::uint16_t>(key.size() - 1)) {
      std::memcpy(reinterpret_cast<char*>(this + 1), key.data(), key.size());
      if constexpr (kHasRoom)
        if (room > 0) Record::use_room(reinterpret_cast<char*>(this) + room_offset(key.size()), room);
    }
    static std::size_t room_offset(std::size_t key_bytes) noexcept {
      return (sizeof(Entry) + key_bytes + kRoomStep - 1) / kRoomStep * kRoomStep;
    }
    static std::size_t bytes(std::size_t key_bytes, std::size_t room) noexcept {
      return room == 0 ? sizeof(Entry) + key_bytes : room_offset(key_bytes) + room;
    }
    std::size_t bytes() const noexcept { return bytes(key().size(), room_steps * kRoomStep); }
    KeyView key() const noexcept {
      return {reinterpret_cast<const char*>(this + 1), std::size_t{key_bytes_less_one} + 1};
    }
  };
  static_assert(kMaxKeyBytes - 1 <= std::numeric_limits<std::uint16_t>::max());
  using Order = Tree<Entry>;

 public:
  /// An entry in key order, or the end.
  class Iterator {
   public:
    struct Pair {
      KeyView first;
      Record& second;
      const Pair* operator->() const noexcept { return this; }
    };
    using iterator_category = std::forward_iterator_tag;
    using value_type = Pair;
    using difference_type = std::ptrdiff_t;
    using pointer = Pair;
    using reference = Pair;

    Iterator() = default;
    Pair operator*() const noexcept { return {position_.entry->key(), *position_.entry}; }
    Pair operator->() const noexcept { return **this; }
    /// To the next entry as it is now: one that was added meanwhile is not passed over.
    Iterator& operator++() {
      order_->prefetch_behind(position_);
      position_ = order_->next(position_);
      return *this;
    }
    Iterator operator++(int) {
      Iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept {
      return a.position_.entry == b.position_.entry;
    }

   private:
    friend class Index;
    Iterator(const Order* order, typename Order::Position position) noexcept : order_(order), position_(position) {}
    const Order* order_ = nullptr;
    typename Order::Position position_;
  };

  explicit Index(Epochs& epochs) : epochs_(epochs), hash_(epochs), order_(epochs) {}
  ~Index() {
    epochs_.free_all();  // entries that are retired lie in the arena too
    hash_.for_each([this](Entry* entry) { free(entry); });
  }
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// nullptr when the key has no entry.
  Record* find(KeyView key) { return find(key, hash_of(key)); }
  Record* find(KeyView key, std::size_t hash) {
    Entry* const entry = hash_.find(key, hash);
    return entry;
  }

  static constexpr std::size_t kAtOnce = 16;  // misses that a processor can have under way

  /// The hash and the record of each of at most kAtOnce keys, nullptr for a key that has none. The cache misses of all
  /// look-ups come at once instead of one after the other. `Place` has `hash` and `record`.
  template <class Key, class Place>
  void locate(std::span<const Key> keys, std::array<Place, kAtOnce>& places) {
    std::array<Entry*, kAtOnce> likely;
    for (std::size_t i = 0; i < keys.size(); ++i) hash_.prefetch(places[i].hash = hash_of(keys[i]));
    for (std::size_t i = 0; i < keys.size(); ++i) likely[i] = fetch_likely(places[i].hash, keys[i].size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      places[i].record = likely[i] && same_key(likely[i]->key(), keys[i]) ? likely[i] : find(keys[i], places[i].hash);
  }

  /// The two steps of a look-up that comes later. The first may be taken at once, the second when its line has come.
  void fetch_line(std::size_t hash) const noexcept { hash_.prefetch(hash); }
  void fetch_entry(std::size_t hash, std::size_t key_bytes) const noexcept { fetch_likely(hash, key_bytes); }

  /// Adds an empty record for a key that is not there yet. Scans meet it when this returns.
  Record& find_or_add(KeyView key) { return find_or_add(key, hash_of(key)); }
  Record& find_or_add(KeyView key, std::size_t hash) {
    Entry* entry = hash_.find(key, hash);
    if (!entry) entry = hash_.find_or_add(key, hash, [&] { return make(key, 0); });
    list(*entry);
    return *entry;
  }

  /// As find_or_add(), but scans do not meet the record before list(). A new record has room for a value of so many
  /// bytes, if values of that length have any.
  Record& find_or_hide(KeyView key, std::size_t hash, std::size_t value_bytes = 0) {
    if (Record* const record = find(key, hash)) return *record;
    std::size_t room = 0;
    if constexpr (kHasRoom) room = Record::room_for(value_bytes);
    return *hash_.find_or_add(key, hash, [&] { return make(key, room); });
  }
  bool is_listed(Record& record) const noexcept {
    return entry_of(record).listing.load(std::memory_order_acquire) == Listing::listed;
  }
  /// For a record that find() gave: scans meet it when this returns.
  void list(Record& record) { list(entry_of(record)); }

  /// Takes the entry of `record` out; nobody adds its key again before this returns. `record` stays valid for threads
  /// that are pinned now.
  void remove(Record& record) {
    Entry& entry = entry_of(record);
    if (entry.listing.load(std::memory_order_acquire) != Listing::hidden) {
      while (entry.listing.load(std::memory_order_acquire) != Listing::listed) std::this_thread::yield();
      order_.remove(&entry);
      entry.listing.store(Listing::hidden, std::memory_order_release);
    }
    hash_.remove(&entry, hash_of(entry.key()));
    epochs_.retire(
        &entry, [](void* old, void* index) noexcept { static_cast<Index*>(index)->free(static_cast<Entry*>(old)); },
        this);
  }

  /// The key of a record that is in the index, or was when the caller was pinned.
  static KeyView key_of(const Record& record) noexcept { return static_cast<const Entry&>(record).key(); }

  /// The first entry at or after `key`, in byte order.
  Iterator at_or_after(KeyView key) { return {&order_, order_.at_or_after(key)}; }
  Iterator after(KeyView key) { return {&order_, order_.after(key)}; }
  Iterator begin() { return at_or_after({}); }
  Iterator end() { return {}; }

 private:
  /// The entry that may be that of a key with this hash. nullptr: there is none in its own line of the table.
  Entry* fetch_likely(std::size_t hash, std::size_t key_bytes) const noexcept {
    Entry* const entry = hash_.likely(hash);
    if (entry) {
      __builtin_prefetch(entry);
      __builtin_prefetch(reinterpret_cast<const char*>(entry) + sizeof(Entry) + key_bytes - 1);
    }
    return entry;
  }
  static Entry& entry_of(Record& record) noexcept { return static_cast<Entry&>(record); }

  Entry* make(KeyView key, std::size_t room) {
    return new (arena_.take(Entry::bytes(key.size(), room))) Entry(key, room);
  }
  void free(Entry* entry) noexcept {
    const std::size_t bytes = entry->bytes();
    entry->~Entry();
    arena_.give_back(entry, bytes);
  }

  void list(Entry& entry) {
    Listing listing = entry.listing.load(std::memory_order_acquire);
    if (listing == Listing::hidden &&
        entry.listing.compare_exchange_strong(listing, Listing::in_progress, std::memory_order_acquire)) {
      order_.insert(&entry);
      entry.listing.store(Listing::listed, std::memory_order_release);
      return;
    }
    while (entry.listing.load(std::memory_order_acquire) != Listing::listed) std::this_thread::yield();
  }

  Epochs& epochs_;
  Arena arena_;
  HashIndex<Entry, hash_of> hash_;
  Order order_;
};

}  // namespace lockstep::kv
