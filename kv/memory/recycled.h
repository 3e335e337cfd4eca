// recycled.h: a list whose elements are used again, so that a transaction allocates only while it grows beyond all
// before.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <vector>

namespace lockstep::kv {

/// Elements keep their address and what they own (the capacity of a string) until they are taken again. The caller that
/// takes one sets every field. Chunk k has 1 << k elements: most transactions are small, and many may wait at once. Not
/// thread-safe.
template <class T>
class Recycled {
 public:
  T& take() {
    if (used_ + 1 == std::size_t{1} << chunks_.size()) {
      chunks_.push_back(std::make_unique<T[]>(std::size_t{1} << chunks_.size()));
    }
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
  T& item(std::size_t i) const noexcept {
    const auto chunk = static_cast<std::size_t>(std::bit_width(i + 1)) - 1;
    return chunks_[chunk][i + 1 - (std::size_t{1} << chunk)];
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t used_ = 0;
};

}  // namespace lockstep::kv
