// deadlock_test.cc: which cycles are found, whom they cost, and what is reported about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

/// Remembers the reports, and what introspection showed while each was made.
class Reporter final : public Observer {
 public:
  void on_deadlock(const DeadlockReport& report) override {
    reports.push_back(report);
    waits_then.push_back(store->waits());
    EXPECT_FALSE(store->locks().empty());
    EXPECT_NE(store->tag_of(report.victim), 0u);
  }
  Store* store = nullptr;
  std::vector<DeadlockReport> reports;
  std::vector<std::vector<WaitEdge>> waits_then;
};

class Deadlock : public ::testing::Test {
 protected:
  Deadlock() {
    reporter_.store = store_.get();
    load(*store_, {{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}});
  }

  /// The cycle of the latest report as labels by position of begin: "2>1:a 1>2:b".
  std::string cycle(const std::vector<Client*>& clients) const {
    std::string text;
    const auto number = [&](TxnId id) {
      for (std::size_t i = 0; i < clients.size(); ++i)
        if (clients[i]->txn.id() == id) return i + 1;
      return std::size_t{0};
    };
    for (const WaitEdge& edge : reporter_.reports.back().cycle)
      text += fmt::format("{}{}>{}:{}", text.empty() ? "" : " ", number(edge.waiter), number(edge.holder), edge.key);
    return text;
  }

  Reporter reporter_;
  std::unique_ptr<Store> store_ = open_store("2pl-detect", {.observer = &reporter_});
  Client t1_{*store_, "T1"};
  Client t2_{*store_, "T2"};
  Client t3_{*store_, "T3"};
};

TEST_F(Deadlock, TwoLocksInOppositeOrder) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t1_.write("b", "1"), "waits");
  EXPECT_EQ(t2_.write("a", "2"), "deadlock");
  EXPECT_EQ(t2_.message(), "T2 gave up a; cycle T2 -> T1 -> T2; victim: youngest; a retry is safe");
  EXPECT_TRUE(t1_.is_woken());
  EXPECT_EQ(t1_.again(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  ASSERT_EQ(reporter_.reports.size(), 1u);
  EXPECT_EQ(cycle({&t1_, &t2_}), "2>1:a 1>2:b");
  EXPECT_EQ(reporter_.reports[0].why, "youngest");
  EXPECT_EQ(reporter_.reports[0].victim, t2_.txn.id());
  EXPECT_EQ(contents(*store_)[0], (Row{"a", "1"}));
}

TEST_F(Deadlock, TheVictimMayBeTheOneThatWaitedFirst) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "waits");
  ASSERT_EQ(t1_.write("b", "1"), "waits") << "T2 is younger";
  EXPECT_TRUE(t2_.is_woken());
  EXPECT_FALSE(t1_.is_woken()) << "T2 has not given back b yet";
  EXPECT_EQ(t2_.again(), "deadlock");
  EXPECT_EQ(t2_.message(), "T2 gave up a; cycle T2 -> T1 -> T2; victim: youngest; a retry is safe");
  EXPECT_TRUE(t1_.is_woken());
  EXPECT_EQ(t1_.again(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(cycle({&t1_, &t2_}), "1>2:b 2>1:a");
}

TEST_F(Deadlock, IsReportedBeforeItIsBroken) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t1_.write("b", "1"), "waits");
  ASSERT_EQ(t2_.write("a", "2"), "deadlock");
  ASSERT_EQ(reporter_.waits_then.size(), 1u);
  EXPECT_EQ(reporter_.waits_then[0].size(), 2u) << "both edges were there";
}

