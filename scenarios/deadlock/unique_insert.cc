// Unique keys in opposite order: an insert waits for an uncommitted insert of the same key. It cannot know yet whether
// that one will stay (PostgreSQL manual, 64.5 "Index Uniqueness Checks"). So inserts alone can deadlock; no row was
// there to be locked.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> insert_both(Context& c, std::string first, std::string second) {
  const std::vector<std::string> claims{first, second};
  co_await c.db.begin(claims);
  co_await c.db.insert(first, c.name);
  co_await c.db.insert(second, c.name);
  co_await c.db.commit();
}

/// A name that is taken is what a registration has to expect.
Task<> register_both(Context& c, std::string first, std::string second) {
  co_await handled(c, insert_both(c, first, second));
}

}  // namespace

Scenario deadlock_unique_insert() {
  return scenario("Two transactions insert the same two keys in opposite order")
      .story("T1 registers anna and then ben, T2 ben and then anna. Neither name is there yet.")

      .pattern("plain", "each in the order of its list")
      .actor("T1", register_both, "anna", "ben")
      .actor("T2", register_both, "ben", "anna")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("kv", "2pl-detect: deadlock, 2pl-timeout: timeout, 2pl-no-wait: abort, 2pl-banker: avoided")
      .expect("kv", "occ: abort, snapshot: deadlock")
      .expect("kv", "2pl-wait-die: abort, 2pl-wound-wait: abort, serial: clean, ssi: deadlock")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: deadlock")
      .expect("mariadb", "*: deadlock")
      .why(
          "Each has inserted the key that the other one is about to insert, and waits to learn whether it will be "
          "committed.")
      .fix("insert in one order, such as sorted", "ordered")

      .pattern("ordered", "both insert anna, then ben")
      .actor("T1", register_both, "anna", "ben")
      .actor("T2", register_both, "anna", "ben")
      .schedule("T1 T1 T2 T2 T1 T1")
      .expect("kv", "2pl-no-wait: abort, occ: abort, 2pl-wait-die: abort, ssi: abort, *: clean")
      .expect("sqlite", "*: clean")
      .expect("postgres", "*: clean")
      .expect("mariadb", "*: clean")
      .why("T2 waits at its first insert, and is told that the name is taken.")

      .holds("both names belong to one", [](const Final& end) { return end["anna"] == end["ben"]; });
}

}  // namespace lockstep::scenarios
