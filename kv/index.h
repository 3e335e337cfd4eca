// index.h: the ordered index: from key to record, for every protocol that keeps records of its own type.
//
// Two structures over the same entries: a hash table for one key (index/hash_index.h) and a B+tree for the order
// (index/tree.h), which only scans, new keys and keys that leave touch. An entry is one piece of memory: the record,
// then the bytes of its key.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <new>
#include <thread>
#include <utility>

#include "kv/epochs.h"
#include "kv/index/hash_index.h"
#include "kv/index/tree.h"
#include "kv/key_set.h"

namespace lockstep::kv {

/// Thread-safe: any number of readers and inserters. Whoever uses it is pinned (Epochs::Reader), and what it has found
/// stays valid until it unpins. What is inside a record is guarded by the protocol.
template <class Record>
class Index {
  /// Where an entry is: in the hash table only, or for scans too.
  enum class Listing : std::uint8_t { hidden, in_progress, listed };

  struct Entry {
    Record record;
    std::atomic<Listing> listing{Listing::hidden};
    const std::uint32_t key_bytes;

    explicit Entry(KeyView key) : key_bytes(static_cast<std::uint32_t>(key.size())) {
      std::memcpy(reinterpret_cast<char*>(this + 1), key.data(), key.size());
    }
    KeyView key() const noexcept { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }

    static Entry* make(KeyView key) { return new (::operator new(sizeof(Entry) + key.size())) Entry(key); }
    static void free(Entry* entry) noexcept {
      entry->~Entry();
      ::operator delete(entry);
    }
  };
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
    Pair operator*() const noexcept { return {position_.entry->key(), position_.entry->record}; }
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

  explicit Index(Epochs& epochs) : hash_(epochs), order_(epochs) {}
  ~Index() {
    hash_.for_each([](Entry* entry) { Entry::free(entry); });
  }
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// nullptr when the key has no entry.
  Record* find(KeyView key) { return find(key, hash_of(key)); }
  Record* find(KeyView key, std::size_t hash) {
    Entry* const entry = hash_.find(key, hash);
    return entry ? &entry->record : nullptr;
  }

  /// Adds an empty record for a key that is not there yet. Scans meet it when this returns.
  Record& find_or_add(KeyView key) { return find_or_add(key, hash_of(key)); }
  Record& find_or_add(KeyView key, std::size_t hash) {
    Entry* entry = hash_.find(key, hash);
    if (!entry) entry = hash_.find_or_add(key, hash, [key] { return Entry::make(key); });
    list(*entry);
    return entry->record;
  }

  /// The first entry at or after `key`, in byte order.
  Iterator at_or_after(KeyView key) { return {&order_, order_.at_or_after(key)}; }
  Iterator after(KeyView key) { return {&order_, order_.after(key)}; }
  Iterator begin() { return at_or_after({}); }
  Iterator end() { return {}; }

 private:
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

  HashIndex<Entry, hash_of> hash_;
  Order order_;
};

}  // namespace lockstep::kv
