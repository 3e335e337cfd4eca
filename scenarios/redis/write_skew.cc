// Write skew under WATCH (A5B of Berenson et al., 1995; Redis manual, "Transactions"): WATCH stops a lost update of the
// key that is watched, and nothing else. A decision rests on keys that were read, so these are to be watched too; or
// one script reads, decides and writes, and Redis does nothing else meanwhile.
#include <fmt/format.h>

#include "scenarios/redis/answers.h"

namespace lockstep::scenarios {
namespace {

using redis_theme::number_in;
using redis_theme::text_in;

/// Behind WATCH: look at the colleague, and leave if that one stays.
Task<> leave_if_other_stays(Context& c, std::string me, std::string colleague) {
  const std::string get = fmt::format("GET {}", colleague), set = fmt::format("SET {} off", me);
  const Table other = co_await c.db.execute(get);
  if (text_in(other) == "off") {
    co_await c.db.execute("UNWATCH");
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.execute("MULTI");
  co_await c.db.execute(set);
  co_await c.db.execute("EXEC");
}

Task<> watch_what_is_written(Context& c, std::string me, std::string colleague) {
  const std::string watch = fmt::format("WATCH {}", me);
  co_await c.db.execute(watch);
  co_await leave_if_other_stays(c, me, colleague);
}

Task<> watch_what_is_read(Context& c, std::string me, std::string colleague) {
  const std::string watch = fmt::format("WATCH {} {}", me, colleague);
  co_await c.db.execute(watch);
  co_await leave_if_other_stays(c, me, colleague);
}

Task<> decide_in_the_server(Context& c, std::string me, std::string colleague) {
  const std::string leave = fmt::format(
      "EVAL \"if redis.call('GET', KEYS[2]) == 'off' then return 0 end "
      "redis.call('SET', KEYS[1], 'off') return 1\" 2 {} {}",
      me, colleague);
  const Table left = co_await c.db.execute(leave);
  if (number_in(left) == 0) c.note("nobody else is on call");
}

}  // namespace

Scenario redis_write_skew() {
  return scenario("Two doctors go off call at once, each watching only what it writes")
      .story(
          "Alice and Bob are on call, each in a key. Each may leave while the other one stays. Both look, then both "
          "leave.")
      .given({{"alice", "on"}, {"bob", "on"}})

      .pattern("plain", "WATCH one's own key, GET the colleague's, MULTI, SET, EXEC")
      .actor("T1", watch_what_is_written, "alice", "bob")
      .actor("T2", watch_what_is_written, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2 T2 T2")
      .expect("redis", "*: anomaly")
      .why(
          "Nobody else has changed the key that was watched, so both EXECs went through; what each decided on was "
          "another key.")
      .fix("WATCH what the decision rests on too", "watch-read")

      .pattern("watch-read", "WATCH both keys")
      .actor("T1", watch_what_is_read, "alice", "bob")
      .actor("T2", watch_what_is_read, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2 T2 T2")
      .expect("redis", "*: abort")
      .why("T1 changed the key that T2 had read: EXEC gave nil. T2 began again, saw that Alice has left, and stayed.")

      .pattern("script", "one script looks and leaves")
      .actor("T1", decide_in_the_server, "alice", "bob")
      .actor("T2", decide_in_the_server, "bob", "alice")
      .schedule("T1 T2")
      .expect("redis", "*: clean")
      .why(
          "Redis does nothing else while a script runs: the transactions come one after the other, as in a serial "
          "store.")

      .holds("somebody is on call", [](const Final& end) { return end["alice"] == "on" || end["bob"] == "on"; });
}

}  // namespace lockstep::scenarios