TEST_F(Deadlock, ThreeInACircle) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t3_.write("c", "3"), "ok");
  ASSERT_EQ(t1_.write("b", "1"), "waits");
  ASSERT_EQ(t3_.write("a", "3"), "waits");
  ASSERT_EQ(t2_.write("c", "2"), "waits") << "T3 is the youngest";
  EXPECT_TRUE(t3_.is_woken());
  EXPECT_EQ(cycle({&t1_, &t2_, &t3_}), "2>3:c 3>1:a 1>2:b");
  EXPECT_EQ(t3_.again(), "deadlock");
  EXPECT_EQ(t3_.message(), "T3 gave up a; cycle T3 -> T1 -> T2 -> T3; victim: youngest; a retry is safe");
  EXPECT_EQ(t2_.again(), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
  EXPECT_EQ(t1_.again(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
}

TEST_F(Deadlock, TwoReadersThatBothWantToWrite) {
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t1_.write("a", "1"), "waits");
  EXPECT_EQ(t2_.write("a", "2"), "deadlock");
  EXPECT_EQ(t1_.again(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(cycle({&t1_, &t2_}), "2>1:a 1>2:a");
}

TEST_F(Deadlock, ReadForUpdateAvoidsTheUpgradeDeadlock) {
  ASSERT_EQ(t1_.read_for_update("a"), "yes 0");
  ASSERT_EQ(t2_.read_for_update("a"), "waits");
  EXPECT_EQ(t1_.write("a", "1"), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(t2_.again(), "yes 1");
  EXPECT_TRUE(reporter_.reports.empty());
}

TEST_F(Deadlock, TwoInsertsIntoAGapThatBothHaveScanned) {
  ASSERT_EQ(t1_.scan("b", "c"), "b=0");
  ASSERT_EQ(t2_.scan("b", "c"), "b=0");
  ASSERT_EQ(t1_.insert("ba", "1"), "waits");
  EXPECT_EQ(t2_.insert("bb", "2"), "deadlock");
  EXPECT_EQ(t2_.message(), "T2 gave up the gap before c; cycle T2 -> T1 -> T2; victim: youngest; a retry is safe");
  EXPECT_TRUE(reporter_.reports[0].cycle[0].range);
  EXPECT_EQ(t1_.again(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
}

TEST_F(Deadlock, ThroughThePlaceInTheQueue) {
  // T3 waits for T2, which only waits in front of it; T2 waits for T1; T1 waits for T3.
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t3_.write("b", "3"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "waits");
  ASSERT_EQ(t3_.read("a"), "waits") << "behind the writer T2";
  ASSERT_EQ(t1_.write("b", "1"), "waits");
  EXPECT_EQ(cycle({&t1_, &t2_, &t3_}), "1>3:b 3>2:a 2>1:a");
  EXPECT_TRUE(t3_.is_woken());
  EXPECT_EQ(t3_.again(), "deadlock");
  EXPECT_EQ(t1_.again(), "ok");
}

TEST_F(Deadlock, OneWaitThatClosesTwoCycles) {
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t3_.read("a"), "yes 0");
  ASSERT_EQ(t1_.write("b", "1"), "ok");
  ASSERT_EQ(t2_.read("b"), "waits");
  ASSERT_EQ(t3_.read("b"), "waits");
  ASSERT_EQ(t1_.write("a", "1"), "waits");
  EXPECT_EQ(reporter_.reports.size(), 2u);
  EXPECT_EQ(t2_.again(), "deadlock");
  EXPECT_EQ(t3_.again(), "deadlock");
  EXPECT_EQ(t1_.again(), "ok");
}

TEST_F(Deadlock, WaitingWithoutACycleIsNone) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "waits");
  ASSERT_EQ(t3_.write("b", "3"), "waits");
  EXPECT_TRUE(reporter_.reports.empty());
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(t2_.again(), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
  EXPECT_EQ(t3_.again(), "ok");
}

TEST_F(Deadlock, ARetryKeepsTheAgeOfItsFirstAttempt) {
  ASSERT_EQ(t1_.write("a", "1"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t1_.write("b", "1"), "waits");
  const TxnId first = t2_.txn.id();
  ASSERT_EQ(t2_.write("a", "2"), "deadlock");
  ASSERT_EQ(t1_.again(), "ok");
  ASSERT_EQ(t1_.commit(), "ok");
  // Against T3, which began after the first attempt, the retry is the older.
  t2_.txn.abort();
  t2_.begin(first);
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  ASSERT_EQ(t3_.write("b", "3"), "ok");
  ASSERT_EQ(t2_.write("b", "2"), "waits");
  EXPECT_EQ(t3_.write("a", "3"), "deadlock");
  EXPECT_EQ(t2_.again(), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
}

/// T1 has three locks, T2 two, T3 one; then T1 waits for T2, T2 for T3, and T3 for T1. Whom it costs.
std::string victim_of_a_circle(VictimPolicy policy, const std::vector<int>& retries) {
  const auto store = open_store("2pl-detect", {.victim = policy});
  load(*store, {{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}, {"e", "0"}, {"x", "0"}});
  std::vector<std::unique_ptr<Client>> clients;
  for (const char* label : {"T1", "T2", "T3"}) clients.push_back(std::make_unique<Client>(*store, label));
  for (const int i : retries) {
    Client& client = *clients[static_cast<std::size_t>(i)];
    const TxnId first = client.txn.id();
    client.txn.abort();
    client.begin(first);
  }
  Client& t1 = *clients[0];
  Client& t2 = *clients[1];
  Client& t3 = *clients[2];
  for (const char* key : {"a", "d", "e"}) EXPECT_EQ(t1.write(key, "1"), "ok");
  for (const char* key : {"b", "x"}) EXPECT_EQ(t2.write(key, "2"), "ok");
  EXPECT_EQ(t3.write("c", "3"), "ok");
  EXPECT_EQ(t1.write("b", "1"), "waits");
  EXPECT_EQ(t2.write("c", "2"), "waits");
  t3.write("a", "3");
  const std::vector<DeadlockReport> reports = store->deadlocks();
  EXPECT_EQ(reports.size(), 1u);
  if (reports.empty()) return "nobody";
  for (std::size_t i = 0; i < 3; ++i)
    if (clients[i]->txn.id() == reports[0].victim) return fmt::format("T{}: {}", i + 1, reports[0].why);
  return "somebody else";
}

TEST(Victim, IsChosenByThePolicy) {
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::youngest, {}), "T3: youngest");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::oldest, {}), "T1: oldest");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::least_work, {}), "T3: least work");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::closer, {}), "T3: closed the cycle");
}

