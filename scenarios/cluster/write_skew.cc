// Write skew over the nodes of a cluster (A5B of Berenson et al., 1995): the nodes compare what transactions have
// written, and not what they have read. At SERIALIZABLE a read locks its row, on its own node alone: a change that
// arrives there ends the reader, unless the reader's own commit is under way.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> go_off_call(Context& c, std::string me, std::string colleague) {
  co_await c.db.begin();
  const Value other = co_await c.db.read(colleague);
  if (other == "off") {
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.write(me, "off");
  co_await c.db.commit();
}

/// Changes a row of the shift's, which every leave changes.
Task<> sign_off(Context& c, std::string me, std::string colleague) {
  co_await c.db.begin();
  co_await c.db.add("shift", 1);
  const Value other = co_await c.db.read(colleague);
  if (other == "off") {
    c.note("nobody else is on call");
    co_return;
  }
  co_await c.db.write(me, "off");
  co_await c.db.commit();
}

}  // namespace

Scenario cluster_write_skew() {
  return scenario("Two doctors go off call at once, on two nodes")
      .story(
          "Alice and Bob are on call. Each may leave while the other one stays. Both look at the same time, on two "
          "nodes, and both leave.")
      .given({{"alice", "on"}, {"bob", "on"}, {"shift", 0}})

      .pattern("plain", "read the colleague's row, write one's own")
      .actor("T1", go_off_call, "alice", "bob")
      .actor("T2", go_off_call, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2")
      .expect("galera", "serializable: abort, serializable-synced: abort, *: anomaly")
      .why("The rows that they wrote differ, and what they read nobody compares.")
      .why(
          "T1's change of its row has reached T2's node, where T2 had locked that row to read it: T2 begins again, and "
          "stays. Commits that are under way at a time pass each other by.",
          "certification_failure")
      .fix("let both change a row that they share", "materialized")

      .pattern("materialized", "both change a row of the shift's first")
      .actor("T1", sign_off, "alice", "bob")
      .actor("T2", sign_off, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2 T1 T2")
      .expect("galera", "*: abort")
      .why("Both have changed the shift's row, and T1 was the first to commit. T2 begins again, and stays.",
           "certification_failure")

      .holds("somebody is on call", [](const Final& end) { return end["alice"] == "on" || end["bob"] == "on"; });
}

}  // namespace lockstep::scenarios
