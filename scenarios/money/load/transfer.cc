// Bank transfers between accounts that are chosen at random: the classical load with a deadlock in it.
#include <fmt/format.h>

#include "scenarios/workloads.h"

namespace lockstep::scenarios::under_load {
namespace {

constexpr std::int64_t kEach = 1000;

struct Order {
  std::string from, to;
  std::int64_t amount;
};

Order draw(load::LoadContext& c) {
  const std::uint64_t from = c.choose();
  std::uint64_t to = c.choose();
  if (to == from) to = (from + 1) % c.shape.rows;
  return {load::key_of("account/", from), load::key_of("account/", to), 1 + static_cast<std::int64_t>(c.random() % 20)};
}

/// Takes the money, then gives it.
Task<> transfer(load::LoadContext& c) {
  const Order order = draw(c);
  const std::vector<std::string> claims{order.from, order.to};
  co_await c.db.begin(claims);
  const std::int64_t taken = co_await c.db.add_if(order.from, -order.amount, 0);
  if (taken == 0) co_await fail(Fault::refused);
  co_await c.db.add(order.to, order.amount);
  co_await c.db.commit();
}

/// Touches the smaller account first, whatever the direction of the payment.
Task<> transfer_in_order(load::LoadContext& c) {
  const Order order = draw(c);
  const std::vector<std::string> claims{order.from, order.to};
  co_await c.db.begin(claims);
  if (order.to < order.from) co_await c.db.add(order.to, order.amount);
  const std::int64_t taken = co_await c.db.add_if(order.from, -order.amount, 0);
  if (taken == 0) co_await fail(Fault::refused);
  if (order.from < order.to) co_await c.db.add(order.to, order.amount);
  co_await c.db.commit();
}

/// Reads both balances, then writes both: money appears or vanishes where reads are not protected.
Task<> read_then_write(load::LoadContext& c) {
  const Order order = draw(c);
  const std::vector<std::string> claims{order.from, order.to};
  co_await c.db.begin(claims);
  const std::int64_t source = co_await c.db.read(order.from);
  const std::int64_t target = co_await c.db.read(order.to);
  if (source < order.amount) co_await fail(Fault::refused);
  co_await c.db.write(order.from, source - order.amount);
  co_await c.db.write(order.to, target + order.amount);
  co_await c.db.commit();
}

}  // namespace

load::Workload money_transfer() {
  return load::workload("Transfers between accounts, in all directions")
      .rows(1000,
            [](const load::Shape& shape) { return load::numbered("account/", shape.rows, std::to_string(kEach)); })
      .pattern("plain", "take the money, then give it", transfer)
      .pattern("ordered", "the account with the smaller name first", transfer_in_order)
      .pattern("read-then-write", "read both balances, then write both", read_then_write)
      .unsafe_at({"postgres/read-committed"})
      .holds("money is conserved",
             [](const load::Settled& end) {
               const std::int64_t wanted = kEach * static_cast<std::int64_t>(end.shape.rows);
               const std::int64_t total = end.total();
               return total == wanted ? std::string() : fmt::format("{} instead of {}", total, wanted);
             })
      .holds("no account is below zero", [](const load::Settled& end) {
        const std::int64_t below = end.below_zero();
        return below == 0 ? std::string() : fmt::format("{} are", below);
      });
}

}  // namespace lockstep::scenarios::under_load
