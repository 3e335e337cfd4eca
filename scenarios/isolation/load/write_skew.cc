// Write skew under load: two accounts of one customer may be overdrawn as long as their sum is not below zero. Half of
// the transactions withdraw from one of the two after a look at both, the other half lock both, look whether the rule
// was broken, and pay in.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

enum : std::size_t { kPaidIn, kWithdrawn, kSeenBroken };

constexpr std::int64_t kEach = 5;

Task<> pay_in(load::Context& c, std::string a, std::string b) {
  const std::vector<std::string> claims{a, b};
  co_await c.db.begin(claims);
  const std::int64_t first = co_await c.db.read_for_update(a);
  const std::int64_t second = co_await c.db.read_for_update(b);
  co_await c.db.write(a, first + 1);
  co_await c.db.write(b, second + 1);
  co_await c.db.commit();
  c.acknowledged[kPaidIn] += 2;
  c.acknowledged[kSeenBroken] += first + second < 0 ? 1 : 0;
}

Task<> look_then_withdraw(load::Context& c) {
  const std::uint64_t customer = c.choose();
  const std::string a = load::key_of("a/", customer), b = load::key_of("b/", customer);
  if (c.random() % 2 == 0) {
    co_await pay_in(c, a, b);
    co_return;
  }
  const std::vector<std::string> claims{a, b};
  const bool from_a = c.random() % 2 == 0;
  co_await c.db.begin(claims);
  const std::int64_t first = co_await c.db.read(a);
  const std::int64_t second = co_await c.db.read(b);
  if (first + second < 2) co_await fail(Fault::out_of_stock);
  co_await c.db.add(from_a ? a : b, -2);
  co_await c.db.commit();
  c.acknowledged[kWithdrawn] += 2;
}

Task<> lock_then_withdraw(load::Context& c) {
  const std::uint64_t customer = c.choose();
  const std::string a = load::key_of("a/", customer), b = load::key_of("b/", customer);
  if (c.random() % 2 == 0) {
    co_await pay_in(c, a, b);
    co_return;
  }
  const std::vector<std::string> claims{a, b};
  const bool from_a = c.random() % 2 == 0;
  co_await c.db.begin(claims);
  const std::int64_t first = co_await c.db.read_for_update(a);
  const std::int64_t second = co_await c.db.read_for_update(b);
  if (first + second < 2) co_await fail(Fault::out_of_stock);
  co_await c.db.add(from_a ? a : b, -2);
  co_await c.db.commit();
  c.acknowledged[kWithdrawn] += 2;
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
      .pattern("plain", "look at both, withdraw from one", look_then_withdraw)
      .unsafe_at({"postgres/read-committed", "postgres/repeatable-read", "kv/snapshot"})
      .pattern("for-update", "lock both, then withdraw from one", lock_then_withdraw)
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
