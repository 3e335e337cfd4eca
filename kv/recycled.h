// recycled.h: a list whose elements are used again, so that a transaction allocates only while it grows beyond all
// before.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace lockstep::kv {

/// Elements keep their address and what they own (the capacity of a string) until they are taken again. Whoever takes
/// one sets every field. Not thread-safe.
template <class T>
class Recycled {
 public:
  T& take() {
    if (used_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<T[]>(kChunk));
    return item(used_++);
  }
  void shrink_to(std::size_t size) noexcept { used_ = size; }
  void clear() noexcept { used_ = 0; }

  std::size_t size() const noexcept { return used_; }
  bool empty() const noexcept { return used_ == 0; }
  T& operator[](std::size_t i) noexcept { return item(i); }
  const T& operator[](std::size_t i) const noexcept { return item(i); }
  T& back() noexcept { return item(used_ - 1); }

 private:
  static constexpr std::size_t kChunk = 16;
  T& item(std::size_t i) const noexcept { return chunks_[i / kChunk][i % kChunk]; }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t used_ = 0;
};

}  // namespace lockstep::kv
