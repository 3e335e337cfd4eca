// locks.cc: the words for locks.
#include "kv/locking/locks.h"

#include <fmt/format.h>

namespace lockstep::kv {

std::string_view name_of(LockMode mode) noexcept {
  switch (mode) {
    case LockMode::shared:
      return "shared";
    case LockMode::update:
      return "update";
    case LockMode::exclusive:
      return "exclusive";
  }
  return "?";
}

LockMode mode_of(Strength strength) noexcept {
  LOCKSTEP_CHECK(strength != Strength::none, "no lock has no mode");
  return static_cast<LockMode>(static_cast<int>(strength) - 1);
}

std::string describe(KeyView key, LockSpec wanted) {
  if (key.empty()) return "the gap after the last key";
  if (wanted.row == Strength::none) return fmt::format("the gap before {}", key);
  return std::string(key);
}

std::string describe_cancelled(const LockOwner& owner, Fault why, Nanos waited, KeyView key, LockSpec wanted,
                               const std::string& holders) {
  const double ms = std::chrono::duration<double, std::milli>(waited).count();
  const std::string what = describe(key, wanted);
  const std::string tail = is_retry_safe(why) ? "; a retry is safe" : "";
  return fmt::format("{} gave up {} after {:.3g} ms ({}); held by {}{}", owner.name(), what, ms, lockstep::name_of(why),
                     holders.empty() ? "nobody" : holders, tail);
}

}  // namespace lockstep::kv
