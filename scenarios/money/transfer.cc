// Money transfer in opposite orders: the deadlock that a payment system meets first (PostgreSQL manual, 13.3.4
// "Deadlocks"). Each transfer is right by itself; two of them between the same accounts lock these in opposite order.
#include <fmt/format.h>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

constexpr std::int64_t kEach = 1000;  // on an account, under load

/// Takes the money, then gives it: as one says it.
Task<> transfer(Context& c, std::string from, std::string to, std::int64_t amount) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  const std::int64_t taken = co_await c.db.add_if(from, -amount, 0);
  if (taken == 0) {
    c.note("not enough money on " + from);
    co_return;
  }
  co_await c.db.add(to, amount);
  co_await c.db.commit();
}

/// Touches the smaller account first, whatever the direction of the payment.
Task<> transfer_in_order(Context& c, std::string from, std::string to, std::int64_t amount) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  if (to < from) co_await c.db.add(to, amount);
  const std::int64_t taken = co_await c.db.add_if(from, -amount, 0);
  if (taken == 0) {
    c.note("not enough money on " + from);
    co_return;
  }
  if (from < to) co_await c.db.add(to, amount);
  co_await c.db.commit();
}

/// Reads both balances, then writes both: money appears or vanishes where reads are not protected.
Task<> read_then_write(Context& c, std::string from, std::string to, std::int64_t amount) {
  const std::vector<std::string> claims{from, to};
  co_await c.db.begin(claims);
  const std::int64_t source = co_await c.db.read(from);
  const std::int64_t target = co_await c.db.read(to);
  if (source < amount) {
    c.note("not enough money on " + from);
    co_return;
  }
  co_await c.db.write(from, source - amount);
  co_await c.db.write(to, target + amount);
  co_await c.db.commit();
}

/// Pays in the manner of `pay`, between two accounts that are chosen at random.
template <auto pay>
Task<> between_any_two(Context& c) {
  const std::uint64_t from = c.choose();
  std::uint64_t to = c.choose();
  if (to == from) to = (from + 1) % c.shape().rows;
  return pay(c, key_of("account/", from), key_of("account/", to), 1 + static_cast<std::int64_t>(c.random() % 20));
}

}  // namespace

Scenario money_transfer() {
  return scenario("Two transfers between the same accounts, in opposite directions")
      .story("Alice pays Bob 10 while Bob pays Alice 20. Each transfer takes the money before it gives it.")
      .given({{"alice", 100}, {"bob", 100}, {"carol", 100}})
      .rows(1000, [](const Shape& shape) { return numbered("account/", shape.rows, std::to_string(kEach)); })

      .pattern("plain", "take the money, then give it")
      .actor("T1", transfer, "alice", "bob", 10)
      .actor("T2", transfer, "bob", "alice", 20)
      .session(between_any_two<transfer>)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: deadlock")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: deadlock")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: deadlock")
      .expect("postgres-2", "*: deadlock")
      .expect("mariadb", "*: deadlock")
      .why("T1 has alice and wants bob, T2 has bob and wants alice: each holds the row that the other one needs.")
      .fix("touch the accounts in one order", "ordered")

      .pattern("ordered", "the account with the smaller name first")
      .actor("T1", transfer_in_order, "alice", "bob", 10)
      .actor("T2", transfer_in_order, "bob", "alice", 20)
      .session(between_any_two<transfer_in_order>)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("postgres-2", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("Both start with alice: the second one waits there, holding nothing that the first one needs.")

      .pattern("read-then-write", "read both balances, then write both")
      .actor("T1", read_then_write, "alice", "bob", 10)
      .actor("T2", read_then_write, "bob", "carol", 20)
      .session(between_any_two<read_then_write>)
      .schedule("T1 T1 T1 T2 T2 T2 T1 T1 T1 T2 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("postgres-2", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why("Bob pays Carol out of the balance that he had before Alice's payment came: that payment is gone.")
      .fix("touch the accounts in one order, a statement each", "ordered")

      .holds("money is conserved",
             [](const Final& end) {
               const std::int64_t wanted = end.total_at_start(), total = end.total();
               return total == wanted ? std::string() : fmt::format("{} instead of {}", total, wanted);
             })
      .holds("no account is below zero", [](const Final& end) {
        const std::int64_t below = end.below_zero();
        return below == 0 ? std::string() : fmt::format("{} are", below);
      });
}

}  // namespace lockstep::scenarios
