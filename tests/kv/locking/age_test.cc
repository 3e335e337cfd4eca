// age_test.cc: wait-die and wound-wait: who waits, who gives up, and that no cycle of waiters ever forms.
//
// LOCKSTEP_SEED=n runs one seed (the test prints the seed that failed); LOCKSTEP_ROUNDS=n says how many rounds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

class Age : public ::testing::Test {
 protected:
  explicit Age(std::string_view protocol) : store_(open_store(protocol)) {
    load(*store_, {{"a", "0"}, {"b", "0"}, {"c", "0"}});
  }

  std::unique_ptr<Store> store_;
  Client old_{*store_, "old"};
  Client middle_{*store_, "middle"};
  Client young_{*store_, "young"};
};

class WaitDie : public Age {
 protected:
  WaitDie() : Age("2pl-wait-die") {}
};

class WoundWait : public Age {
 protected:
  WoundWait() : Age("2pl-wound-wait") {}
};

TEST_F(WaitDie, AnOlderOneWaits) {
  ASSERT_EQ(young_.write("a", "1"), "ok");
  EXPECT_EQ(old_.write("a", "2"), "waits");
  EXPECT_EQ(young_.commit(), "ok");
  EXPECT_TRUE(old_.is_woken());
  EXPECT_EQ(old_.again(), "ok");
  EXPECT_EQ(old_.commit(), "ok");
}

TEST_F(WaitDie, AYoungerOneDiesAtOnce) {
  ASSERT_EQ(old_.write("a", "1"), "ok");
  EXPECT_EQ(young_.read("a"), "died");
  EXPECT_EQ(young_.message(),
            "young gave up a: the older old is in its way, and a younger transaction may not wait for an older one; a "
            "retry is safe");
  EXPECT_EQ(old_.commit(), "ok");
}

TEST_F(WaitDie, WhoWaitsInFrontCountsAsAHolder) {
  ASSERT_EQ(young_.read("a"), "yes 0");
  ASSERT_EQ(old_.write("a", "1"), "waits");
  EXPECT_EQ(middle_.read("a"), "died") << "compatible with the holder, but behind the older writer";
}

TEST_F(WaitDie, WhoIsOvertakenByAnOlderConversionDies) {
  ASSERT_EQ(old_.read("a"), "yes 0");
  ASSERT_EQ(young_.read_for_update("a"), "yes 0");
  ASSERT_EQ(middle_.read_for_update("a"), "waits") << "for young; a reader is in nobody's way";
  ASSERT_EQ(old_.write("a", "1"), "waits");
  EXPECT_TRUE(middle_.is_woken());
  EXPECT_EQ(middle_.again(), "died");
  EXPECT_EQ(young_.commit(), "ok");
  EXPECT_EQ(old_.again(), "ok");
}

TEST_F(WaitDie, ARetryKeepsItsAge) {
  ASSERT_EQ(old_.write("a", "1"), "ok");
  const TxnId first = middle_.txn.id();
  ASSERT_EQ(middle_.write("a", "2"), "died");
  ASSERT_EQ(old_.commit(), "ok");
  middle_.begin(first);
  ASSERT_EQ(young_.write("a", "3"), "ok");
  EXPECT_EQ(middle_.write("a", "2"), "waits");
}

TEST_F(WaitDie, AGapIsAsGoodAsARow) {
  ASSERT_EQ(old_.scan("b", "c"), "b=0");
  EXPECT_EQ(young_.insert("bb", "1"), "died");
  ASSERT_EQ(middle_.scan("a", "b"), "a=0");
  EXPECT_EQ(old_.insert("aa", "1"), "waits");
}

TEST_F(WoundWait, AYoungerOneWaits) {
  ASSERT_EQ(old_.write("a", "1"), "ok");
  EXPECT_EQ(young_.write("a", "2"), "waits");
  EXPECT_EQ(old_.commit(), "ok");
  EXPECT_EQ(young_.again(), "ok");
  EXPECT_EQ(young_.commit(), "ok");
}

