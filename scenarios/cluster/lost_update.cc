// A lost update over the nodes of a cluster (Galera documentation, "Certification-Based Replication"): the nodes
// compare what transactions have written, and of two that wrote a row at a time the first to commit wins. A write that
// comes after the other one has arrived was not written at a time with it, whatever its transaction had read before.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

enum : std::size_t { kDeposits };

Task<> deposit(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  const std::int64_t balance = co_await c.db.read("balance");
  co_await c.db.write("balance", balance + amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

/// Writes only if the value is still the one that was read.
Task<> deposit_if_unchanged(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  const std::int64_t balance = co_await c.db.read("balance");
  const std::int64_t touched = co_await c.db.write_if("balance", balance, balance + amount);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else changed the balance");
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

Task<> deposit_in_one_statement(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add("balance", amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

}  // namespace

Scenario cluster_lost_update() {
  return scenario("Two deposits on two nodes, and one of them disappears")
      .story(
          "Two clerks work on two nodes and read the same balance of 100. One adds 10, the other one 20. No node knows "
          "the locks of another one.")
      .given({{"balance", 100}})

      .pattern("plain", "read, compute, write after the other deposit has arrived")
      .actor("T1", deposit, 10)
      .actor("T2", deposit, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("galera", "repeatable-read: anomaly, read-committed: anomaly, *: abort")
      .why(
          "T1's deposit had reached T2's node when T2 wrote, so nothing was written at a time; T2 wrote what it had "
          "computed from the 100 of before.")
      .why("T1's deposit has reached T2's node, and T2's transaction had locked what it read there: T1's goes first.",
           "certification_failure")
      .why("T2 may not change a row that is newer than its snapshot, and begins again from 110.",
           "serialization_failure")
      .fix("write only if the row is still as it was read", "version-check")

      .pattern("at-a-time", "read, compute, write; both write before either commits")
      .actor("T1", deposit, 10)
      .actor("T2", deposit, 20)
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "*: abort")
      .why("Both wrote the row at a time, and T1 was the first to commit. T2 begins again, from 110.",
           "certification_failure")

      .pattern("version-check", "write only if the value is still the one that was read")
      .actor("T1", deposit_if_unchanged, 10)
      .actor("T2", deposit_if_unchanged, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("galera", "*: abort")
      .why("T2's write touches no row, because the balance is not 100 any more: it starts again from 110.",
           "version_changed")

      .pattern("one-statement", "balance = balance + amount")
      .actor("T1", deposit_in_one_statement, 10)
      .actor("T2", deposit_in_one_statement, 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("galera", "*: abort")
      .why(
          "The sum alone is not enough on two nodes: each had its own lock of the row. T1 was the first to commit; T2 "
          "begins again and adds to 110.",
          "certification_failure")

      .holds("no acknowledged deposit is lost",
             [](const Final& end) { return end.number("balance") == 100 + end.count(kDeposits); });
}

}  // namespace lockstep::scenarios
