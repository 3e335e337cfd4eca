// isolation_test.cc: the textbook anomalies, each found under the levels that forbid it and under no other.
#include "engine/check/isolation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace lockstep::check {
namespace {

Operation read(std::string key, List list) {
  if (list.empty()) return {Operation::Kind::absent, std::move(key), {}, 0, false};
  return {Operation::Kind::read, std::move(key), std::move(list), 0, false};
}
Operation append(std::string key, Element element) {
  return {Operation::Kind::append, std::move(key), {}, element, false};
}
Operation erase(std::string key, Element element) {
  return {Operation::Kind::erase, std::move(key), {}, element, false};
}
Operation undone(Operation op) {
  op.undone = true;
  return op;
}

/// Everybody at the same time, unless a test says otherwise.
Transaction txn(std::string name, std::vector<Operation> operations, std::int64_t began = 0, std::int64_t ended = 100) {
  return {std::move(name), Transaction::End::committed, began, ended, std::move(operations)};
}
Transaction aborted(Transaction t) {
  t.end = Transaction::End::aborted;
  return t;
}

/// The names of what is found, at each level: "rc: …; si: …; ser: …".
std::string found(const History& history) {
  std::string text;
  for (const auto& [label, level] : {std::pair("rc", Level::read_committed), std::pair("si", Level::snapshot),
                                     std::pair("ser", Level::serializable)}) {
    text += fmt::format("{}{}:", text.empty() ? "" : "; ", label);
    for (const Anomaly& anomaly : anomalies_of(history, level)) text += " " + anomaly.name;
  }
  return text;
}

struct Example {
  const char* name;
  History history;
  const char* found;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> all = {
      {"nothing happened", {}, "rc:; si:; ser:"},
      {"one after the other",
       {{txn("T1", {read("x", {}), append("x", 1)}), txn("T2", {read("x", {1}), append("x", 2)})}, {{"x", {1, 2}}}},
       "rc:; si:; ser:"},
      {"dirty write (G0)",
       {{txn("T1", {append("x", 1), append("y", 2)}), txn("T2", {append("x", 3), append("y", 4)})},
        {{"x", {1, 3}}, {"y", {4, 2}}}},
       "rc: G0; si: G0; ser: G0"},
      {"read of an aborted write (G1a)",
       {{aborted(txn("T1", {append("x", 1)})), txn("T2", {read("x", {1})})}, {{"x", {}}}},
       "rc: G1a; si: G1a; ser: G1a"},
      {"read of a write rolled back to a savepoint",
       {{txn("T1", {undone(append("x", 1))}), txn("T2", {read("x", {1})})}, {{"x", {}}}},
       "rc: G1a; si: G1a; ser: G1a"},
      {"a write rolled back to a savepoint stays",
       {{txn("T1", {undone(append("x", 1))})}, {{"x", {1}}}},
       "rc: G1a; si: G1a; ser: G1a"},
      {"an aborted write stays", {{aborted(txn("T1", {append("x", 1)}))}, {{"x", {1}}}}, "rc: G1a; si: G1a; ser: G1a"},
      {"intermediate read (G1b)",
       {{txn("T1", {append("x", 1), append("x", 2)}), txn("T2", {read("x", {1})})}, {{"x", {1, 2}}}},
       "rc: G1b; si: G1b; ser: G1b"},
      {"circular information flow (G1c)",
       {{txn("T1", {append("x", 1), read("y", {2})}), txn("T2", {append("y", 2), read("x", {1})})},
        {{"x", {1}}, {"y", {2}}}},
       "rc: G1c; si: G1c; ser: G1c"},
      {"read skew (A5A)",
       {{txn("T1", {append("x", 1), append("y", 2)}), txn("T2", {read("x", {}), read("y", {2})})},
        {{"x", {1}}, {"y", {2}}}},
       "rc:; si: G-single; ser: G-single"},
      {"lost update (P4), both in the list",
       {{txn("T1", {read("x", {}), append("x", 1)}), txn("T2", {read("x", {}), append("x", 2)})}, {{"x", {1, 2}}}},
       "rc:; si: lost update; ser: lost update"},
      {"lost update, overwritten",
       {{txn("T1", {read("x", {}), append("x", 1)}), txn("T2", {read("x", {}), append("x", 2)})}, {{"x", {2}}}},
       "rc: lost write; si: lost write; ser: lost write"},
      {"write skew (A5B, G2-item)",
       {{txn("T1", {read("x", {}), read("y", {}), append("x", 1)}),
         txn("T2", {read("x", {}), read("y", {}), append("y", 2)})},
        {{"x", {1}}, {"y", {2}}}},
       "rc:; si:; ser: G2-item"},
      {"the read-only anomaly of Fekete, O'Neil and O'Neil, 2004",
       {{txn("T1", {read("x", {}), append("y", 1)}), txn("T2", {read("x", {}), read("y", {}), append("x", 2)}),
         txn("T3", {read("x", {}), read("y", {1})})},
        {{"x", {2}}, {"y", {1}}}},
       "rc:; si:; ser: G2-item"},
      {"three write skews in a ring",
       {{txn("T1", {read("x", {}), append("y", 1)}), txn("T2", {read("y", {}), append("z", 2)}),
         txn("T3", {read("z", {}), append("x", 3)})},
        {{"x", {3}}, {"y", {1}}, {"z", {2}}}},
       "rc:; si:; ser: G2-item"},
      {"a long fork is no snapshot: two rw, but apart",
       {{txn("T1", {append("x", 1)}), txn("T2", {append("y", 2)}), txn("T3", {read("x", {1}), read("y", {})}),
         txn("T4", {read("x", {}), read("y", {2})})},
        {{"x", {1}}, {"y", {2}}}},
       "rc:; si: G-nonadjacent; ser: G-nonadjacent"},
      {"a stale read",
       {{txn("T1", {append("x", 1)}, 0, 10), txn("T2", {read("x", {}), append("y", 2)}, 20, 30)},
        {{"x", {1}}, {"y", {2}}}},
       "rc: stale absence; si: stale absence; ser: stale absence"},
      {"a stale list",
       {{txn("T0", {append("x", 1)}, 0, 5), txn("T1", {append("x", 2)}, 6, 10), txn("T2", {read("x", {1})}, 20, 30)},
        {{"x", {1, 2}}}},
       "rc:; si: G-single-realtime; ser: G-single-realtime"},
      {"the snapshot of somebody who began before is not stale",
       {{txn("T0", {append("x", 1)}, 0, 5), txn("T1", {append("x", 2)}, 6, 10), txn("T2", {read("x", {1})}, 9, 30)},
        {{"x", {1, 2}}}},
       "rc:; si:; ser:"},
      {"a row that only one of two scans finds (phantom)",
       {{txn("T1", {read("x", {}), read("y", {}), append("x", 1)}, 0, 50),
         txn("T2", {read("x", {}), read("y", {}), append("y", 2)}, 0, 50)},
        {{"x", {1}}, {"y", {2}}}},
       "rc:; si:; ser: G2-item"},
      {"erased and created again, and everybody saw its time",
       {{txn("T1", {append("x", 1)}, 0, 10), txn("T2", {read("x", {1}), erase("x", 2)}, 11, 20),
         txn("T3", {read("x", {})}, 21, 30), txn("T4", {append("x", 3)}, 31, 40),
         txn("T5", {read("x", {1, 2, 3})}, 41, 50)},
        {{"x", {1, 2, 3}}}},
       "rc:; si:; ser:"},
      {"the absence between two lives, seen together with what the second life's creator wrote",
       {{txn("T1", {append("x", 1)}, 0, 10), txn("T2", {read("x", {1}), erase("x", 2)}, 11, 20),
         txn("T4", {append("x", 3), append("y", 4)}, 31, 60), txn("T5", {read("x", {}), read("y", {4})}, 30, 50)},
        {{"x", {1, 2, 3}}, {"y", {4}}}},
       "rc:; si: G-single; ser: G-single"},
      {"an absence in the middle of a life",
       {{txn("T1", {append("x", 1)}, 0, 10), txn("T2", {read("x", {})}, 20, 30), txn("T3", {erase("x", 2)}, 40, 50)},
        {{"x", {1, 2}}}},
       "rc: stale absence; si: stale absence; ser: stale absence"},
      {"not its own write",
       {{txn("T1", {append("x", 1), read("x", {})})}, {{"x", {1}}}},
       "rc:; si: internal; ser: internal"},
      {"the lists of two readers do not fit together",
       {{txn("T1", {append("x", 1)}), txn("T2", {append("x", 2)}), txn("T3", {read("x", {2})})}, {{"x", {1, 2}}}},
       "rc: incompatible order; si: incompatible order; ser: incompatible order"},
      {"a write out of nothing", {{txn("T1", {read("x", {7})})}, {{"x", {}}}}, "rc: G1a; si: G1a; ser: G1a"},
      {"a write that is there twice",
       {{txn("T1", {append("x", 1)})}, {{"x", {1, 1}}}},
       "rc: duplicate elements; si: duplicate elements; ser: duplicate elements"},
  };
  return all;
}

TEST(Isolation, FindsTheTextbookAnomaliesWhereTheyAreForbidden) {
  for (const Example& example : examples()) {
    SCOPED_TRACE(example.name);
    EXPECT_EQ(found(example.history), example.found);
  }
}

TEST(Isolation, CountsACommitOfUnknownOutcomeByWhatIsSeenOfIt) {
  History history{{txn("T1", {append("x", 1)})}, {{"x", {1}}}};
  history.transactions[0].end = Transaction::End::unknown;
  EXPECT_EQ(found(history), "rc:; si:; ser:");
  history.final["x"].clear();
  EXPECT_EQ(found(history), "rc:; si:; ser:");
}

TEST(Isolation, ProvesEveryStepOfACycle) {
  const auto anomalies = anomalies_of({{txn("T1", {read("x", {}), read("y", {}), append("x", 1)}),
                                        txn("T2", {read("x", {}), read("y", {}), append("y", 2)})},
                                       {{"x", {1}}, {"y", {2}}}},
                                      Level::serializable);
  ASSERT_EQ(anomalies.size(), 1u);
  EXPECT_NE(anomalies[0].why.find("T1 before T2: T2 "), std::string::npos) << anomalies[0].why;
  EXPECT_NE(anomalies[0].why.find("T2 before T1: T1 "), std::string::npos) << anomalies[0].why;
  EXPECT_EQ(std::count(anomalies[0].why.begin(), anomalies[0].why.end(), '\n'), 1) << "the shortest has two steps";
}

TEST(Isolation, SaysWhichWriteWasLost) {
  constexpr Element kLost = 4'000'001;  // no length of a list
  const auto anomalies = anomalies_of({{txn("T1", {append("x", kLost)})}, {{"x", {}}}}, Level::snapshot);
  ASSERT_EQ(anomalies.size(), 1u);
  EXPECT_EQ(anomalies[0].why, "T1 committed 4000001 of x, which is not in the end's list of x");
}

TEST(Isolation, FindsOneWrongReadAmongManyTransactions) {
  History history;
  List list;
  for (Element i = 1; i <= 50; ++i) {
    const auto t = static_cast<std::int64_t>(i) * 10;
    history.transactions.push_back(txn(fmt::format("T{}", i), {read("x", list), append("x", i)}, t, t + 5));
    list.push_back(i);
  }
  history.final["x"] = list;
  EXPECT_TRUE(anomalies_of(history, Level::serializable).empty());
  history.transactions[30].operations[0].list.pop_back();
  EXPECT_EQ(found(history), "rc:; si: lost update; ser: lost update");
}

}  // namespace
}  // namespace lockstep::check
