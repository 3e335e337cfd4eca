// Idempotency key: a client that hears no answer sends its request again, so the server may get it twice. A key that
// the client chooses, kept under a unique constraint in the same transaction as the work, makes twice the same as once.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"balance", "request/7"};

Task<> charge(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("balance", -10);
  co_await c.db.commit();
}

/// Refused with Fault::constraint when the request has been served.
Task<> insert_key_and_charge(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.insert("request/7", "charged");
  co_await c.db.add("balance", -10);
  co_await c.db.commit();
}

Task<> charge_once(Context& c) { co_await handled(c, insert_key_and_charge(c)); }

}  // namespace

Scenario money_idempotency_key() {
  return scenario("A request that was sent twice is charged twice")
      .story(
          "The client's first request got no answer in time, so it sent the same one again. Now both are being served.")
      .given({{"balance", 100}})

      .pattern("plain", "serve every request that comes")
      .actor("T1", charge)
      .actor("T2", charge)
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "*: anomaly")
      .expect("sqlite", "*: anomaly")
      .expect("postgres", "*: anomaly")
      .expect("mariadb", "*: anomaly")
      .why("Both transactions are right by themselves, and no isolation level knows that they are one request.")
      .fix("insert the request's key in the same transaction", "key")

      .pattern("key", "insert the request's key first, in the same transaction")
      .actor("T1", charge_once)
      .actor("T2", charge_once)
      .schedule("T1 T1 T2 T2 T1 T1")
      .expect("kv", "2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("T2's insert waits for T1 and is refused, since the key is there: the work is done once.")

      .holds("the customer is charged once", [](const Final& end) { return end.number("balance") >= 90; });
}

}  // namespace lockstep::scenarios
