// banker_test.cc: what the banker grants, what it makes wait, and what it refuses.
#include <gtest/gtest.h>

#include <random>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

class Banker : public ::testing::Test {
 protected:
  Banker() { load(*store_, {{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}}); }
  std::unique_ptr<Store> store_ = open_store("2pl-banker");
};

TEST_F(Banker, MakesTheSecondOfTwoLocksInOppositeOrderWait) {
  Client t1(*store_, "T1", {"a", "b"});
  Client t2(*store_, "T2", {"a", "b"});
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t2.write("b", "2"), "waits") << "b is free, but both could wait for each other then";
  const std::vector<WaitEdge> edges = store_->waits_of(t2.txn.id());
  ASSERT_EQ(edges.size(), 1u);
  EXPECT_TRUE(edges[0].avoidance);
  EXPECT_EQ(edges[0].key, "b");
  EXPECT_EQ(edges[0].holder, t1.txn.id());
  EXPECT_EQ(t1.write("b", "1"), "ok") << "free, and T1 can finish";
  EXPECT_FALSE(store_->waits_of(t2.txn.id())[0].avoidance) << "now T1 holds b";
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_TRUE(t2.is_woken());
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
}

TEST_F(Banker, GrantsWhatIsSafe) {
  Client t1(*store_, "T1", {"a", "b"});
  Client t2(*store_, "T2", {"b"});
  ASSERT_EQ(t1.write("a", "1"), "ok");
  EXPECT_EQ(t2.write("b", "2"), "ok") << "T2 can finish, then T1";
  EXPECT_EQ(t1.write("b", "1"), "waits");
  EXPECT_FALSE(store_->waits_of(t1.txn.id())[0].avoidance);
  EXPECT_EQ(t2.commit(), "ok");
  EXPECT_EQ(t1.again(), "ok");
}

TEST_F(Banker, DisjointClaimsNeverMeet) {
  Client t1(*store_, "T1", {"a", "b"});
  Client t2(*store_, "T2", {"c", "d"});
  EXPECT_EQ(t1.write("a", "1"), "ok");
  EXPECT_EQ(t2.write("c", "2"), "ok");
  EXPECT_EQ(t1.write("b", "1"), "ok");
  EXPECT_EQ(t2.write("d", "2"), "ok");
}

TEST_F(Banker, RefusesAKeyOutsideTheClaims) {
  Client t1(*store_, "T1", {"a", "b"});
  EXPECT_EQ(t1.write("c", "1"), "claim_exceeded");
  EXPECT_EQ(t1.message(), "T1 may not lock c: it claimed only a, b at begin");
  EXPECT_EQ(t1.scan("", ""), "claim_exceeded") << "c exists and is in the range";
  EXPECT_EQ(t1.scan("a", "c"), "a=0 b=0");
  EXPECT_EQ(t1.write("a", "1"), "ok") << "the transaction goes on";
  EXPECT_EQ(t1.commit(), "ok");
}

TEST_F(Banker, RefusesEverythingWithoutClaims) {
  Client t1(*store_, "T1", {});
  EXPECT_EQ(t1.read("a"), "claim_exceeded");
  EXPECT_EQ(t1.message(),
            "T1 may not lock a: it declared no claims, and the banker grants only keys that were claimed at begin");
  EXPECT_EQ(t1.scan("", ""), "claim_exceeded");
  EXPECT_EQ(t1.commit(), "ok");
}

TEST_F(Banker, OneUnitMeansThatReadersExcludeEachOther) {
  Client t1(*store_, "T1", {"a"});
  Client t2(*store_, "T2", {"a"});
  EXPECT_EQ(t1.read("a"), "yes 0");
  EXPECT_EQ(t2.read("a"), "waits");
}

// The rows that may appear in its range are not among the claims of a scan: the membership of the store guards it.
TEST_F(Banker, AnInsertWaitsForAScanWithOtherClaims) {
  Client t1(*store_, "T1", {"a", "b", "c", "d"});
  Client t2(*store_, "T2", {"x"});
  ASSERT_EQ(t1.scan("", ""), "a=0 b=0 c=0 d=0");
  EXPECT_EQ(t2.insert("x", "2"), "waits");
  EXPECT_EQ(store_->waits_of(t2.txn.id())[0].key, "");
  EXPECT_EQ(t1.scan("", ""), "a=0 b=0 c=0 d=0");
  EXPECT_EQ(t1.commit(), "ok");
  EXPECT_EQ(t2.again(), "ok");
  EXPECT_EQ(t2.commit(), "ok");
}

