// value_cell.cc: writing a value, and the block for a long one.
#include "kv/memory/value_cell.h"

namespace lockstep::kv {

ValueCell::Block* ValueCell::Block::in(void* memory, std::size_t words) noexcept {
  auto* const block = new (memory) Block{words};
  for (std::size_t i = 0; i < words; ++i) new (block->words() + i) Word(0);
  return block;
}

void ValueCell::set_in_block(std::string_view value, Epochs* epochs) {
  const auto size = static_cast<std::uint32_t>(value.size());
  Block* const old = block(packed_.load(std::memory_order_relaxed));
  Block* now = old;
  if (size > (old ? old->capacity : 1) * sizeof(Word)) {
    const bool was_own = has_own_block();
    now = Block::make(words_for(size));
    word_.store(reinterpret_cast<std::uintptr_t>(now), std::memory_order_release);
    if (was_own && epochs)
      epochs->retire(
          old, [](void* block, void*) noexcept { Block::free(static_cast<Block*>(block)); }, nullptr,
          old->capacity * sizeof(Word));
    else if (was_own)
      Block::free(old);
  }
  packed_.store(size | kInBlock, std::memory_order_release);
  Word* to = now->words();
  for (; value.size() >= sizeof(Word); value.remove_prefix(sizeof(Word))) {
    std::uint64_t word = 0;
    std::memcpy(&word, value.data(), sizeof word);
    (to++)->store(word, std::memory_order_release);
  }
  if (!value.empty()) to->store(word_of(value), std::memory_order_release);
}

bool ValueCell::equals(std::string_view value) const noexcept {
  const std::uint32_t packed = packed_.load(std::memory_order_acquire);
  if ((packed & ~kInBlock) != value.size()) return false;
  const Word* from = packed & kInBlock ? block(packed)->words() : &word_;
  for (; value.size() >= sizeof(Word); value.remove_prefix(sizeof(Word))) {
    const std::uint64_t word = (from++)->load(std::memory_order_acquire);
    if (std::memcmp(&word, value.data(), sizeof word) != 0) return false;
  }
  if (value.empty()) return true;
  const std::uint64_t last = from->load(std::memory_order_acquire);
  return std::memcmp(&last, value.data(), value.size()) == 0;
}

}  // namespace lockstep::kv