TEST_F(WoundWait, AYoungerHolderGivesUpAtItsNextOperation) {
  ASSERT_EQ(young_.write("a", "1"), "ok");
  EXPECT_EQ(old_.write("a", "2"), "waits");
  EXPECT_EQ(young_.read("a"), "wounded") << "also where it has the lock";
  EXPECT_EQ(young_.message(), "young was wounded: the older old needs a; a retry is safe");
  EXPECT_TRUE(old_.is_woken());
  EXPECT_EQ(old_.again(), "ok");
  EXPECT_EQ(old_.commit(), "ok");
}

TEST_F(WoundWait, AYoungerHolderThatCommitsIsWaitedFor) {
  ASSERT_EQ(young_.write("a", "1"), "ok");
  EXPECT_EQ(old_.write("a", "2"), "waits");
  EXPECT_EQ(young_.commit(), "ok");
  EXPECT_EQ(old_.again(), "ok");
  EXPECT_EQ(old_.commit(), "ok");
  EXPECT_EQ(contents(*store_)[0], (Row{"a", "2"}));
}

TEST_F(WoundWait, AWoundDoesNotOutliveItsTransaction) {
  ASSERT_EQ(young_.write("a", "1"), "ok");
  EXPECT_EQ(old_.write("a", "2"), "waits");
  EXPECT_EQ(young_.commit(), "ok");
  for (int i = 0; i < 40; ++i) {  // every pooled transaction comes round
    young_.begin();
    EXPECT_EQ(young_.read("b"), "yes 0");
    EXPECT_EQ(young_.commit(), "ok");
  }
}

TEST_F(WoundWait, AYoungerHolderThatWaitsElsewhereGivesUpAtOnce) {
  ASSERT_EQ(young_.write("a", "1"), "ok");
  ASSERT_EQ(middle_.write("b", "1"), "ok");
  ASSERT_EQ(young_.write("b", "1"), "waits");
  ASSERT_EQ(old_.write("a", "2"), "waits");
  EXPECT_TRUE(young_.is_woken());
  EXPECT_EQ(young_.again(), "wounded");
  EXPECT_EQ(old_.again(), "ok");
}

TEST_F(WoundWait, AYoungerOneInFrontInTheQueueGivesUpAtOnce) {
  ASSERT_EQ(old_.read("a"), "yes 0");
  ASSERT_EQ(young_.write("a", "1"), "waits");
  ASSERT_EQ(middle_.read("a"), "waits");
  EXPECT_TRUE(young_.is_woken());
  EXPECT_TRUE(middle_.is_woken()) << "nobody is in its way any more";
  EXPECT_EQ(young_.again(), "wounded");
  EXPECT_EQ(middle_.again(), "yes 0");
}

TEST_F(WoundWait, WhoOvertakesAnOlderOneIsWounded) {
  ASSERT_EQ(young_.read("a"), "yes 0");
  ASSERT_EQ(old_.read_for_update("a"), "yes 0");
  ASSERT_EQ(middle_.read_for_update("a"), "waits");
  EXPECT_EQ(young_.write("a", "1"), "wounded") << "it would come before middle";
  EXPECT_EQ(old_.commit(), "ok");
  EXPECT_EQ(middle_.again(), "yes 0");
}

TEST_F(WoundWait, OfTwoThatStrengthenTheSameLockTheYoungerIsWounded) {
  ASSERT_EQ(old_.read_for_update("a"), "yes 0");
  ASSERT_EQ(middle_.read("a"), "yes 0");
  ASSERT_EQ(young_.read("a"), "yes 0");
  ASSERT_EQ(young_.read_for_update("a"), "waits");
  ASSERT_EQ(middle_.read_for_update("a"), "waits") << "it would come behind young";
  EXPECT_TRUE(young_.is_woken());
  EXPECT_EQ(young_.again(), "wounded");
  EXPECT_EQ(old_.commit(), "ok");
  EXPECT_EQ(middle_.again(), "yes 0");
}

