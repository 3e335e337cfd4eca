// A lock that two are given after a failover (Redis manual, "Distributed locks with Redis: why failover-based
// implementations are not enough"). Redis acknowledges a SET before its replica has it. The primary dies, the replica
// takes over without the key, and gives the lock once more. Numbers for fencing would be given twice for the same
// reason. What helps is where the data lies: it must turn away who has seen an older state.
#include <fmt/format.h>

#include "engine/actor/pause.h"
#include "engine/actor/step.h"
#include "scenarios/redis/answers.h"
#include "scenarios/redis/lock_service.h"

namespace lockstep::scenarios {
namespace {

using redis_theme::LockService;
using redis_theme::number_in;

enum : std::size_t { kDeposits };

const std::string kGiveBack = "give the lock back";
const std::string kFailover = "the primary dies, the replica takes over";

Task<> lock(Context& c) {
  const std::string shown = "SET lock " + c.name + " NX PX 60000, at the lock service";
  for (;;) {
    co_await step(shown);
    const Result<bool> got = c.world<LockService>().lock(c.name);
    if (!got) co_await fail(got.error());
    if (*got) break;
    c.note("somebody has the lock");
    co_await pause(std::chrono::milliseconds(20));
  }
}

Task<> unlock(Context& c) {
  co_await step(kGiveBack);
  c.world<LockService>().unlock(c.name);
}

Task<> deposit(Context& c, std::int64_t amount) {
  co_await lock(c);
  const Table balance = co_await c.db.execute("GET balance");
  const std::string set = fmt::format("SET balance {}", number_in(balance) + amount);
  co_await c.db.execute(set);
  c.acknowledged[kDeposits] += amount;
  co_await unlock(c);
}

Task<> deposit_under_watch(Context& c, std::int64_t amount) {
  co_await c.db.execute("WATCH balance");
  const Table balance = co_await c.db.execute("GET balance");
  const std::string set = fmt::format("SET balance {}", number_in(balance) + amount);
  co_await c.db.execute("MULTI");
  co_await c.db.execute(set);
  co_await c.db.execute("EXEC");
}

Task<> deposit_if_unchanged(Context& c, std::int64_t amount) {
  co_await lock(c);
  for (;;) {
    const Result<void> done = co_await tried(deposit_under_watch(c, amount));
    if (done) break;
    if (!is_retry_safe(done.error().fault)) co_await fail(done.error());
    c.note("not alone, in spite of the lock: once more");
  }
  c.acknowledged[kDeposits] += amount;
  co_await unlock(c);
}

Task<> lose_the_primary(Context& c) {
  co_await step(kFailover);
  c.world<LockService>().fail_over();
}

}  // namespace

Scenario redis_failover() {
  return scenario("After a failover two are given the lock")
      .story(
          "T1 and T2 make deposits under a lock that two Redis servers give. The primary dies before the lock of T1 "
          "has reached its replica.")
      .given({{"balance", 100}})
      .with<LockService>()

      .pattern("plain", "lock, GET, SET, give the lock back")
      .actor("T1", deposit, 10)
      .actor("T2", deposit, 20)
      .actor("M", lose_the_primary)
      .schedule("T1 T1 M T2 T2 T1 T2")
      .expect("redis", "*: anomaly")
      .why("The replica knew nothing of the lock of T1, and gave it to T2: both had read 100, and the second SET won.")
      .fix("let the data itself refuse a write that rests on an older state", "watch")

      .pattern("watch", "the lock, and WATCH on the data")
      .actor("T1", deposit_if_unchanged, 10)
      .actor("T2", deposit_if_unchanged, 20)
      .actor("M", lose_the_primary)
      .schedule("T1 T1 T1 M T2 T2 T2 T1 T1 T1 T2 T2 T2")
      .expect("redis", "*: abort")
      .why(
          "Two had the lock, and EXEC gave nil to the second one, which began again: the lock only kept such meetings "
          "rare.")

      .holds("no acknowledged deposit is lost",
             [](const Final& end) { return end.number("balance") == 100 + end.count(kDeposits); });
}

}  // namespace lockstep::scenarios
