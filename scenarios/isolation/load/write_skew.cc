// Write skew under load: two accounts of one customer may be overdrawn as long as their sum is not below zero. Half of
// the transactions withdraw from one of the two after a look at both. The other half lock both, look whether the rule
// was broken, and pay in.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kPaidIn, kWithdrawn, kSeenBroken };

constexpr std::int64_t kEach = 5;

struct Sums {
  std::int64_t first, second;
};

Task<> withdraw(load::LoadContext& c, std::string from, Sums seen) {
  if (seen.first + seen.second < 2) co_await fail(Fault::refused);
  co_await c.db.add(from, -2);
  co_await c.db.commit();
  c.acknowledged[kWithdrawn] += 2;
}

Task<> pay_in(load::LoadContext& c, std::string a, std::string b, Sums seen) {
  co_await c.db.write(a, seen.first + 1);
  co_await c.db.write(b, seen.second + 1);
  co_await c.db.commit();
  c.acknowledged[kPaidIn] += 2;
  c.acknowledged[kSeenBroken] += seen.first + seen.second < 0 ? 1 : 0;
}

/// One transaction: pays in to both accounts of a customer, which are locked first, or withdraws from one of them.
template <bool kLocksToWithdraw>
Task<> pay_in_or_withdraw(load::LoadContext& c) {
  const std::uint64_t customer = c.choose();
  const std::string a = load::key_of("a/", customer), b = load::key_of("b/", customer);
  const std::vector<std::string> claims{a, b};
  const bool pays_in = c.random() % 2 == 0;
  const bool from_a = c.random() % 2 == 0;
  Sums seen{};
  co_await c.db.begin(claims);
  if (pays_in || kLocksToWithdraw) {
    seen.first = co_await c.db.read_for_update(a);
    seen.second = co_await c.db.read_for_update(b);
  } else {
    seen.first = co_await c.db.read(a);
    seen.second = co_await c.db.read(b);
  }
  if (pays_in) {
    co_await pay_in(c, a, b, seen);
  } else {
    co_await withdraw(c, from_a ? a : b, seen);
  }
}

State accounts(const load::Shape& shape) {
  State state = load::numbered("a/", shape.rows, std::to_string(kEach));
  for (auto& row : load::numbered("b/", shape.rows, std::to_string(kEach))) state.push_back(std::move(row));
  return state;
}

}  // namespace

load::Workload isolation_write_skew() {
  return load::workload("Two accounts whose sum must not be below zero")
      .rows(10, accounts)
      .pattern("plain", "look at both, withdraw from one", pay_in_or_withdraw<false>)
      .unsafe_at({"postgres/read-committed", "postgres/repeatable-read", "kv/snapshot"})
      .pattern("for-update", "lock both, then withdraw from one", pay_in_or_withdraw<true>)
      .holds("no customer is below zero",
             [](const load::Settled& end) {
               const std::int64_t seen = end.counts[kSeenBroken];
               return seen == 0 ? std::string() : fmt::format("seen below zero {} times", seen);
             })
      .holds("money is conserved", [](const load::Settled& end) {
        const std::int64_t wanted =
            2 * kEach * static_cast<std::int64_t>(end.shape.rows) + end.counts[kPaidIn] - end.counts[kWithdrawn];
        const std::int64_t total = end.total();
        return total == wanted ? std::string() : fmt::format("{} instead of {}", total, wanted);
      });
}

}  // namespace lockstep::scenarios::under_load
