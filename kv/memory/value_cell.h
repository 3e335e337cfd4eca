// value_cell.h: a value inside a record: short ones in place, longer ones in a block beside it that is used again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "kv/memory/epochs.h"

namespace lockstep::kv {

/// One writer at a time. Readers may look meanwhile; the owner tells them (by a version or a lock) whether what they
/// got is of one moment. Every part is read with acquire and written with release, so that the owner's version needs no
/// fence.
class ValueCell {
  using Word = std::atomic<std::uint64_t>;

 public:
  ValueCell() = default;
  ValueCell(const ValueCell&) = delete;
  ValueCell& operator=(const ValueCell&) = delete;
  ~ValueCell() { Block::free(block(packed_.load(std::memory_order_relaxed))); }

  /// Copies the value into `value`. `is_still()` says whether nobody has changed it since the caller looked; false:
  /// `value` may be anything. A reader that is not alone is pinned.
  template <class IsStill>
  bool copy_to(std::string& value, IsStill is_still) const {
    const std::uint32_t packed = packed_.load(std::memory_order_acquire);
    const std::size_t size = packed & ~kInBlock;
    if (packed & kInBlock) {
      const Word* from = block(packed)->words();
      if (!is_still()) return false;  // size and block may be of different moments
      if (value.size() != size) value.resize(size);
      for (std::size_t at = 0; at < size; at += sizeof(Word)) {
        const std::uint64_t word = (from++)->load(std::memory_order_acquire);
        std::memcpy(value.data() + at, &word, std::min(sizeof word, size - at));
      }
      return is_still();
    }
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (!is_still()) return false;
    value.assign(reinterpret_cast<const char*>(&word), size);
    return true;
  }
  /// The caller keeps writers away.
  void copy_to(std::string& value) const {
    copy_to(value, [] { return true; });
  }
  bool equals(std::string_view value) const noexcept;
  /// The caller keeps everybody away from both.
  void swap(ValueCell& other) noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    const std::uint32_t packed = packed_.load(std::memory_order_relaxed);
    word_.store(other.word_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    packed_.store(other.packed_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    other.word_.store(word, std::memory_order_relaxed);
    other.packed_.store(packed, std::memory_order_relaxed);
  }

  /// The caller keeps other writers away. `epochs` is nullptr when it keeps readers away too.
  void set(std::string_view value, Epochs* epochs);

 private:
  static constexpr std::uint32_t kInBlock = std::uint32_t{1} << 31;

  /// Its words follow.
  struct Block {
    std::size_t capacity;  // words
    Word* words() noexcept { return reinterpret_cast<Word*>(this + 1); }

    static Block* make(std::size_t words);
    static void free(Block* block) noexcept { ::operator delete(block); }
  };
  Block* block(std::uint32_t packed) const noexcept {
    return packed & kInBlock ? reinterpret_cast<Block*>(word_.load(std::memory_order_acquire)) : nullptr;
  }

  Word word_{0};                          // the value, or the address of its block
  std::atomic<std::uint32_t> packed_{0};  // bytes of the value, and kInBlock
};

}  // namespace lockstep::kv
