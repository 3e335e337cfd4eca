// key_set.h: finds what a transaction knows about a key (its lock, its write, its read) by the hash of the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace lockstep::kv {

/// Every bit of the hash depends on every bit of the key. Each step multiplies two words that hold it to 128 bits and
/// folds them (the mixing step of wyhash). Not for keys that an adversary chooses.
inline std::size_t hash_of(std::string_view key) noexcept {
  static_assert(sizeof(std::size_t) == 8);
  const auto mixed = [](std::uint64_t a, std::uint64_t b) noexcept {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const auto word = [](const char* at, std::size_t bytes) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, at, bytes);
    return value;
  };
  constexpr std::uint64_t kFirst = 0x9e37'79b9'7f4a'7c15;
  constexpr std::uint64_t kSecond = 0xd6e8'feb8'6659'fd93;
  const char* at = key.data();
  std::size_t left = key.size();
  std::uint64_t hash = kFirst ^ key.size();
  for (; left > 16; at += 16, left -= 16) hash = mixed(word(at, 8) ^ kSecond, word(at + 8, 8) ^ hash);
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (left >= 8) {
    low = word(at, 8);
    high = word(at + left - 8, 8);
  } else if (left >= 4) {
    low = word(at, 4);
    high = word(at + left - 4, 4);
  } else if (left > 0) {  // first, middle and last byte
    low = word(at, 1) << 16 | word(at + left / 2, 1) << 8 | word(at + left - 1, 1);
  }
  return mixed(mixed(low ^ kSecond, high ^ hash), kSecond ^ key.size());
}

/// As a == b, without a call for the short keys that are usual.
inline bool same_key(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  std::size_t at = 0;
  for (; at + 8 <= a.size(); at += 8) {
    std::uint64_t x = 0;
    std::uint64_t y = 0;
    std::memcpy(&x, a.data() + at, 8);
    std::memcpy(&y, b.data() + at, 8);
    if (x != y) return false;
  }
  for (; at < a.size(); ++at)
    if (a[at] != b[at]) return false;
  return true;
}

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
