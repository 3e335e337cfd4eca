// Two commits that are under way at a time (Galera documentation, "Certification-Based Replication"). A
// commit is two steps here: it is sent to the other nodes, and it is delivered, there and here. A change that is
// delivered ends the readers of its rows, and finds none whose own commit has been sent.
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
  co_await c.db.execute("send commit");
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
  co_await c.db.execute("send commit");
  co_await c.db.commit();
}

}  // namespace

Scenario cluster_commits_under_way() {
  return scenario("Two doctors go off call while both commits are under way")
      .story(
          "Alice and Bob are on call. Each may leave while the other one stays. Both look, on two nodes, and both "
          "commits are sent before either has arrived.")
      .given({{"alice", "on"}, {"bob", "on"}, {"shift", 0}})

      .pattern("plain", "read the colleague's row, write one's own")
      .actor("T1", go_off_call, "alice", "bob")
      .actor("T2", go_off_call, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2 T1 T2")
      .expect("galera", "*: anomaly")
      .why(
          "When T1's change was delivered on T2's node, T2's commit had been sent already, and a commit that has been "
          "sent is judged by what it writes alone. So it is at SERIALIZABLE, too.")
      .fix("let both change a row that they share", "materialized")

      .pattern("materialized", "both change a row of the shift's first")
      .actor("T1", sign_off, "alice", "bob")
      .actor("T2", sign_off, "bob", "alice")
      .schedule("T1 T1 T2 T2 T1 T2 T1 T2 T1 T2 T1 T2")
      .expect("galera", "*: abort")
      .why("Both have changed the shift's row. Of the two commits one came first, and the other one was refused.",
           "certification_failure")

      .holds("somebody is on call", [](const Final& end) { return end["alice"] == "on" || end["bob"] == "on"; });
}

}  // namespace lockstep::scenarios
