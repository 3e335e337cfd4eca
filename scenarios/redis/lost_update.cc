// A lost update, and WATCH (Redis manual, "Transactions: optimistic locking using check-and-set"). Redis carries out
// one command at a time, and those between MULTI and EXEC in one go. What a client has read before is not part of that:
// only WATCH makes EXEC depend on it.
#include <fmt/format.h>

#include "scenarios/redis/answers.h"

namespace lockstep::scenarios {
namespace {

using redis_theme::number_in;

enum : std::size_t { kDeposits };

Task<> get_then_set(Context& c, std::int64_t amount) {
  const Table balance = co_await c.db.execute("GET balance");
  const std::string set = fmt::format("SET balance {}", number_in(balance) + amount);
  co_await c.db.execute(set);
  c.acknowledged[kDeposits] += amount;
}

Task<> set_in_multi(Context& c, std::int64_t amount) {
  const Table balance = co_await c.db.execute("GET balance");
  const std::string set = fmt::format("SET balance {}", number_in(balance) + amount);
  co_await c.db.execute("MULTI");
  co_await c.db.execute(set);
  co_await c.db.execute("EXEC");
  c.acknowledged[kDeposits] += amount;
}

Task<> set_under_watch(Context& c, std::int64_t amount) {
  co_await c.db.execute("WATCH balance");
  co_await set_in_multi(c, amount);
}

Task<> let_the_server_add(Context& c, std::int64_t amount) {
  const std::string add = fmt::format("INCRBY balance {}", amount);
  co_await c.db.execute(add);
  c.acknowledged[kDeposits] += amount;
}

}  // namespace

Scenario redis_lost_update() {
  return scenario("Two deposits by GET and SET, and one of them disappears")
      .story(
          "Two clients read the same balance of 100. One adds 10, the other one adds 20, and both set what they "
          "computed.")
      .given({{"balance", 100}})

      .pattern("plain", "GET, compute, SET")
      .actor("T1", get_then_set, 10)
      .actor("T2", get_then_set, 20)
      .schedule("T1 T2 T1 T2")
      .expect("redis", "*: anomaly")
      .why(
          "Each command is carried out alone, and between the GET and the SET of T2 there was room for those of T1: "
          "its deposit is gone.")
      .fix("WATCH the key before it is read, and SET it between MULTI and EXEC", "watch")

      .pattern("multi", "GET, compute, MULTI, SET, EXEC")
      .actor("T1", set_in_multi, 10)
      .actor("T2", set_in_multi, 20)
      .schedule("T1 T2 T1 T1 T1 T2 T2 T2")
      .expect("redis", "*: anomaly")
      .why("MULTI and EXEC keep others out while EXEC works. The GET stood before it, so T2 set what was out of date.")
      .fix("WATCH the key before it is read", "watch")

      .pattern("watch", "WATCH, GET, compute, MULTI, SET, EXEC")
      .actor("T1", set_under_watch, 10)
      .actor("T2", set_under_watch, 20)
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2 T2 T2")
      .expect("redis", "*: abort")
      .why("T1 changed the balance after T2 had begun to watch it: EXEC gave nil, nothing was set, and T2 began again.")

      .pattern("incrby", "INCRBY")
      .actor("T1", let_the_server_add, 10)
      .actor("T2", let_the_server_add, 20)
      .schedule("T1 T2")
      .expect("redis", "*: clean")
      .why("Nothing is computed outside the server, which carries out one command after the other.")

      .holds("no acknowledged deposit is lost",
             [](const Final& end) { return end.number("balance") == 100 + end.count(kDeposits); });
}

}  // namespace lockstep::scenarios
