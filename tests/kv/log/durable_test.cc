// durable_test.cc: what a store with a data folder promises, over every protocol.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "tests/kv/clients.h"
#include "tests/kv/log/faulty_files.h"

namespace lockstep::kv::testing {
namespace {

Options on(FaultyFiles& files, std::string_view protocol, Durability durability = Durability::sync) {
  Options options;
  options.protocol = protocol;
  options.path = kFolder;
  options.durability = durability;
  options.files = &files;
  return options;
}

std::unique_ptr<Store> open_on(FaultyFiles& files, std::string_view protocol,
                               Durability durability = Durability::sync) {
  return open_store(protocol, on(files, protocol, durability));
}

class DurableProtocol : public ::testing::TestWithParam<std::string> {
 protected:
  FaultyFiles files_;
};

// Random writes, erasures, savepoints and aborts against a map; then a crash that takes everything that is not synced.
TEST_P(DurableProtocol, GivesBackWhatWasCommitted) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    FaultyFiles files;
    std::mt19937 random(seed);
    std::map<std::string, std::string> model;
    auto store = open_on(files, GetParam());
    for (int i = 0; i < 60; ++i) {
      std::map<std::string, std::string> mine = model, saved = model;
      SyncTransaction txn(store->begin({.claims_all = true}));
      bool has_savepoint = false;
      for (int step = 0; step < 8; ++step) {
        const std::string key = fmt::format("k{}", random() % 20);
        const std::string value = fmt::format("{}.{}", i, step);
        switch (random() % 6) {
          case 0:
            ASSERT_TRUE(txn.erase(key).ok());
            mine.erase(key);
            break;
          case 1:
            ASSERT_TRUE(txn.savepoint("s").ok());
            saved = mine;
            has_savepoint = true;
            break;
          case 2:
            if (!has_savepoint) break;
            ASSERT_TRUE(txn.rollback_to("s").ok());
            mine = saved;
            break;
          default:
            ASSERT_TRUE(txn.write(key, value).ok());
            mine[key] = value;
        }
      }
      if (random() % 5 == 0) continue;  // dropped: aborts
      ASSERT_TRUE(txn.commit().ok());
      model = mine;
    }
    const auto after = files.crash(Loss::all, seed);
    std::vector<Row> expected;
    for (const auto& [key, value] : model) expected.push_back({key, value});
    EXPECT_EQ(contents(*open_on(*after, GetParam())), expected);
    EXPECT_EQ(contents(*open_on(*after, "occ")), expected) << "the data belongs to no protocol";
  }
}

TEST_P(DurableProtocol, CommitIsPendingUntilItIsOnDisk) {
  auto store = open_on(files_, GetParam());
  files_.hold_syncs(true);
  Client t(*store, "T1");
  ASSERT_EQ(t.write("a", "1"), "ok");
  ASSERT_EQ(t.commit(), "waits");
  EXPECT_EQ(store->log_status()->last, 1u);
  EXPECT_EQ(store->log_status()->settled, 0u);
  CountingWaiter other;
  std::string value;
  EXPECT_EQ(t.txn.read("a", value, other)->error().message, "the commit of T1 is still pending");
  EXPECT_EQ(t.txn.commit(other)->fault(), Fault::invalid);
  files_.hold_syncs(false);
  while (!t.is_woken()) std::this_thread::yield();
  EXPECT_EQ(t.again(), "ok");
  EXPECT_EQ(contents(*store), (std::vector<Row>{{"a", "1"}}));
  EXPECT_FALSE(t.txn.active());
}

TEST_P(DurableProtocol, LocksAreFreeBeforeTheCommitIsOnDisk) {
  auto store = open_on(files_, GetParam());
  files_.hold_syncs(true);
  Client t1(*store, "T1");
  ASSERT_EQ(t1.write("a", "1"), "ok");
  ASSERT_EQ(t1.commit(), "waits");
  Client t2(*store, "T2");
  EXPECT_EQ(t2.read_for_update("a"), "yes 1");
  t2.txn.abort();
  t1.txn.abort();  // too late to undo it: it has committed
  Client reader(*store, "T3");
  EXPECT_EQ(reader.read("a"), "yes 1");
  EXPECT_EQ(reader.commit(), "waits") << "it has read what is not on disk";
  files_.hold_syncs(false);
  while (!reader.is_woken()) std::this_thread::yield();
  EXPECT_EQ(reader.again(), "ok");
}

