// Money transfer in opposite orders: the deadlock that a payment system meets first (PostgreSQL manual, 13.3.4
// "Deadlocks"). Each transfer is right by itself; two of them between the same accounts lock these in opposite order.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

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

}  // namespace

Scenario money_transfer() {
  return scenario("Two transfers between the same accounts, in opposite directions")
      .story("Alice pays Bob 10 while Bob pays Alice 20. Each transfer takes the money before it gives it.")
      .given({{"alice", 100}, {"bob", 100}})

      .pattern("plain", "take the money, then give it")
      .actor("T1", transfer, "alice", "bob", 10)
      .actor("T2", transfer, "bob", "alice", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: deadlock")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: deadlock")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: deadlock")
      .why("T1 has alice and wants bob, T2 has bob and wants alice: each holds the row that the other one needs.")
      .fix("touch the accounts in one order", "ordered")

      .pattern("ordered", "the account with the smaller name first")
      .actor("T1", transfer_in_order, "alice", "bob", 10)
      .actor("T2", transfer_in_order, "bob", "alice", 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("Both start with alice: the second one waits there, holding nothing that the first one needs.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 200; })
      .holds("no account is below zero",
             [](const Final& end) { return end.number("alice") >= 0 && end.number("bob") >= 0; });
}

}  // namespace lockstep::scenarios
