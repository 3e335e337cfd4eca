// An error inside EXEC (Redis manual, "Transactions: errors inside a transaction", "What about rollbacks?"). A command
// that cannot be queued makes EXEC refuse everything. One that fails while EXEC works does not: the others are carried
// out, before it and behind it, and nothing is taken back. A script that fails half-way keeps its first half as well.
#include "scenarios/redis/answers.h"

namespace lockstep::scenarios {
namespace {

using redis_theme::number_in;
using redis_theme::text_in;

Task<> sent(Context& c, std::string command) { co_await c.db.execute(command); }

/// MULTI, two commands, EXEC; a refusal is told, as a client's log would.
Task<> transfer_by(Context& c, std::string take, std::string give) {
  co_await c.db.execute("MULTI");
  co_await c.db.execute(take);
  const Result<void> queued = co_await tried(sent(c, give));
  if (!queued) c.note("not queued: " + queued.error().message);
  const Result<void> done = co_await tried(sent(c, "EXEC"));
  if (!done) c.note("the transfer failed");
}

Task<> by_script(Context& c) {
  const std::string script = "EVAL \"redis.call('DECRBY', KEYS[1], 30) redis.call('INCRBY', KEYS[2], 30)\" 2 alice bob";
  const Result<void> done = co_await tried(sent(c, script));
  if (!done) c.note("the transfer failed");
}

Task<> look_first(Context& c) {
  co_await c.db.execute("WATCH bob");
  const Table bob = co_await c.db.execute("GET bob");
  if (std::to_string(number_in(bob)) != text_in(bob)) {
    co_await c.db.execute("UNWATCH");
    c.note("bob's account takes no money");
    co_return;
  }
  co_await transfer_by(c, "DECRBY alice 30", "INCRBY bob 30");
}

}  // namespace

Scenario redis_error_in_exec() {
  return scenario("A transfer fails inside EXEC, and half of it stays")
      .story(
          "Alice pays Bob 30, between MULTI and EXEC. What stands in Bob's account is a word, to which nothing can be "
          "added.")
      .given({{"alice", 100}, {"bob", "closed"}})

      .pattern("plain", "MULTI, DECRBY, INCRBY, EXEC")
      .actor("T1", transfer_by, "DECRBY alice 30", "INCRBY bob 30")
      .expect("redis", "*: anomaly")
      .why("INCRBY failed inside EXEC. DECRBY was carried out all the same, and Redis takes nothing back: 30 are gone.")
      .fix("look at the value under WATCH, before anything is queued", "look-first")

      .pattern("script", "one script with both")
      .actor("T1", by_script)
      .expect("redis", "*: anomaly")
      .why(
          "The script ended at its second command. What the first one did stays: a script is alone, and is not undone.")
      .fix("look at the value under WATCH, before anything is queued", "look-first")

      .pattern("not-queued", "the second command lacks an argument")
      .actor("T1", transfer_by, "DECRBY alice 30", "INCRBY bob")
      .expect("redis", "*: abort")
      .why("The server saw the mistake when the command was to be queued, and then EXEC carried out none of them.")

      .pattern("look-first", "WATCH and GET the account, then MULTI or nothing")
      .actor("T1", look_first)
      .expect("redis", "*: clean")
      .why("What could fail inside EXEC was found before it; WATCH sees to it that the answer still holds at EXEC.")

      .holds("money is conserved", [](const Final& end) { return end.number("alice") + end.number("bob") == 100; });
}

}  // namespace lockstep::scenarios
