// Mutual sums (PostgreSQL manual, 13.2.3, "Serializable Isolation Level"): write skew over ranges. T1 adds up class 1
// and inserts the sum into class 2; T2 does the reverse. One after the other, the second sum contains the first.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> insert_sum(Context& c, std::string from, std::string to) {
  const Table rows = co_await c.db.scan(from + "/", from + "0");
  std::int64_t sum = 0;
  for (const auto& row : rows) sum += std::stoll(*row[1]);
  co_await c.db.insert(to + "/sum", sum);
  co_await c.db.commit();
}

Task<> plain(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await insert_sum(c, from, to);
}

/// Makes the conflict visible: both change one row before they look.
Task<> materialized(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.add("sums", 1);
  co_await insert_sum(c, from, to);
}

}  // namespace

Scenario isolation_mutual_sum() {
  return scenario("Two sums that each leave the other out")
      .story(
          "Class 1 adds up to 30 and class 2 to 300. T1 inserts the sum of class 1 into class 2, T2 that of class 2 "
          "into class 1.")
      .given({{"class1/a", 10}, {"class1/b", 20}, {"class2/a", 100}, {"class2/b", 200}, {"sums", 0}})

      .pattern("plain", "scan one range, insert into the other")
      .actor("T1", plain, "class1", "class2")
      .actor("T2", plain, "class2", "class1")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, occ: abort, snapshot: anomaly")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: abort")
      .expect("sqlite", "deferred-wal: abort, deferred: abort, *: clean")
      .expect("postgres", "read-committed: anomaly, repeatable-read: anomaly, serializable: abort")
      .expect("mariadb", "serializable: deadlock, *: anomaly")
      .why("Neither sum contains the other one, which no order of the two transactions can give.")
      .fix("make the conflict visible: let both change one row", "materialized")

      .pattern("materialized", "both change one common row first")
      .actor("T1", materialized, "class1", "class2")
      .actor("T2", materialized, "class2", "class1")
      .schedule("T1 T1 T2 T2 T1 T1 T1 T2")
      .expect("kv", "2pl-detect: clean, 2pl-timeout: clean, 2pl-no-wait: abort, occ: abort, snapshot: abort")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: clean, serial: clean, ssi: abort")
      .expect("sqlite", "*: clean")
      .expect("postgres", "read-committed: clean, *: abort")
      .expect("mariadb", "*: clean")
      .why("The second one waits for the common row, or fails on it, before it looks.", "clean, serialization_failure")

      .holds("one sum contains the other", [](const Final& end) {
        if (!end.exists("class1/sum") || !end.exists("class2/sum")) return true;
        return end.number("class1/sum") == 330 || end.number("class2/sum") == 330;
      });
}

}  // namespace lockstep::scenarios
