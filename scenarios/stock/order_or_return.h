// order_or_return.h: a stock under load: what is sold comes back, so that every item stays around zero.
#pragma once

#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {

enum StockCount : std::size_t { kSold, kReturned, kOversold };

inline Task<> send_back(Context& c, std::string item) {
  const std::vector<std::string> claims{item};
  co_await c.db.begin(claims);
  co_await c.db.add(item, 1);
  co_await c.db.commit();
  ++c.acknowledged[kReturned];
}

/// Half of the transactions order one piece of an item in the manner of `sell`, the other half send one back: around
/// zero a check that is not protected sells what is not there.
template <auto sell>
Task<> order_or_return(Context& c) {
  const std::string item = key_of("stock/", c.choose());
  const bool returns = c.random() % 2 == 0;
  return returns ? send_back(c, item) : sell(c, item);
}

/// What is wrong when more was sold than there was.
inline std::string oversold(const Final& end) {
  const std::int64_t oversold = end.count(kOversold), below = end.below_zero("stock/");
  const bool constraint_holds = end.ask("select count(*) from stock where pieces < 0") <= 0;
  if (oversold == 0 && below == 0 && constraint_holds) return {};
  return fmt::format("oversold {} of {}, {} items below zero at the end", oversold, end.count(kSold), below);
}

inline std::string pieces_differ(const Final& end) {
  const std::int64_t wanted = end.total_at_start("stock/") + end.count(kReturned) - end.count(kSold);
  const std::int64_t total = end.total("stock/");
  return total == wanted ? std::string() : fmt::format("{} in stock instead of {}", total, wanted);
}

}  // namespace lockstep::scenarios
