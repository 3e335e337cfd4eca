// A phantom after one's own write: at REPEATABLE READ a plain read sees the snapshot, and an update the newest rows. An
// update that meets a row which the snapshot does not have changes it, and what a transaction has changed it sees.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Bill {
  std::size_t counted = 0;
  std::size_t sent = 0;
};

constexpr const char* kSend = "update kv set v = 'sent' where k >= 'order/' and k < 'order0'";

Task<> count_send_count(Context& c) {
  co_await c.db.begin();
  const Table before = co_await c.db.scan("order/", "order0");
  co_await c.db.execute(kSend);
  const Table after = co_await c.db.scan("order/", "order0");
  co_await c.db.commit();
  c.world<Bill>() = {before.size(), after.size()};
}

Task<> lock_send_count(Context& c) {
  co_await c.db.begin();
  const Table before = co_await c.db.scan_for_update("order/", "order0");
  co_await c.db.execute(kSend);
  const Table after = co_await c.db.scan("order/", "order0");
  co_await c.db.commit();
  c.world<Bill>() = {before.size(), after.size()};
}

Task<> send_and_be_told(Context& c) {
  co_await c.db.begin();
  const auto sent = static_cast<std::size_t>(co_await c.db.execute_count(kSend));
  co_await c.db.commit();
  c.world<Bill>() = {sent, sent};
}

Task<> add_an_order(Context& c) {
  co_await c.db.begin();
  co_await c.db.insert("order/2", "new");
  co_await c.db.commit();
}

}  // namespace

Scenario innodb_own_write() {
  return scenario("A row that was not there appears after one's own update")
      .story("T1 counts the orders, marks them as sent, and counts again. T2 adds one in between.")
      .given({{"order/1", "new"}, {"order/3", "new"}})
      .with<Bill>()

      .pattern("plain", "count by a plain read, then update the range")
      .actor("T1", count_send_count)
      .actor("T2", add_an_order)
      .schedule("T1 T1 T2 T2 T2 T1 T1 T1")
      .expect("mariadb", "snapshot: abort, serializable: clean, *: anomaly")
      .why(
          "The update went to the newest rows, T2's among them, which the snapshot did not have. From then on T1 saw "
          "it "
          "as its own.",
          "anomaly")
      .why("The order was newer than T1's snapshot, so its update was refused, and T1 began again.", "abort")
      .why("T1's first read had locked the range, so T2 waited.", "clean")
      .fix("let the update itself say how many it has changed", "told")

      .pattern("for-update", "count by a locking read, which locks the gaps too")
      .actor("T1", lock_send_count)
      .actor("T2", add_an_order)
      .schedule("T1 T1 T2 T2 T2 T1 T1 T1")
      .expect("mariadb", "read-uncommitted: anomaly, read-committed: anomaly, *: clean")
      .why("T2's order waits until T1 has committed: its place is in a gap that T1 has locked.", "clean")
      .why("At this level a locking read locks the rows that are there, and no gaps.", "anomaly")
      .fix("let the update itself say how many it has changed", "told")

      .pattern("told", "update, and take the number of rows from the answer")
      .actor("T1", send_and_be_told)
      .actor("T2", add_an_order)
      .schedule("T1 T2 T2 T2 T1 T1")
      .expect("mariadb", "*: clean")
      .why("One statement did both, so there was nothing in between.")

      .holds("what was counted is what was sent", [](const Final& end) {
        const Bill& bill = end.world<Bill>();
        return bill.counted == bill.sent;
      });
}

}  // namespace lockstep::scenarios
