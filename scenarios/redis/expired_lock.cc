// A lock with a lease (Redis manual, SET: "Patterns"; M. Kleppmann, "How to do distributed locking", 2016). SET NX PX
// gives a lock that its holder need not give back: it runs out. A holder that stands still for longer does not notice,
// so two hold it. A number that grows with each grant, shown at each access, lets the data itself turn the late one
// away.
#include <fmt/format.h>

#include "engine/actor/pause.h"
#include "scenarios/redis/answers.h"

namespace lockstep::scenarios {
namespace {

using redis_theme::number_in;
using std::chrono::milliseconds;

enum : std::size_t { kDeposits };

constexpr milliseconds kNoPause{0};
constexpr milliseconds kLongPause{400};  // a garbage collector, or a machine that sleeps
constexpr milliseconds kNextTry{100};    // longer than the lease

/// Gives the lock back if it is still this client's.
Task<> unlock(Context& c) {
  const std::string unlock = fmt::format(
      "EVAL \"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end "
      "return 0\" 1 lock {}",
      c.name);
  co_await c.db.execute(unlock);
}

Task<> deposit_under_lease(Context& c, std::int64_t amount, milliseconds stands_still) {
  const std::string lock = fmt::format("SET lock {} NX PX 50", c.name);
  for (;;) {
    const std::int64_t got = co_await c.db.execute_count(lock);
    if (got == 1) break;
    co_await pause(kNextTry);
  }
  const Table balance = co_await c.db.execute("GET balance");
  if (stands_still > kNoPause) co_await pause(stands_still);
  const std::string set = fmt::format("SET balance {}", number_in(balance) + amount);
  co_await c.db.execute(set);
  c.acknowledged[kDeposits] += amount;
  co_await unlock(c);
}

/// Every access shows the number of its grant; one that is older than the latest that was shown is turned away. Then
/// the client begins again.
Task<> deposit_with_token(Context& c, std::int64_t amount, milliseconds stands_still) {
  const std::string lock = fmt::format(
      "EVAL \"if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 50) then return redis.call('INCR', KEYS[2]) end "
      "return 0\" 2 lock grants {}",
      c.name);
  const std::string admitted =
      "if tonumber(redis.call('GET', KEYS[2])) > tonumber(ARGV[1]) then return false end "
      "redis.call('SET', KEYS[2], ARGV[1]) ";
  for (milliseconds still = stands_still;; still = kNoPause) {
    const Table granted = co_await c.db.execute(lock);
    const std::int64_t token = number_in(granted);
    if (token == 0) {
      co_await pause(kNextTry);
      continue;
    }
    const std::string get =
        fmt::format("EVAL \"{}return redis.call('GET', KEYS[1])\" 2 balance latest {}", admitted, token);
    const Table balance = co_await c.db.execute(get);
    if (still > kNoPause) co_await pause(still);
    const std::string set = fmt::format("EVAL \"{}return redis.call('SET', KEYS[1], ARGV[2])\" 2 balance latest {} {}",
                                        admitted, token, number_in(balance) + amount);
    const Table done = co_await c.db.execute(set);
    co_await unlock(c);
    if (!balance.empty() && !done.empty()) break;
    c.note(fmt::format("grant {} came too late", token));
  }
  c.acknowledged[kDeposits] += amount;
}

}  // namespace

Scenario redis_expired_lock() {
  return scenario("A lock runs out while its holder stands still, and two hold it")
      .story(
          "T1 and T2 make deposits under a lock with a lease of 50 ms. T1 stands still for 400 ms while it holds it.")
      .given({{"balance", 100}, {"latest", 0}})

      .pattern("plain", "SET NX PX, GET, SET, give the lock back")
      .actor("T1", deposit_under_lease, 10, kLongPause)
      .actor("T2", deposit_under_lease, 20, kNoPause)
      .schedule("T1 T1 T1 T2")
      .expect("redis", "*: anomaly")
      .why(
          "The lock of T1 ran out, and T2 was given it. T1 did not notice, and set what it had computed before: T2's "
          "deposit is gone.")
      .fix("number the grants, and let the data turn away who shows an old number", "fencing")

      .pattern("fencing", "the lock gives a number, which each access shows")
      .actor("T1", deposit_with_token, 10, kLongPause)
      .actor("T2", deposit_with_token, 20, kNoPause)
      .schedule("T1 T1 T1 T2")
      .expect("redis", "*: clean")
      .why("T2 had shown grant 2 when T1 came back with grant 1: its write was turned away, and T1 began again.")

      .holds("no acknowledged deposit is lost",
             [](const Final& end) { return end.number("balance") == 100 + end.count(kDeposits); });
}

}  // namespace lockstep::scenarios
