// Read skew (A5A of Berenson et al., 1995): r1[x] w2[x] w2[y] c2 r1[y]. T1 reads one row from before a transfer and the
// other from after it, and sees money that was never there.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> claims{"account/a", "account/b"};

struct Report {
  std::int64_t total = 100;
};

Task<> sum_row_by_row(Context& c) {
  co_await c.db.begin(claims);
  const std::int64_t a = co_await c.db.read("account/a");
  const std::int64_t b = co_await c.db.read("account/b");
  co_await c.db.commit();
  c.world<Report>().total = a + b;
}

Task<> sum_in_one_statement(Context& c) {
  co_await c.db.begin(claims);
  const Table accounts = co_await c.db.scan("account/", "account0");
  std::int64_t total = 0;
  for (const auto& account : accounts) total += std::stoll(*account[1]);
  co_await c.db.commit();
  c.world<Report>().total = total;
}

Task<> transfer(Context& c) {
  co_await c.db.begin(claims);
  co_await c.db.add("account/a", -40);
  co_await c.db.add("account/b", 40);
  co_await c.db.commit();
}

}  // namespace

Scenario isolation_read_skew() {
  return scenario("A report counts a transfer on one side only")
      .story("T1 adds up two accounts. Between its two reads, T2 moves 40 from the first one to the second one.")
      .given({{"account/a", 50}, {"account/b", 50}})
      .with<Report>()

      .pattern("plain", "read row by row")
      .actor("T1", sum_row_by_row)
      .actor("T2", transfer)
      .schedule("T1 T1 T2 T2 T2 T2 T1 T1")
      .expect("kv", "2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: anomaly, *: clean")
      .expect("mariadb", "read-uncommitted: anomaly, read-committed: anomaly, *: clean")
      .why("T1 read account a before the transfer and account b after it.")
      .fix("read both in one statement (or use one snapshot for the whole transaction)", "one-statement")

      .pattern("one-statement", "read both rows in one statement")
      .actor("T1", sum_in_one_statement)
      .actor("T2", transfer)
      .schedule("T1 T1 T2 T2 T2 T2 T1")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: clean")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("One statement sees one state, at every level.")

      .holds("the report adds up", [](const Final& end) { return end.world<Report>().total == 100; });
}

}  // namespace lockstep::scenarios