TEST_P(DurableProtocol, ACommitThatIsNotWaitedForIsKept) {
  auto store = open_on(files_, GetParam());
  files_.hold_syncs(true);
  Client t(*store, "T1");
  ASSERT_EQ(t.write("a", "1"), "ok");
  ASSERT_EQ(t.commit(), "waits");
  t.cancel(Fault::cancelled);
  EXPECT_EQ(t.again(), "outcome_unknown");
  EXPECT_NE(t.message().find("T1 has committed, but was told to stop (cancelled)"), std::string::npos) << t.message();
  EXPECT_FALSE(t.txn.active());
  files_.hold_syncs(false);
  EXPECT_EQ(contents(*store), (std::vector<Row>{{"a", "1"}}));
}

TEST_P(DurableProtocol, ReadersLogNothing) {
  auto store = open_on(files_, GetParam());
  EXPECT_EQ(contents(*store).size(), 0u);
  SyncTransaction t(store->begin({.claims_all = true}));
  std::string value;
  ASSERT_TRUE(t.read("a", value).ok());
  ASSERT_TRUE(t.savepoint("s").ok());
  ASSERT_TRUE(t.write("a", "1").ok());
  ASSERT_TRUE(t.rollback_to("s").ok());
  ASSERT_TRUE(t.commit().ok());
  EXPECT_EQ(store->log_status()->last, 0u);
}

LOCKSTEP_EVERY_PROTOCOL(DurableProtocol);

TEST(DurableStore, GroupsThoseWhoCommitTogether) {
  FaultyFiles files;
  auto store = open_on(files, "occ");
  constexpr int kThreads = 8, kEach = 100;
  const std::size_t before = files.steps();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&store, t] {
      for (int i = 0; i < kEach; ++i) {
        SyncTransaction txn(store->begin());
        ASSERT_TRUE(txn.write(fmt::format("{}/{}", t, i), "v").ok());
        ASSERT_TRUE(txn.commit().ok());
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->log_status()->last, kThreads * kEach);
  EXPECT_LT(files.steps() - before, 2u * kThreads * kEach) << "each commit had a group of its own";
  EXPECT_EQ(contents(*open_on(*files.crash(Loss::all, 1), "occ")).size(), static_cast<std::size_t>(kThreads * kEach));
}

TEST(DurableStore, AsyncAnswersAtOnceAndCloseSyncs) {
  FaultyFiles files;
  Options options = on(files, "2pl-detect", Durability::async);
  options.log_limits.async_delay = kNever / 2;
  auto store = open_store("2pl-detect", options);
  Client t(*store, "T1");
  ASSERT_EQ(t.write("a", "1"), "ok");
  EXPECT_EQ(t.commit(), "ok");
  EXPECT_EQ(store->log_status()->settled, 0u);
  EXPECT_TRUE(contents(*open_on(*files.crash(Loss::all, 1), "occ")).empty());
  EXPECT_TRUE(store->close().ok());
  EXPECT_EQ(contents(*open_on(*files.crash(Loss::all, 1), "occ")), (std::vector<Row>{{"a", "1"}}));
  Client late(*store, "T2");
  ASSERT_EQ(late.write("a", "2"), "ok");
  EXPECT_EQ(late.commit(), "invalid");
  EXPECT_EQ(late.message(), "the store in /data has been closed");
  EXPECT_EQ(late.read("a"), "invalid");
}

TEST(DurableStore, CommitsWaitWhenTooMuchIsNotWritten) {
  FaultyFiles files;
  Options options = on(files, "occ", Durability::none);
  options.log_limits.backlog_bytes = 1000;
  options.log_limits.async_delay = std::chrono::milliseconds(200);  // the commit asks before it is over
  auto store = open_store("occ", options);
  Client t(*store, "T1");
  ASSERT_EQ(t.write("a", std::string(2000, 'v')), "ok");
  ASSERT_EQ(t.commit(), "waits");
  while (!t.is_woken()) std::this_thread::yield();
  EXPECT_EQ(t.again(), "ok");
}

