// level.h: the isolation levels that histories are held against, and that stores promise (isolation.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::check {

/// From weak to strong, but that repeatable_read and snapshot do not imply each other.
enum class Level : std::uint8_t {
  read_uncommitted,
  read_committed,
  read_atomic,
  repeatable_read,
  snapshot,
  serializable,
};

/// Which order counts beside what transactions saw of each other.
enum class Ordering : std::uint8_t {
  none,       ///< none: a plain level
  session,    ///< that of each process: strong-session-LEVEL
  real_time,  ///< who had ended before who began: strong-LEVEL, which is strict
};

/// What a history is held against.
struct Claim {
  Level level = Level::serializable;
  Ordering ordering = Ordering::none;
  bool operator==(const Claim&) const = default;
};

/// "snapshot-isolation", "strong-session-serializable", "strict-serializable".
std::string name_of(Claim claim);

/// The claim of that name. Adya's names (PL-1, PL-2, PL-2.99, PL-SI, PL-3, PL-SS), "snapshot" and "strict" are known
/// too.
std::optional<Claim> claim_named(std::string_view name);

/// Every claim: the plain levels, then those of sessions, then the strict ones; each from weak to strong.
const std::vector<Claim>& all_claims();

/// Whether whatever breaks `weak` breaks `strong` too.
bool implies(Claim strong, Claim weak) noexcept;

}  // namespace lockstep::check
