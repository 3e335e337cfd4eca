// rare.h: an optional that is nearly always empty.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace lockstep {

/// Costs one pointer while it is empty; what it holds is on the heap.
template <class T>
class Rare {
 public:
  Rare& operator=(T value) {
    value_ = std::make_unique<T>(std::move(value));
    return *this;
  }
  Rare& operator=(std::optional<T> value) {
    value_ = value ? std::make_unique<T>(*std::move(value)) : nullptr;
    return *this;
  }
  void reset() noexcept { value_.reset(); }
  /// What it holds; afterwards it is empty.
  std::optional<T> take() {
    if (!value_) return std::nullopt;
    const std::unique_ptr<T> taken = std::move(value_);
    return std::move(*taken);
  }

  explicit operator bool() const noexcept { return value_ != nullptr; }
  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace lockstep