TEST_F(Banker, AScanWaitsForAnEraseThatMayBeUndone) {
  load(*store_, {{"x", "0"}});
  Client t1(*store_, "T1", {"a", "b", "c", "d"});
  Client t2(*store_, "T2", {"x"});
  ASSERT_EQ(t2.erase("x"), "yes ");
  EXPECT_EQ(t1.scan("", ""), "waits");
  t2.txn.abort();
  EXPECT_EQ(t1.again(), "claim_exceeded") << "x is there again, and T1 has not claimed it";
}

TEST_F(Banker, AllOfFivePhilosophersButOneTakeTheirFirstFork) {
  load(*store_, {{"e", "0"}});
  std::vector<std::unique_ptr<Client>> philosophers;
  const std::vector<std::string> forks = {"a", "b", "c", "d", "e"};
  for (std::size_t i = 0; i < 5; ++i)
    philosophers.push_back(std::make_unique<Client>(*store_, fmt::format("P{}", i),
                                                    std::vector<std::string>{forks[i], forks[(i + 1) % 5]}));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(philosophers[i]->write(forks[i], "x"), "ok");
  EXPECT_EQ(philosophers[4]->write(forks[4], "x"), "waits") << "the fifth would close the circle";
  EXPECT_EQ(philosophers[3]->write(forks[4], "x"), "ok");
  EXPECT_EQ(philosophers[3]->commit(), "ok");
  EXPECT_TRUE(philosophers[4]->is_woken()) << "P2 can finish now";
}

TEST_F(Banker, OneThatStillMustWaitDoesNotHoldUpThoseBehind) {
  Client t1(*store_, "T1", {"a", "b"});
  Client t2(*store_, "T2", {"a", "b"});
  Client t3(*store_, "T3", {"c"});
  Client t4(*store_, "T4", {"c"});
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t2.write("b", "2"), "waits");
  ASSERT_EQ(t3.write("c", "3"), "ok");
  ASSERT_EQ(t4.write("c", "4"), "waits");
  EXPECT_EQ(t3.commit(), "ok");
  EXPECT_FALSE(t2.is_woken());
  EXPECT_TRUE(t4.is_woken());
}

TEST_F(Banker, ACancelledAvoidanceWaitNamesWhoMadeItUnsafe) {
  Client t1(*store_, "T1", {"a", "b"});
  Client t2(*store_, "T2", {"a", "b"});
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t2.write("b", "2"), "waits");
  t2.cancel(Fault::lock_timeout);
  EXPECT_EQ(t2.again(), "lock_timeout");
  EXPECT_NE(t2.message().find("T1"), std::string::npos) << t2.message();
}

// Whatever the claims and the order: nobody is stuck while everybody keeps to its claims.
TEST(BankerProperty, SomebodyCanAlwaysGoOn) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto store = open_store("2pl-banker");
    const std::vector<std::string> keys = {"a", "b", "c", "d", "e"};
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<std::vector<std::string>> left(2 + random() % 4);
    for (auto& claims : left) {
      for (const std::string& key : keys)
        if (random() % 2 == 0) claims.push_back(key);
      if (claims.empty()) claims.push_back("a");
      std::shuffle(claims.begin(), claims.end(), random);
      clients.push_back(std::make_unique<Client>(*store, "T", claims));
    }
    std::vector<std::size_t> running(clients.size());
    std::iota(running.begin(), running.end(), 0);
    while (!running.empty()) {
      std::vector<std::size_t> ready;
      for (const std::size_t i : running)
        if (!clients[i]->waits() || clients[i]->is_woken()) ready.push_back(i);
      ASSERT_FALSE(ready.empty()) << "a deadlock";
      const std::size_t i = ready[random() % ready.size()];
      if (clients[i]->waits()) {
        clients[i]->again();
      } else if (left[i].empty()) {
        ASSERT_EQ(clients[i]->commit(), "ok");
        std::erase(running, i);
      } else {
        const std::string key = left[i].back();
        left[i].pop_back();
        const std::string answer = random() % 2 == 0 ? clients[i]->write(key, "x") : clients[i]->read(key);
        ASSERT_TRUE(answer == "waits" || answer == "ok" || answer == "no" || answer == "yes x") << answer;
      }
    }
    EXPECT_TRUE(store->locks().empty());
  }
}

}  // namespace
}  // namespace lockstep::kv::testing
