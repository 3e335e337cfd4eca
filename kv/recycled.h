// recycled.h: a list whose elements are used again, so that a transaction allocates only while it grows beyond all
// before.
#pragma once

#include <cstddef>
#include <deque>

namespace lockstep::kv {

/// Elements keep their address and what they own (the capacity of a string) until they are taken again. Whoever takes
/// one sets every field. Not thread-safe.
template <class T>
class Recycled {
 public:
  T& take() {
    if (used_ == items_.size()) items_.emplace_back();
    return items_[used_++];
  }
  void shrink_to(std::size_t size) noexcept { used_ = size; }
  void clear() noexcept { used_ = 0; }

  std::size_t size() const noexcept { return used_; }
  bool empty() const noexcept { return used_ == 0; }
  T& operator[](std::size_t i) noexcept { return items_[i]; }
  const T& operator[](std::size_t i) const noexcept { return items_[i]; }
  T& back() noexcept { return items_[used_ - 1]; }

 private:
  std::deque<T> items_;
  std::size_t used_ = 0;
};

}  // namespace lockstep::kv
