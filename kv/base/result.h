// result.h: the fault of an operation that did not succeed. Aborts, refusals and failures of the environment are data;
// no exception crosses an interface of Lockstep.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kv/base/check.h"

namespace lockstep {

/// Why an operation did not succeed. Reports count by these names.
enum class Fault : std::uint8_t {
  // The transaction was given up by the store; a retry from its begin is safe.
  deadlock,               ///< victim of a waits-for cycle (40P01)
  serialization_failure,  ///< first-updater-wins, dangerous structure (40001)
  validation_failure,     ///< optimistic validation found a changed read
  wounded,                ///< an older transaction took the lock (wound-wait)
  died,                   ///< a younger transaction may not wait (wait-die)
  no_wait_conflict,       ///< the protocol never waits
  lock_timeout,           ///< waited for a lock longer than allowed (55P03, also NOWAIT)
  statement_timeout,      ///< the statement ran longer than allowed (57014)
  idle_timeout,           ///< the session was ended because its transaction idled (25P03)
  busy,                   ///< SQLITE_BUSY: another connection holds the file lock
  busy_snapshot,          ///< SQLITE_BUSY_SNAPSHOT: the read snapshot is too old to write
  unsafe_claim,           ///< the banker refuses: granting could lead to a deadlock, and the caller would not wait
  // The request itself is refused; a retry gives the same answer.
  claim_exceeded,   ///< more than was claimed up front
  constraint,       ///< a unique, check, foreign-key or exclusion constraint
  version_changed,  ///< an application-level version check touched zero rows; re-read and retry
  refused,          ///< the business rule said no; not an error of the store
  invalid,          ///< a wrong argument or an operation on a finished transaction
  unsupported,      ///< this store or protocol cannot do it
  // The actor was told to stop.
  cancelled,  ///< interrupted by its executor
  hung,       ///< the run was ended while this operation still waited
  // The environment failed.
  outcome_unknown,  ///< the reply to a commit was lost; never retried blindly
  unavailable,      ///< no connection to the store
  permission,       ///< the store or the file system forbids it
  disk_full,        ///< no space left
  io,               ///< any other failure of a file or a socket
  internal,         ///< the store reported something that is not mapped
  // The transaction was given up by the store, as those at the head.
  certification_failure,  ///< another node of a cluster was first to change the same (Galera: 1213 without a deadlock)
};

/// The name used on the command line, in recordings and reports, such as "serialization_failure".
std::string_view name_of(Fault fault) noexcept;

/// The fault that has that name, or had it in an older version; nullopt when there is none.
std::optional<Fault> fault_named(std::string_view name) noexcept;

/// True when the store has given the transaction up and the same body may be run again from its begin.
bool is_retry_safe(Fault fault) noexcept;

/// True for a failure of the environment (server gone, disk full), as against an abort or a refusal.
bool is_environment(Fault fault) noexcept;

/// What a store says beside its sentence, by name and in its order: "detail", "constraint", "table" …
using Facts = std::vector<std::pair<std::string, std::string>>;

/// A fault with the store's own code (SQLSTATE, SQLite extended code name; empty when there is none) and one sentence
/// for people. The sentence says what, on which object, with which values, and what next.
struct Error {
  Fault fault = Fault::internal;
  std::string code;
  std::string message;
  Facts facts = {};  ///< what a server said, part by part: "primary", "detail", "hint", "table", "constraint" …
};

/// A value or an Error. Cheap to move; holds the value in place.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Fault fault) : state_(std::in_place_index<1>, Error{fault, {}, {}}) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & {
    LOCKSTEP_CHECK(ok(), "no value: {}", name_of(std::get<1>(state_).fault));
    return std::get<0>(state_);
  }
  const T& value() const& { return const_cast<Result&>(*this).value(); }
  /// By value, so that `for (x : f().value())` does not walk over something that is gone.
  T value() && { return std::move(this->value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(this->value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    LOCKSTEP_CHECK(!ok(), "no error: the result holds a value");
    return std::get<1>(state_);
  }
  Fault fault() const { return error().fault; }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  Result(Fault fault) : error_(Error{fault, {}, {}}) {}

  bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  const Error& error() const {
    LOCKSTEP_CHECK(!ok(), "no error: the result is a success");
    return *error_;
  }
  Fault fault() const { return error().fault; }

 private:
  std::optional<Error> error_;
};

}  // namespace lockstep
