// Lost update (P4 of Berenson et al., 1995, "A Critique of ANSI SQL Isolation Levels"): r1[x] r2[x] w1[x] c1 w2[x] c2.
// The second write is computed from a value that the first one has replaced.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"balance"};

enum : std::size_t { kDeposits };

Task<> deposit(Context& c, std::int64_t amount) {
  co_await c.db.begin(claims);
  const std::int64_t balance = co_await c.db.read("balance");
  co_await c.db.write("balance", balance + amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

Task<> deposit_for_update(Context& c, std::int64_t amount) {
  co_await c.db.begin(claims);
  const std::int64_t balance = co_await c.db.read_for_update("balance");
  co_await c.db.write("balance", balance + amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

/// Optimistic: writes only if the value is still the one that was read.
Task<> deposit_if_unchanged(Context& c, std::int64_t amount) {
  co_await c.db.begin(claims);
  const std::int64_t balance = co_await c.db.read("balance");
  const std::int64_t touched = co_await c.db.write_if("balance", balance, balance + amount);
  if (touched == 0) co_await fail(Fault::version_changed, "somebody else changed the balance");
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

Task<> deposit_in_one_statement(Context& c, std::int64_t amount) {
  co_await c.db.begin(claims);
  co_await c.db.add("balance", amount);
  co_await c.db.commit();
  c.acknowledged[kDeposits] += amount;
}

}  // namespace

Scenario isolation_lost_update() {
  return scenario("Two deposits, and one of them disappears")
      .story(
          "Two clerks read the same balance of 100. One adds 10, the other one adds 20, and both write what they "
          "computed.")
      .given({{"balance", 100}})
      .repeats()

      .pattern("plain", "read, compute, write")
      .actor("T1", deposit, 10)
      .actor("T2", deposit, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, *: abort")
      .expect("mariadb", "snapshot: abort, serializable: deadlock, *: anomaly")
      .why("T2 writes 120, computed from the 100 that it read before T1 wrote 110. The deposit of T1 is gone.")
      .fix("let the store do the sum in one statement", "one-statement")

      .pattern("for-update", "the read locks the row")
      .actor("T1", deposit_for_update, 10)
      .actor("T2", deposit_for_update, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("T2 waits at its read until T1 has committed, and then reads 110.")

      .pattern("version-check", "write only if the value is still the one that was read")
      .actor("T1", deposit_if_unchanged, 10)
      .actor("T2", deposit_if_unchanged, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: abort")
      .expect("mariadb", "serializable: deadlock, *: abort")
      .why("T2's write touches no row, because the balance is not 100 any more: it starts again from 110.",
           "version_changed")
      .fix("where reads lock, let one statement do the sum", "one-statement")

      .pattern("one-statement", "balance = balance + amount")
      .actor("T1", deposit_in_one_statement, 10)
      .actor("T2", deposit_in_one_statement, 20)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("Nothing is computed outside the store: the second sum waits for the first and starts from its result.")

      .holds("no acknowledged deposit is lost",
             [](const Final& end) { return end.number("balance") == 100 + end.count(kDeposits); });
}

}  // namespace lockstep::scenarios