/// A cycle of the waits-for graph, or nothing.
std::vector<TxnId> cycle_in(const std::vector<WaitEdge>& edges) {
  std::multimap<TxnId, TxnId> next;
  for (const WaitEdge& edge : edges) next.emplace(edge.waiter, edge.holder);
  std::vector<TxnId> path;
  std::vector<TxnId> done;
  const auto visit = [&](const auto& self, TxnId txn) -> bool {
    if (std::find(path.begin(), path.end(), txn) != path.end()) return true;
    if (std::find(done.begin(), done.end(), txn) != done.end()) return false;
    path.push_back(txn);
    const auto [first, last] = next.equal_range(txn);
    for (auto it = first; it != last; ++it)
      if (self(self, it->second)) return true;
    path.pop_back();
    done.push_back(txn);
    return false;
  };
  for (const WaitEdge& edge : edges)
    if (visit(visit, edge.waiter)) return path;
  return {};
}

class NoCycle : public ::testing::TestWithParam<std::string> {};

TEST_P(NoCycle, UnderRandomLoad) {
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", 300);
  const std::uint64_t seed_of_first = number_from("LOCKSTEP_SEED", 1);
  const std::vector<std::string> keys = {"a", "b", "c", "d"};
  std::uint64_t waits = 0;
  std::uint64_t given_up = 0;
  std::uint64_t committed = 0;
  for (std::uint64_t seed = seed_of_first; seed < seed_of_first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={} LOCKSTEP_ROUNDS=1", seed));
    std::mt19937_64 random(seed);
    const auto store = open_store(GetParam());
    load(*store, {{"a", "0"}, {"c", "0"}});
    struct Actor {
      std::unique_ptr<Client> client;
      TxnId first_attempt = 0;
    };
    std::vector<Actor> actors;
    for (int i = 0; i < 5; ++i) {
      actors.push_back({std::make_unique<Client>(*store, fmt::format("T{}", i)), 0});
      actors.back().first_attempt = actors.back().client->txn.id();
    }
    for (int step = 0; step < 200; ++step) {
      std::vector<Actor*> ready;
      for (Actor& actor : actors)
        if (!actor.client->waits() || actor.client->is_woken()) ready.push_back(&actor);
      ASSERT_FALSE(ready.empty()) << "everybody waits";
      Actor& actor = *ready[random() % ready.size()];
      Client& client = *actor.client;
      const std::string key = keys[random() % keys.size()];
      std::string answer;
      if (client.is_woken()) {
        answer = client.again();
      } else {
        switch (random() % 8) {
          case 0:
            answer = client.read(key);
            break;
          case 1:
            answer = client.read_for_update(key);
            break;
          case 2:
          case 3:
            answer = client.write(key, "1");
            break;
          case 4:
            answer = client.insert(key, "1");
            break;
          case 5:
            answer = client.erase(key);
            break;
          case 6:
            answer = client.scan(key, random() % 2 == 0 ? "" : "d", 1 + random() % 3);
            break;
          default:
            answer = client.commit();
            committed += answer == "ok" ? 1 : 0;
        }
      }
      const auto fault = fault_named(answer);
      if (answer == "waits") ++waits;
      if (fault && is_retry_safe(*fault)) {
        ++given_up;
        client.begin(actor.first_attempt);
      } else if (!client.txn.active()) {
        client.begin();
        actor.first_attempt = client.txn.id();
      }
      const std::vector<TxnId> cycle = cycle_in(store->waits());
      ASSERT_TRUE(cycle.empty()) << "step " << step << ": " << fmt::format("{}", fmt::join(cycle, " -> "));
    }
  }
  RecordProperty("waits", std::to_string(waits));
  RecordProperty("given_up", std::to_string(given_up));
  RecordProperty("committed", std::to_string(committed));
  if (rounds > 100) {
    EXPECT_GT(waits, rounds) << "so few waits test little";
    EXPECT_GT(given_up, rounds);
    EXPECT_GT(committed, rounds);
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, NoCycle, ::testing::Values("2pl-wait-die", "2pl-wound-wait"), test_name);

}  // namespace
}  // namespace lockstep::kv::testing
