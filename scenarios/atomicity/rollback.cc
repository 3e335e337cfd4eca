// Atomicity (Haerder and Reuter, 1983): all of a transaction or nothing of it. A transfer fails in the middle; whether
// the money that it has taken comes back depends on where the transaction begins and ends.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"alice", "bob", "receipt/1"};

Task<> pay_in_two_transactions(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("alice", -10);
  co_await c.db.commit();
  co_await c.db.begin(claims);
  co_await c.db.insert("receipt/1", "paid");
  co_await c.db.add("bob", 10);
  co_await c.db.commit();
}

Task<> in_two_transactions(Context& c) { co_await handled(c, pay_in_two_transactions(c)); }

Task<> pay_in_one_transaction(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("alice", -10);
  co_await c.db.insert("receipt/1", "paid");
  co_await c.db.add("bob", 10);
  co_await c.db.commit();
}

/// The client is told that the receipt is taken.
Task<> in_one_transaction(Context& c) { co_await handled(c, pay_in_one_transaction(c)); }

}  // namespace

Scenario atomicity_rollback() {
  return scenario("A transfer fails in the middle")
      .story("Alice pays Bob 10. The number of the receipt is taken already, so the insert in the middle fails.")
      .given({{"alice", 100}, {"bob", 100}, {"receipt/1", "taken"}})

      .pattern("plain", "two transactions: take the money; write the receipt and give the money")
      .actor("T1", in_two_transactions)
      .expect("kv", "*: anomaly")
      .expect("sqlite", "*: anomaly")
      .expect("postgres", "*: anomaly")
      .expect("mariadb", "*: anomaly")
      .why("The first half was committed when the second half failed: 10 are gone.")
      .fix("put what belongs together into one transaction", "one-transaction")

      .pattern("one-transaction", "all of it in one transaction")
      .actor("T1", in_one_transaction)
      .expect("kv", "*: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("The failure takes the whole transaction back: nobody has paid.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 200; });
}

}  // namespace lockstep::scenarios
