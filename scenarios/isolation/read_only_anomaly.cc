// The read-only anomaly of snapshot isolation (Fekete, O'Neil and O'Neil, 2004): T1 and T2 alone are serializable, T2
// before T1. A transaction that only reads makes the history wrong, since it proves that T1 came first.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"checking", "savings"};

struct Report {
  std::int64_t checking = 0;
  std::int64_t savings = 0;
};

Task<> deposit(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("savings", 20);
  co_await c.db.commit();
}

/// Takes 10 out; costs 1 more when the two accounts together are overdrawn by it.
Task<> withdraw(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t checking = co_await c.db.read("checking");
  const std::int64_t savings = co_await c.db.read("savings");
  const std::int64_t fee = checking + savings < 10 ? 1 : 0;
  co_await c.db.write("checking", checking - 10 - fee);
  co_await c.db.commit();
}

Task<> withdraw_for_update(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t checking = co_await c.db.read_for_update("checking");
  const std::int64_t savings = co_await c.db.read_for_update("savings");
  const std::int64_t fee = checking + savings < 10 ? 1 : 0;
  co_await c.db.write("checking", checking - 10 - fee);
  co_await c.db.commit();
}

Task<> report(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t checking = co_await c.db.read("checking");
  const std::int64_t savings = co_await c.db.read("savings");
  co_await c.db.commit();
  c.world<Report>() = {checking, savings};
}

/// Both accounts in one statement: they are of one moment at every isolation level.
Task<> report_at_once(Context& c) {
  co_await c.db.begin(claims);
  const Table rows = co_await c.db.scan("checking", "savings~");
  co_await c.db.commit();
  c.world<Report>() = {std::stoll(rows.at(0).at(1).value_or("0")), std::stoll(rows.at(1).at(1).value_or("0"))};
}

}  // namespace

Scenario isolation_read_only_anomaly() {
  return scenario("A report makes two right transactions wrong")
      .story(
          "Both accounts are empty. T1 deposits 20. T2 withdraws 10 and pays a fee when that overdraws. T3 prints both "
          "accounts: it shows the deposit without the withdrawal, and still the fee is charged.")
      .given({{"checking", 0}, {"savings", 0}})
      .with<Report>()

      .pattern("plain", "T2 reads, T1 deposits, T3 reports, T2 writes")
      .actor("T1", deposit)
      .actor("T2", withdraw)
      .actor("T3", report)
      .schedule("T2 T2 T2 T1 T1 T1 T3 T3 T3 T3 T2 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .expect("mariadb", "serializable: deadlock, *: anomaly")
      .why("The report says that the deposit came before the withdrawal; the fee says that it came after.")
      .fix("lock every row that the fee depends on, and report in one statement", "for-update")

      .pattern("for-update", "T2 locks both rows when it reads them, T3 reads both at once")
      .actor("T1", deposit)
      .actor("T2", withdraw_for_update)
      .actor("T3", report_at_once)
      .schedule("T2 T2 T2 T1 T1 T3 T3 T3 T2 T2")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: clean, snapshot: clean")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: clean")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("The deposit waits for the withdrawal, so the report cannot show it first.")

      .holds("report and fee agree on which came first", [](const Final& end) {
        const Report& seen = end.world<Report>();
        return !(seen.savings == 20 && seen.checking == 0 && end.number("checking") == -11);
      });
}

}  // namespace lockstep::scenarios
