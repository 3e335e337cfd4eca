// key_set.h: finds what a transaction knows about a key (its lock, its write, its read) by the hash of the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace lockstep::kv {

inline std::size_t hash_of(std::string_view key) noexcept { return std::hash<std::string_view>{}(key); }

/// A multimap from hash to the position of an entry that the owner keeps elsewhere. Cleared in constant time, so that
/// one big transaction does not make the small ones after it pay. Not thread-safe.
class KeySet {
 public:
  static constexpr std::size_t npos = ~std::size_t{0};

  /// The position with this hash for which `same(position)` holds, or npos.
  template <class Same>
  std::size_t find(std::size_t hash, Same same) const {
    if (used_ == 0) return npos;
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Slot& slot = slots_[i];
      if (slot.generation != generation_) return npos;
      if (slot.hash == hash && same(slot.position)) return slot.position;
    }
  }

  void add(std::size_t hash, std::size_t position) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    place(hash, static_cast<std::uint32_t>(position));
    ++used_;
  }

  void clear() noexcept {
    used_ = 0;
    // Generation 0 marks slots that were never used: skip it when the counter comes round.
    if (++generation_ == 0) {
      for (Slot& slot : slots_) slot.generation = 0;
      generation_ = 1;
    }
  }

 private:
  struct Slot {
    std::size_t hash = 0;
    std::uint32_t position = 0;
    std::uint32_t generation = 0;
  };

  std::size_t mask() const noexcept { return slots_.size() - 1; }

  void place(std::size_t hash, std::uint32_t position) {
    std::size_t i = hash & mask();
    while (slots_[i].generation == generation_) i = (i + 1) & mask();
    slots_[i] = Slot{hash, position, generation_};
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.generation == generation_) place(slot.hash, slot.position);
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::uint32_t generation_ = 1;
};

}  // namespace lockstep::kv
