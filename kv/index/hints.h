// hints.h: which keys a transaction was said to touch, and where they are.
//
// Each key costs two or three cache misses, one after the other: its line of the hash table, its entry, the block of a
// long value. For keys that are named together the misses of each kind come all at once. An operation then takes what
// was found, and neither hashes its key nor looks for it again.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "kv/index/index.h"

namespace lockstep::kv {

/// The hints of one transaction, which is pinned. Cleared when the next transaction begins. Not thread-safe.
///
/// A record that was found may have left the index since, as may one that find() has just given. Who looks at it sees
/// that it is vacant or gone, and asks the index again.
template <class Record>
class Hints {
 public:
  /// A key's hash, and its record or nullptr.
  struct Place {
    std::size_t hash = 0;
    Record* record = nullptr;
  };

  /// `index` outlives the hints.
  explicit Hints(Index<Record>& index) : index_(index) {}

  /// Forgets what was found before. More than kMost keys would drive the first ones out of the cache again.
  template <class Key>
  void fetch(std::span<const Key> keys) {
    clear();
    keys = keys.first(std::min(keys.size(), kMost));
    std::array<Place, kAtOnce> places;
    for (; !keys.empty(); keys = keys.subspan(std::min(keys.size(), kAtOnce))) {
      const std::size_t count = std::min(keys.size(), kAtOnce);
      index_.locate(keys.first(count), places);
      for (std::size_t i = 0; i < count; ++i) {
        if (!places[i].record) continue;
        if constexpr (requires(const Record& record) { record.prefetch_value(); }) places[i].record->prefetch_value();
        found_.push_back(places[i]);
      }
    }
  }
  void clear() noexcept {
    found_.clear();
    next_ = 0;
  }

  /// What the hints know of the key; its hash in any case.
  Place known(KeyView key) noexcept {
    if (next_ < found_.size() && is_of(found_[next_], key)) return found_[next_++];
    if (next_ > 0 && is_of(found_[next_ - 1], key)) return found_[next_ - 1];  // read, then written
    return search(key);
  }
  /// From the hints or from the index.
  Place find(KeyView key) {
    Place place = known(key);
    if (!place.record) place.record = index_.find(key, place.hash);
    return place;
  }

 private:
  static constexpr std::size_t kAtOnce = Index<Record>::kAtOnce;
  static constexpr std::size_t kMost = 256;

  static bool is_of(const Place& place, KeyView key) noexcept {
    return same_key(Index<Record>::key_of(*place.record), key);
  }
  Place search(KeyView key) noexcept {
    const std::size_t hash = hash_of(key);
    for (std::size_t i = next_; i < found_.size(); ++i) {
      if (found_[i].hash != hash || !is_of(found_[i], key)) continue;
      next_ = i + 1;
      return found_[i];
    }
    return {hash, nullptr};
  }

  Index<Record>& index_;
  std::vector<Place> found_;  // in the order in which they were named
  std::size_t next_ = 0;      // most callers keep to that order
};

}  // namespace lockstep::kv
