// The victim of a deadlock: which transaction the three policies choose, and why a retry has to be spared (ageing).
// Agrawal, Carey and McVoy, "The performance of alternative strategies for dealing with deadlocks in database
// management systems", IEEE TSE 13(12), 1987, compare them.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using Rows = std::vector<std::string>;

/// Adds one to each row, in the order given.
Task<> add_to_all(Context& c, Rows rows) {
  co_await c.db.begin(rows);
  for (const std::string& row : rows) co_await c.db.add(row, 1);
  co_await c.db.commit();
}

const Rows kShort{"B", "A"};
const Rows kLong{"C", "D", "A", "B"};

}  // namespace

Scenario avoidance_victim_choice() {
  return scenario("One of the circle has to give up: which one?")
      .story(
          "A short transaction and a long one wait for each other. The store breaks the circle at one of them, and "
          "what that one has done is lost. The choice decides what a deadlock costs, and whether a transaction "
          "loses for ever.")
      .given({{"A", 0}, {"B", 0}, {"C", 0}, {"D", 0}, {"E", 0}, {"F", 0}})
      .repeats()

      .pattern("youngest", "the transaction that began last: here the one that has done the most")
      .actor("short", add_to_all, kShort)
      .actor("long", add_to_all, kLong)
      .schedule("short short long long long long short long")
      .tune("victim", "youngest")
      .expect("kv", "2pl-detect: deadlock")
      .why(
          "The long one began last, so it loses the three rows that it had. It keeps its age when it tries again: "
          "it is not the youngest for ever.")
      .fix("one order for all rows: nobody has to give up", "ordered")

      .pattern("oldest", "the transaction that began first")
      .actor("long", add_to_all, kLong)
      .actor("short", add_to_all, kShort)
      .schedule("long long long long short short short long")
      .tune("victim", "oldest")
      .expect("kv", "2pl-detect: deadlock")
      .why(
          "The long one began first and loses the most. The oldest would lose every time: a retry is spared while "
          "somebody else in the circle is none.")
      .fix("one order for all rows: nobody has to give up", "ordered")

      .pattern("least-work", "the transaction with the fewest locks")
      .actor("short", add_to_all, kShort)
      .actor("long", add_to_all, kLong)
      .schedule("short short long long long long short long")
      .tune("victim", "least work")
      .expect("kv", "2pl-detect: deadlock")
      .why("The short one gives up its one row, and the long one goes on with its three.")
      .fix("one order for all rows: nobody has to give up", "ordered")

      .pattern("ageing", "the short one meets two long ones")
      .actor("short", add_to_all, kShort)
      .actor("long1", add_to_all, kLong)
      .actor("long2", add_to_all, Rows{"E", "F", "A", "B"})
      .schedule(
          "short short long1 long1 long1 long1 long1 short long1 short short short long2 long2 long2 long2 long2 short "
          "long2")
      .tune("victim", "least work")
      .expect("kv", "2pl-detect: deadlock")
      .why(
          "The short one is the first victim, since it has the least. Its second try would lose again, and so on with "
          "every long one that comes: a retry is spared, and the second circle costs the second long one its work.")
      .fix("one order for all rows: nobody has to give up", "ordered")

      .pattern("ordered", "everybody takes A before B")
      .actor("short", add_to_all, Rows{"A", "B"})
      .actor("long", add_to_all, kLong)
      .schedule("short short long long long long short long")
      .expect("kv", "2pl-detect: clean")
      .why("Who comes second waits with nothing that the first one needs: there is no circle, and no victim.")

      .holds("every addition counts, once", [](const Final& end) {
        return end.number("A") == end.number("B") && end.number("C") == end.number("D") &&
               end.number("E") == end.number("F");
      });
}

}  // namespace lockstep::scenarios