TEST(Victim, IsWhoeverClosesTheCircleAlsoAsARetry) {
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::closer, {2}), "T3: closed the cycle");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::closer, {0, 1}), "T3: closed the cycle");
}

TEST(Victim, IsNoRetryWhileThereIsAnother) {
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::oldest, {0}), "T2: oldest");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::least_work, {2}), "T2: least work");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::oldest, {0, 1}), "T3: oldest");
  EXPECT_EQ(victim_of_a_circle(VictimPolicy::oldest, {0, 1, 2}), "T3: youngest of the retries");
}

TEST(Introspection, KeepsTheLatestDeadlocks) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"b", "0"}});
  TxnId last_victim = 0;
  for (int i = 0; i < 20; ++i) {
    Client t1(*store, "T1");
    Client t2(*store, "T2");
    ASSERT_EQ(t1.write("a", "1"), "ok");
    ASSERT_EQ(t2.write("b", "2"), "ok");
    ASSERT_EQ(t1.write("b", "1"), "waits");
    ASSERT_EQ(t2.write("a", "2"), "deadlock");
    last_victim = t2.txn.id();
  }
  const std::vector<DeadlockReport> reports = store->deadlocks();
  ASSERT_EQ(reports.size(), 16u);
  EXPECT_EQ(reports.back().victim, last_victim);
  EXPECT_EQ(reports.back().labels, (std::vector<std::string>{"T2", "T1"}));
  EXPECT_EQ(reports.back().cycle[0].key, "a");
  EXPECT_EQ(reports.back().cycle[0].wanted, LockMode::exclusive);
}

TEST(Introspection, CountsHowTransactionsEnded) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"b", "0"}});
  {
    Client t1(*store, "T1");
    Client t2(*store, "T2");
    Client t3(*store, "T3");
    ASSERT_EQ(t1.write("a", "1"), "ok");
    ASSERT_EQ(t2.write("b", "2"), "ok");
    ASSERT_EQ(t1.write("b", "1"), "waits");
    ASSERT_EQ(t2.write("a", "2"), "deadlock");
    ASSERT_EQ(t1.again(), "ok");
    ASSERT_EQ(t1.commit(), "ok");
  }
  const Counters counters = store->counters();
  EXPECT_EQ(counters.begun, 4u);
  EXPECT_EQ(counters.committed, 2u) << "with the loader";
  EXPECT_EQ(counters.given_up_for(Fault::deadlock), 1u);
  EXPECT_EQ(counters.aborted, 1u);
  EXPECT_EQ(counters.waits, 1u);
}

TEST(Introspection, ShowsHoldersWaitersAndGaps) {
  const auto store = open_store("2pl-detect");
  load(*store, {{"a", "0"}, {"b", "0"}});
  Client t1(*store, "T1");
  Client t2(*store, "T2");
  ASSERT_EQ(t1.scan("a", "b"), "a=0");
  ASSERT_EQ(t2.read_for_update("b"), "yes 0");
  ASSERT_EQ(t2.write("a", "2"), "waits");
  const std::vector<LockInfo> locks = store->locks();
  ASSERT_EQ(locks.size(), 4u);
  const auto text = [](const LockInfo& l) {
    return fmt::format("{} {}{} {} {}", l.key, l.range ? "range " : "", l.gap_only ? "gap" : "row", name_of(l.mode),
                       l.granted ? "held" : "wanted");
  };
  EXPECT_EQ(text(locks[0]), "a range row shared held");
  EXPECT_EQ(text(locks[1]), "a row exclusive wanted");
  EXPECT_EQ(text(locks[2]), "b range gap shared held");
  EXPECT_EQ(text(locks[3]), "b row update held");
  EXPECT_EQ(locks[1].txn, t2.txn.id());
  const std::vector<WaitEdge> edges = store->waits_of(t2.txn.id());
  ASSERT_EQ(edges.size(), 1u);
  EXPECT_EQ(edges[0].holder, t1.txn.id());
  EXPECT_EQ(edges[0].key, "a");
  EXPECT_EQ(edges[0].wanted, LockMode::exclusive);
  EXPECT_EQ(edges[0].held, LockMode::shared);
  EXPECT_FALSE(edges[0].range);
  EXPECT_FALSE(edges[0].avoidance);
  EXPECT_TRUE(store->waits_of(t1.txn.id()).empty());
  EXPECT_TRUE(store->waits_of(999).empty());
}

}  // namespace
}  // namespace lockstep::kv::testing
