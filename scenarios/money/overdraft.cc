// Overdraft across two accounts: the bank's write skew (Berenson et al., 1995, 4.2: the constraint is x + y > 0). The
// rule is about the sum, and each withdrawal changes only one of the rows that it rests on.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"checking", "savings"};

Task<> withdraw(Context& c, std::string account, std::int64_t amount) {
  co_await c.db.begin(claims);
  const std::int64_t checking = co_await c.db.read("checking");
  const std::int64_t savings = co_await c.db.read("savings");
  if (checking + savings < amount) {
    c.note("not enough money");
    co_return;
  }
  co_await c.db.add(account, -amount);
  co_await c.db.commit();
}

Task<> withdraw_for_update(Context& c, std::string account, std::int64_t amount) {
  co_await c.db.begin(claims);
  const std::int64_t checking = co_await c.db.read_for_update("checking");
  const std::int64_t savings = co_await c.db.read_for_update("savings");
  if (checking + savings < amount) {
    c.note("not enough money");
    co_return;
  }
  co_await c.db.add(account, -amount);
  co_await c.db.commit();
}

}  // namespace

Scenario money_overdraft() {
  return scenario("Two accounts may be overdrawn together, but not both")
      .story(
          "A customer has 50 on each of two accounts and may go below zero on one if the sum stays above. Two "
          "withdrawals of 80.")
      .given({{"checking", 50}, {"savings", 50}})

      .pattern("plain", "read both accounts, withdraw from one")
      .actor("T1", withdraw, "checking", 80)
      .actor("T2", withdraw, "savings", 80)
      .schedule("T1 T1 T1 T2 T2 T2 T1 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: clean")
      .expect("kv", "occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .expect("mariadb", "serializable: deadlock, *: anomaly")
      .why("Each saw 100 and took 80, from different rows.")
      .fix("lock both rows before deciding", "for-update")

      .pattern("for-update", "lock both accounts, then decide")
      .actor("T1", withdraw_for_update, "checking", 80)
      .actor("T2", withdraw_for_update, "savings", 80)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-no-wait: abort, occ: abort, snapshot: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("The second one waits, sees that the money is gone, and is refused.")

      .holds("the sum is not below zero", [](const Final& end) { return end.total() >= 0; });
}

}  // namespace lockstep::scenarios
