// generator.h: a lazy sequence: a coroutine that runs as far as its next value when the caller asks for that.
//
//   Generator<int> numbers_from(int n) { for (;;) co_yield n++; }
//   for (const int n : numbers_from(3)) if (n > 9) break;
//
// It runs in the caller's thread, on the caller's stack. It cannot wait for anything (`co_await` does not compile in
// it). One frame is allocated for the sequence, nothing for a value: the caller sees a value where the generator has
// it. An exception of the body comes out of `begin()` or `++`. (C++23's std::generator without its recursion.)
#pragma once

#include <coroutine>
#include <exception>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

namespace lockstep {

/// Not thread-safe; a value that can be moved. Destroying it destroys the frame, wherever it stands.
template <class T>
class [[nodiscard]] Generator {
 public:
  class promise_type {
   public:
    Generator get_return_object() noexcept { return Generator(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    std::suspend_always yield_value(const T& value) noexcept {
      value_ = std::addressof(value);  // a temporary lives until the generator goes on
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { thrown_ = std::current_exception(); }
    template <class U>
    void await_transform(U&&) = delete;

   private:
    friend class Generator;
    const T* value_ = nullptr;
    std::exception_ptr thrown_;
  };
  using Handle = std::coroutine_handle<promise_type>;

  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    Iterator() noexcept = default;
    explicit Iterator(Handle handle) noexcept : handle_(handle) {}
    /// Valid until the next ++.
    const T& operator*() const noexcept { return *handle_.promise().value_; }
    const T* operator->() const noexcept { return handle_.promise().value_; }
    Iterator& operator++() {
      advance(handle_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
      return !it.handle_ || it.handle_.done();
    }

   private:
    Handle handle_;
  };

  Generator(Generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Generator& operator=(Generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Generator() {
    if (handle_) handle_.destroy();
  }

  /// Runs to the first value. Once.
  Iterator begin() {
    advance(handle_);
    return Iterator(handle_);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  explicit Generator(Handle handle) noexcept : handle_(handle) {}
  static void advance(Handle handle) {
    handle.resume();
    if (handle.promise().thrown_) std::rethrow_exception(std::exchange(handle.promise().thrown_, nullptr));
  }
  Handle handle_;
};

}  // namespace lockstep
