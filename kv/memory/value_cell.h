// value_cell.h: a value inside a record: short ones in place, longer ones in a block beside it that is used again. The
// block lies behind the record, where its owner has left room, or elsewhere.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "kv/memory/epochs.h"
#include "kv/memory/short_copy.h"

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
  ~ValueCell() {
    if (has_own_block()) Block::free(block(packed_.load(std::memory_order_relaxed)));
  }

  /// The room for values of up to `bytes` bytes, in steps of 8 as the memory that it takes.
  static constexpr std::size_t room_for(std::size_t bytes) noexcept {
    return bytes <= sizeof(Word) || bytes > kMostInRoom ? 0 : sizeof(Block) + words_for(bytes) * sizeof(Word);
  }
  /// Before anybody else sees the cell: `memory` is room for its values, as long as the cell lives. It is not used any
  /// more once a value has not fitted.
  void use_room(void* memory, std::size_t room) noexcept {
    Block* const block = Block::in(memory, (room - sizeof(Block)) / sizeof(Word));
    word_.store(reinterpret_cast<std::uintptr_t>(block) | kIsRoom, std::memory_order_relaxed);
    packed_.store(kInBlock, std::memory_order_relaxed);
  }

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
      char* to = value.data();
      for (std::size_t left = size; left >= sizeof(Word); left -= sizeof(Word), to += sizeof(Word)) {
        const std::uint64_t word = (from++)->load(std::memory_order_acquire);
        std::memcpy(to, &word, sizeof word);
      }
      if (const std::size_t left = size % sizeof(Word)) {
        const std::uint64_t word = from->load(std::memory_order_acquire);
        copy_few(to, reinterpret_cast<const char*>(&word), left);
      }
      return is_still();
    }
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (!is_still()) return false;
    assign_short(value, {reinterpret_cast<const char*>(&word), size});
    return true;
  }
  /// The caller keeps writers away.
  void copy_to(std::string& value) const {
    copy_to(value, [] { return true; });
  }
  bool equals(std::string_view value) const noexcept;
  /// Fetches a value that is not in place into the cache. Looks at no byte of its block, so it may race with everybody:
  /// a block that has just gone is fetched in vain, and a fetch of any address is allowed.
  void prefetch_value() const noexcept {
    const std::uint32_t packed = packed_.load(std::memory_order_relaxed);
    if ((packed & kInBlock) == 0) return;
    constexpr std::size_t kLine = 64;
    constexpr std::size_t kMost = 8 * kLine;  // the processor itself fetches what follows when it sees the order
    const auto* const at = reinterpret_cast<const char*>(word_.load(std::memory_order_relaxed) & ~kIsRoom);
    const std::size_t bytes = std::min(sizeof(Block) + (packed & ~kInBlock), kMost);
    for (std::size_t line = 0; line < bytes; line += kLine) __builtin_prefetch(at + line);
    __builtin_prefetch(at + bytes - 1);
  }
  /// Takes the value of `other`, and gives it the memory of this one if it can. The caller keeps everybody away from
  /// both.
  void take_from(ValueCell& other) {
    if (has_room() || other.has_room()) return set(other.view(), nullptr);
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    const std::uint32_t packed = packed_.load(std::memory_order_relaxed);
    word_.store(other.word_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    packed_.store(other.packed_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    other.word_.store(word, std::memory_order_relaxed);
    other.packed_.store(packed, std::memory_order_relaxed);
  }

  /// The caller keeps other writers away. `epochs` is nullptr when it keeps readers away too.
  void set(std::string_view value, Epochs* epochs) {
    if (value.size() > sizeof(Word) || (packed_.load(std::memory_order_relaxed) & kInBlock) != 0)
      return set_in_block(value, epochs);
    packed_.store(static_cast<std::uint32_t>(value.size()), std::memory_order_release);
    if (!value.empty()) word_.store(word_of(value), std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kInBlock = std::uint32_t{1} << 31;
  static constexpr std::uint64_t kIsRoom = 1;      // in the address of a block
  static constexpr std::size_t kMostInRoom = 256;  // so much may lie idle when a value has grown

  static constexpr std::size_t words_for(std::size_t bytes) noexcept {
    return (bytes + sizeof(Word) - 1) / sizeof(Word);
  }

  /// Its words follow.
  struct Block {
    std::size_t capacity;  // words
    Word* words() noexcept { return reinterpret_cast<Word*>(this + 1); }

    static Block* make(std::size_t words) { return in(::operator new(sizeof(Block) + words * sizeof(Word)), words); }
    static Block* in(void* memory, std::size_t words) noexcept;
    static void free(Block* block) noexcept { ::operator delete(block); }
  };
  /// The value has no place in the cell, or the cell has a block already.
  void set_in_block(std::string_view value, Epochs* epochs);
  /// At most 8 bytes as they lie in memory.
  static std::uint64_t word_of(std::string_view bytes) noexcept {
    std::uint64_t word = 0;
    copy_few(reinterpret_cast<char*>(&word), bytes.data(), bytes.size());
    return word;
  }
  Block* block(std::uint32_t packed) const noexcept {
    if ((packed & kInBlock) == 0) return nullptr;
    return reinterpret_cast<Block*>(word_.load(std::memory_order_acquire) & ~kIsRoom);
  }
  bool has_room() const noexcept {
    return (packed_.load(std::memory_order_relaxed) & kInBlock) != 0 &&
           (word_.load(std::memory_order_relaxed) & kIsRoom) != 0;
  }
  bool has_own_block() const noexcept {
    return (packed_.load(std::memory_order_relaxed) & kInBlock) != 0 && !has_room();
  }
  /// Nobody changes the value meanwhile.
  std::string_view view() const noexcept {
    const std::uint32_t packed = packed_.load(std::memory_order_relaxed);
    const Word* const from = packed & kInBlock ? block(packed)->words() : &word_;
    return {reinterpret_cast<const char*>(from), packed & ~kInBlock};
  }

  Word word_{0};                          // the value, or the address of its block
  std::atomic<std::uint32_t> packed_{0};  // bytes of the value, and kInBlock
};

}  // namespace lockstep::kv
