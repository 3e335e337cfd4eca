// shared.h: a variable that actors share, each access a step of the schedule with a footprint: a search goes through
// the orders of loads and stores, as it does through those of locks.
//
//   struct World { sync::Shared<int> ready{"ready", 0}; };
//
//   const int seen = co_await world.ready.load();
//   co_await world.ready.store(1);
//   const bool won = co_await world.ready.compare_exchange(0, 1);
//   const int before = co_await world.ready.fetch_add(1);
//
// Every access is atomic and sequentially consistent: what a weaker order of memory would do is not shown.
#pragma once

#include <fmt/format.h>

#include <string>
#include <type_traits>
#include <utility>

#include "engine/actor/operation.h"
#include "engine/actor/run_state.h"
#include "kv/base/mutex.h"

namespace lockstep::sync {

/// For people: a number or text as it is, anything else "a value".
template <class T>
std::string shown(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<T> || std::is_convertible_v<T, std::string>) {
    return fmt::format("{}", value);
  } else {
    return "a value";
  }
}

template <class T>
class Shared;

/// One access, which never waits.
template <class T>
class SharedAccess : public AwaitableOperation {
 public:
  void cancel(Fault) final {}
  const Waiting& waiting() const final { return waiting_; }
  std::vector<Blocker> blockers() final { return {}; }

 protected:
  explicit SharedAccess(Shared<T>& variable) : variable_(variable) {}
  ~SharedAccess() = default;

  Shared<T>& variable_;

 private:
  Waiting waiting_;
};

template <class T>
class [[nodiscard]] SharedLoad final : public SharedAccess<T> {
 public:
  explicit SharedLoad(Shared<T>& variable) : SharedAccess<T>(variable) {}
  bool attempt() override {
    touch(this->actor(), this->variable_.footprint_, Touch::looks);
    value_ = this->variable_.value();
    return true;
  }
  Description describe() const override { return {"load", this->variable_.name(), {}}; }
  std::string answer() const override { return shown(value_); }
  T await_resume() { return std::move(value_); }

 private:
  T value_{};
};

template <class T>
class [[nodiscard]] SharedStore final : public SharedAccess<T> {
 public:
  SharedStore(Shared<T>& variable, T value) : SharedAccess<T>(variable), value_(std::move(value)) {}
  bool attempt() override {
    touch(this->actor(), this->variable_.footprint_, Touch::changes);
    MutexLock lock(this->variable_.mutex_);
    this->variable_.value_ = value_;
    return true;
  }
  Description describe() const override { return {"store", this->variable_.name(), shown(value_)}; }
  void await_resume() const noexcept {}

 private:
  const T value_;
};

/// Gives whether the variable was as expected, and so was changed.
template <class T>
class [[nodiscard]] SharedCompareExchange final : public SharedAccess<T> {
 public:
  SharedCompareExchange(Shared<T>& variable, T expected, T desired)
      : SharedAccess<T>(variable), expected_(std::move(expected)), desired_(std::move(desired)) {}
  bool attempt() override {
    {
      MutexLock lock(this->variable_.mutex_);
      won_ = this->variable_.value_ == expected_;
      if (won_) this->variable_.value_ = desired_;
    }
    touch(this->actor(), this->variable_.footprint_, won_ ? Touch::changes : Touch::looks);
    return true;
  }
  Description describe() const override {
    return {"compare_exchange", this->variable_.name(), shown(expected_) + " to " + shown(desired_)};
  }
  std::string answer() const override { return won_ ? "exchanged" : "something else"; }
  bool await_resume() const noexcept { return won_; }

 private:
  const T expected_, desired_;
  bool won_ = false;
};

/// Gives what it was before.
template <class T>
class [[nodiscard]] SharedFetchAdd final : public SharedAccess<T> {
 public:
  SharedFetchAdd(Shared<T>& variable, T more) : SharedAccess<T>(variable), more_(std::move(more)) {}
  bool attempt() override {
    touch(this->actor(), this->variable_.footprint_, Touch::changes);
    MutexLock lock(this->variable_.mutex_);
    before_ = this->variable_.value_;
    this->variable_.value_ = before_ + more_;
    return true;
  }
  Description describe() const override { return {"fetch_add", this->variable_.name(), shown(more_)}; }
  std::string answer() const override { return shown(before_); }
  T await_resume() { return std::move(before_); }

 private:
  const T more_;
  T before_{};
};

/// A variable of a copyable type. Thread-safe; `mutex_` is a leaf. Outlives the operations on it; neither copied nor
/// moved.
template <class T>
class Shared {
 public:
  explicit Shared(std::string name, T value = {})
      : name_(std::move(name)), footprint_("variable " + name_), value_(std::move(value)) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  const std::string& name() const noexcept { return name_; }
  /// As no step: for invariants.
  T value() const {
    MutexLock lock(mutex_);
    return value_;
  }

  SharedLoad<T> load() { return SharedLoad<T>(*this); }
  SharedStore<T> store(T value) { return {*this, std::move(value)}; }
  SharedCompareExchange<T> compare_exchange(T expected, T desired) {
    return {*this, std::move(expected), std::move(desired)};
  }
  SharedFetchAdd<T> fetch_add(T more) { return {*this, std::move(more)}; }

 private:
  friend class SharedLoad<T>;
  friend class SharedStore<T>;
  friend class SharedCompareExchange<T>;
  friend class SharedFetchAdd<T>;

  const std::string name_;
  const std::string footprint_;
  mutable ::lockstep::Mutex mutex_;
  T value_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::sync
