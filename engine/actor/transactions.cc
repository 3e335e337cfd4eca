// transactions.cc: the rule of every retry, and how long to wait before one.
#include "engine/actor/transactions.h"

#include <algorithm>

namespace lockstep {

bool may_be_tried_again(const Error& why, const Actor& actor, std::uint64_t committed_before) noexcept {
  return is_retry_safe(why.fault) && actor.all_commits() == committed_before && !actor.stopping();
}

Nanos back_off(int attempt, Random& random) {
  constexpr std::int64_t kFirst = 100'000;
  constexpr std::int64_t kMost = 10'000'000;
  const std::int64_t limit = std::min(kMost, kFirst << std::min(attempt, 16));
  return Nanos(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit + 1)));
}

Task<> give_back(Database& database) { co_await database.abort(); }

Task<> give_back_locks(Database& database) { co_await database.reset(); }

}  // namespace lockstep
