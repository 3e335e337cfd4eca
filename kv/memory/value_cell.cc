// value_cell.cc: writing a value, and the block for a long one.
#include "kv/memory/value_cell.h"

namespace lockstep::kv {

ValueCell::Block* ValueCell::Block::make(std::size_t words) {
  auto* const block = new (::operator new(sizeof(Block) + words * sizeof(Word))) Block{words};
  for (std::size_t i = 0; i < words; ++i) new (block->words() + i) Word(0);
  return block;
}

void ValueCell::set(std::string_view value, Epochs* epochs) {
  const auto size = static_cast<std::uint32_t>(value.size());
  Block* const old = block(packed_.load(std::memory_order_relaxed));
  Block* now = old;
  if (size > (old ? old->capacity : 1) * sizeof(Word)) {
    now = Block::make((size + sizeof(Word) - 1) / sizeof(Word));
    word_.store(reinterpret_cast<std::uintptr_t>(now), std::memory_order_release);
    if (old && epochs)
      epochs->retire(
          old, [](void* block, void*) noexcept { Block::free(static_cast<Block*>(block)); }, nullptr,
          old->capacity * sizeof(Word));
    else
      Block::free(old);
  }
  packed_.store(size | (now ? kInBlock : 0), std::memory_order_release);
  Word* to = now ? now->words() : &word_;
  for (std::size_t at = 0; at < size; at += sizeof(Word)) {
    std::uint64_t word = 0;
    std::memcpy(&word, value.data() + at, std::min(sizeof word, size - at));
    (to++)->store(word, std::memory_order_release);
  }
}

bool ValueCell::equals(std::string_view value) const noexcept {
  const std::uint32_t packed = packed_.load(std::memory_order_acquire);
  if ((packed & ~kInBlock) != value.size()) return false;
  const Word* from = packed & kInBlock ? block(packed)->words() : &word_;
  for (std::size_t at = 0; at < value.size(); at += sizeof(Word)) {
    const std::uint64_t word = (from++)->load(std::memory_order_acquire);
    if (std::memcmp(&word, value.data() + at, std::min(sizeof word, value.size() - at)) != 0) return false;
  }
  return true;
}

}  // namespace lockstep::kv
