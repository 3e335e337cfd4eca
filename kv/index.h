// index.h: the ordered index: from key to record, for every protocol that keeps records of its own type.
//
// A lock-free skip list of oneTBB. A record that is erased stays as a tombstone (the protocol says so in the record),
// so an entry never leaves the index: iterators and records stay valid for the life of the store, and a gap between two
// keys can only be split, never merged. The price is memory for every key that ever existed.
#pragma once

#include <tbb/concurrent_map.h>

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace lockstep::kv {

/// Thread-safe: any number of readers and inserters. What is inside a record is guarded by the protocol.
template <class Record>
class Index {
  struct Less {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept { return a < b; }
  };
  using Entries = tbb::concurrent_map<std::string, Record, Less, std::allocator<std::pair<const std::string, Record>>>;

 public:
  using Iterator = typename Entries::iterator;

  /// nullptr when the key never existed. The record of an erased key is found: it is a tombstone.
  Record* find(std::string_view key) {
    const auto it = entries_.find(key);
    return it == entries_.end() ? nullptr : &it->second;
  }

  /// Adds an empty record for a key that is not there yet.
  Record& find_or_add(std::string_view key) {
    const auto it = entries_.find(key);
    if (it != entries_.end()) return it->second;
    return entries_.emplace(std::piecewise_construct, std::forward_as_tuple(key), std::forward_as_tuple())
        .first->second;
  }

  /// The first entry at or after `key`, in byte order.
  Iterator at_or_after(std::string_view key) { return entries_.lower_bound(key); }
  Iterator after(std::string_view key) { return entries_.upper_bound(key); }
  Iterator begin() { return entries_.begin(); }
  Iterator end() { return entries_.end(); }

 private:
  Entries entries_;
};

}  // namespace lockstep::kv