TEST(DurableStore, KeepsLargeAndOddRows) {
  FaultyFiles files;
  const std::vector<Row> rows = {{std::string("\0", 1), ""},
                                 {"big", std::string(3'000'000, 'b')},
                                 {std::string(kMaxKeyBytes, 'k'), std::string("\0\xff", 2)}};
  {
    auto store = open_on(files, "snapshot");
    for (const Row& row : rows) {
      SyncTransaction txn(store->begin());
      ASSERT_TRUE(txn.write(row.key, row.value).ok());
      ASSERT_TRUE(txn.commit().ok());
    }
  }
  EXPECT_EQ(contents(*open_on(files, "2pl-detect")), rows);
}

// The log must not grow for ever, and a checkpoint holds neither what was erased nor what is not committed.
TEST(DurableStore, CheckpointsKeepTheLogShort) {
  FaultyFiles files;
  Options options = on(files, "occ", Durability::async);
  options.log_limits.segment_bytes = 4096;
  options.log_limits.checkpoint_bytes = 8192;
  options.log_limits.async_delay = Nanos(0);
  auto store = open_store("occ", options);
  SyncTransaction open_one(store->begin());
  ASSERT_TRUE(open_one.write("uncommitted", "x").ok());
  for (int i = 0; i < 3000; ++i) {
    SyncTransaction txn(store->begin());
    ASSERT_TRUE(txn.write(fmt::format("k{}", i % 50), fmt::format("{:050}", i)).ok());
    if (i % 3 == 0) {
      ASSERT_TRUE(txn.erase(fmt::format("k{}", (i + 1) % 50)).ok());
    }
    ASSERT_TRUE(txn.commit().ok());
    if (i % 20 == 0)
      while (store->log_status()->settled < store->log_status()->last) std::this_thread::yield();
  }
  const std::vector<Row> before = contents(*store);
  while (store->log_status()->checkpoint < 2500) std::this_thread::yield();
  EXPECT_FALSE(store->log_status()->checkpoint_failed);
  open_one.abort();
  ASSERT_TRUE(store->close().ok());
  store.reset();
  EXPECT_LT(files.size(), 100'000u);
  store = open_on(files, "occ");
  EXPECT_EQ(contents(*store), before);
  const RecoveryReport report = store->log_status()->recovery;
  EXPECT_TRUE(report.closed);
  EXPECT_LT(report.records, 1500u);
  EXPECT_GT(report.rows, 0u);
}

TEST(DurableStore, AFailedCheckpointStopsNobodyAndIsTriedAgain) {
  FaultyFiles files;
  files.fail_paths_with("checkpoint-");
  Options options = on(files, "occ");
  options.log_limits.segment_bytes = 1024;
  options.log_limits.checkpoint_bytes = 2048;
  auto store = open_store("occ", options);
  int committed = 0;
  const auto commit_one = [&] {
    SyncTransaction txn(store->begin());
    ASSERT_TRUE(txn.write("n", std::to_string(++committed)).ok());
    ASSERT_TRUE(txn.write("pad", std::string(100, 'x')).ok());
    ASSERT_TRUE(txn.commit().ok());
  };
  while (!store->log_status()->checkpoint_failed) commit_one();
  EXPECT_NE(store->log_status()->checkpoint_failed->message.find("checkpoint-"), std::string::npos);
  EXPECT_EQ(store->log_status()->checkpoint, 0u);
  files.fail_paths_with("");
  while (store->log_status()->checkpoint == 0) commit_one();
  EXPECT_FALSE(store->log_status()->checkpoint_failed);
  EXPECT_EQ(contents(*open_on(*files.crash(Loss::all, 1), "occ")).front().value, std::to_string(committed));
}

TEST(DurableStore, AStoreInMemoryHasNoLog) {
  auto store = open_store("occ");
  EXPECT_FALSE(store->log_status().has_value());
  EXPECT_TRUE(store->close().ok());
}

}  // namespace
}  // namespace lockstep::kv::testing
