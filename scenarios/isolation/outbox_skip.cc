// The order of numbers is not the order of commits. A consumer asks for "everything after the last number I saw". It
// misses an event with a number that was drawn earlier and committed later. A sequence is no part of the transaction
// (PostgreSQL manual, 9.17), so no isolation level prevents it: T2, consumer, T1 is a serial order.
#include <atomic>
#include <set>

#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Outbox {
  std::atomic<int> sequence = 0;
  std::set<std::string> consumed;
  std::string last_consumed;
};

Task<> publish(Context& c) {
  co_await c.db.begin();
  const int number = ++c.world<Outbox>().sequence;
  co_await c.db.insert("event/" + std::to_string(number), c.name);
  co_await c.db.commit();
}

/// Counts in a row of the store: nobody else has a number before this one is committed.
Task<> publish_in_turn(Context& c) {
  co_await c.db.begin();
  const std::int64_t number = co_await c.db.add("sequence", 1);
  co_await c.db.insert("event/" + std::to_string(number), c.name);
  co_await c.db.commit();
}

/// Looks twice for what has come since its last event.
Task<> consume(Context& c) {
  auto& outbox = c.world<Outbox>();
  for (int look = 0; look < 2; ++look) {
    co_await c.db.begin();
    const Table events = co_await c.db.scan("event/" + outbox.last_consumed, "event0");
    co_await c.db.commit();
    for (const auto& event : events) {
      outbox.last_consumed = event[0]->substr(6);
      outbox.consumed.insert(*event[0]);
    }
  }
}

}  // namespace

Scenario isolation_outbox_skip() {
  return scenario("A consumer skips an event that was committed late")
      .story(
          "T1 draws number 1, T2 number 2. T2 commits, the consumer reads 2 and remembers it, and then T1 commits "
          "number 1.")
      .given({{"sequence", 0}})
      .with<Outbox>()

      .pattern("plain", "draw a number from a sequence, then insert")
      .actor("T1", publish)
      .actor("T2", publish)
      .actor("consumer", consume)
      .schedule("T1 T2 T2 T2 consumer consumer consumer T1 T1 consumer consumer consumer")
      .expect("kv", "2pl-detect: anomaly, 2pl-timeout: anomaly, 2pl-no-wait: anomaly, occ: anomaly, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: anomaly, 2pl-wound-wait: anomaly, serial: anomaly, ssi: anomaly")
      .expect("sqlite", "deferred-wal: anomaly, deferred: anomaly, *: clean")
      .expect("postgres", "*: anomaly")
      .expect("mariadb",
              "read-uncommitted: anomaly, read-committed: anomaly, repeatable-read: anomaly, snapshot: anomaly")
      .why("The consumer had gone past number 1 before it was there to be seen.")
      .fix("count in a row that stays locked until the commit", "in-turn")

      .pattern("in-turn", "add one to a row, then insert")
      .actor("T1", publish_in_turn)
      .actor("T2", publish_in_turn)
      .actor("consumer", consume)
      .schedule("T1 T1 T2 T2 T1 T2 consumer consumer consumer T1 T2 T2 consumer consumer consumer")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: abort")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "read-uncommitted: clean, read-committed: clean, repeatable-read: clean, snapshot: clean")
      .why("Number 2 cannot be drawn before number 1 is committed. The price: publishers wait for each other.")

      .holds("no event is skipped", [](const Final& end) {
        const Outbox& outbox = end.world<Outbox>();
        for (const auto& [key, value] : end.state())
          if (key.starts_with("event/") && key.substr(6) < outbox.last_consumed && !outbox.consumed.contains(key))
            return false;
        return true;
      });
}

}  // namespace lockstep::scenarios
