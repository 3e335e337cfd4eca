// ssi_test.cc: which antidependencies make whom give up, and which do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/versions/antidependency.h"
#include "tests/kv/clients.h"

namespace lockstep::kv::testing {
namespace {

using ::testing::HasSubstr;

class Ssi : public ::testing::Test {
 protected:
  Ssi() { load(*store_, {{"a", "0"}, {"b", "0"}, {"c", "0"}, {"d", "0"}}); }

  std::unique_ptr<Store> store_ = open_store("ssi");
  Client t1_{*store_, "T1"};
  Client t2_{*store_, "T2"};
  Client t3_{*store_, "T3"};
};

TEST_F(Ssi, TheSecondOfAWriteSkewGivesUpAtItsCommit) {
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t2_.read("b"), "yes 0");
  ASSERT_EQ(t1_.write("b", "1"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(t2_.commit(), "serialization_failure");
  EXPECT_EQ(t2_.message(),
            "T2 gave up at its commit: it wrote a; another transaction had read it before, and a third one has changed "
            "what this one had read (the pivot of a dangerous structure); a retry is safe");
  EXPECT_EQ(contents(*store_)[0], (Row{"a", "0"})) << "nothing of it was seen";
  // Nobody of them is left: the retry gets through.
  t2_.txn.abort();
  t2_.begin();
  ASSERT_EQ(t2_.read("b"), "yes 1");
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
}

TEST_F(Ssi, OneAntidependencyAloneIsFine) {
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  ASSERT_EQ(t1_.write("b", "1"), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
}

// T1 -rw-> T2 -rw-> T3 -rw-> T1: any two of them may commit.
TEST_F(Ssi, TheLastOfACycleGivesUpWhateverTheOrder) {
  const auto run = [&](std::string_view order) {
    const auto store = open_store("ssi");
    load(*store, {{"x", "0"}, {"y", "0"}, {"z", "0"}});
    Client reader(*store, "T1");
    Client pivot(*store, "T2");
    Client end(*store, "T3");
    EXPECT_EQ(reader.read("x"), "yes 0");
    EXPECT_EQ(pivot.read("y"), "yes 0");
    EXPECT_EQ(end.read("z"), "yes 0");
    EXPECT_EQ(reader.write("z", "1"), "ok");
    EXPECT_EQ(pivot.write("x", "2"), "ok");
    EXPECT_EQ(end.write("y", "3"), "ok");
    std::string answers;
    for (const char txn : order) {
      Client& client = txn == '1' ? reader : txn == '2' ? pivot : end;
      answers += client.commit() == "ok" ? txn : 'x';
    }
    return answers;
  };
  EXPECT_EQ(run("123"), "12x");
  EXPECT_EQ(run("132"), "13x");
  EXPECT_EQ(run("213"), "21x");
  EXPECT_EQ(run("231"), "23x");
  EXPECT_EQ(run("312"), "31x");
  EXPECT_EQ(run("321"), "32x");
}

TEST_F(Ssi, WithoutItsEndCommittedFirstAStructureCommits) {
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t2_.read("b"), "yes 0");
  ASSERT_EQ(t1_.write("d", "1"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  ASSERT_EQ(t3_.write("b", "3"), "ok");
  EXPECT_EQ(t2_.commit(), "ok") << "the pivot first";
  EXPECT_EQ(t3_.commit(), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
}

TEST_F(Ssi, ThePivotGivesUpAlsoWhenItsReaderIsStillActiveAndSawTheEnd) {
  // The read-only anomaly (Fekete, O'Neil, O'Neil, 2004): the report sees T3, and not the pivot that comes before T3.
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t2_.read("b"), "yes 0");
  ASSERT_EQ(t3_.write("a", "3"), "ok");
  ASSERT_EQ(t3_.commit(), "ok");
  ASSERT_EQ(t1_.read("a"), "yes 3");
  ASSERT_EQ(t1_.read("b"), "yes 0");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  EXPECT_EQ(t2_.commit(), "serialization_failure");
  EXPECT_EQ(t1_.commit(), "ok");
}

TEST_F(Ssi, AReaderGivesUpWhenTheStructureWasCompleteBeforeItsSnapshot) {
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t3_.write("a", "3"), "ok");
  ASSERT_EQ(t3_.commit(), "ok");
  ASSERT_EQ(t1_.read("c"), "yes 0") << "its snapshot: T3 is in it, T2 is not";
  ASSERT_EQ(t2_.commit(), "ok") << "nobody has read b";
  ASSERT_EQ(t1_.read("a"), "yes 3");
  ASSERT_EQ(t1_.read("b"), "yes 0");
  EXPECT_EQ(t1_.commit(), "serialization_failure");
  EXPECT_THAT(t1_.message(), HasSubstr("T1 gave up at its commit: it read b; another transaction has changed it"));
}

TEST_F(Ssi, AReaderOlderThanTheEndCommits) {
  ASSERT_EQ(t1_.read("c"), "yes 0") << "its snapshot is older than T3";
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t3_.write("a", "3"), "ok");
  ASSERT_EQ(t3_.commit(), "ok");
  ASSERT_EQ(t1_.read("b"), "yes 0");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  EXPECT_EQ(t2_.commit(), "ok") << "T1 only reads, so it comes before both";
  EXPECT_EQ(t1_.commit(), "ok");
}

TEST_F(Ssi, AReaderThatThenWritesIsNoReaderAnyMore) {
  ASSERT_EQ(t1_.read("c"), "yes 0");
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t3_.write("a", "3"), "ok");
  ASSERT_EQ(t3_.commit(), "ok");
  ASSERT_EQ(t1_.read("b"), "yes 0");
  ASSERT_EQ(t2_.write("b", "2"), "ok");
  ASSERT_EQ(t2_.commit(), "ok");
  ASSERT_EQ(t1_.write("d", "1"), "ok");
  EXPECT_EQ(t1_.commit(), "serialization_failure");
}

TEST_F(Ssi, DisjointWorkCommits) {
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Row> rows;
  for (int i = 0; i < 32; ++i) rows.push_back({fmt::format("row/{:02}", i), "0"});
  load(*store_, rows);
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<Client>(*store_, fmt::format("C{}", i)));
    Client& client = *clients.back();
    for (int j = 0; j < 4; ++j) ASSERT_EQ(client.read(rows[static_cast<std::size_t>(4 * i + j)].key), "yes 0");
    ASSERT_EQ(client.scan(fmt::format("row/{:02}", 4 * i), fmt::format("row/{:02}", 4 * i + 4)).size(), 35u);
  }
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 4; ++j)
      ASSERT_EQ(clients[static_cast<std::size_t>(i)]->write(rows[static_cast<std::size_t>(4 * i + j)].key, "1"), "ok");
  for (const auto& client : clients) EXPECT_EQ(client->commit(), "ok");
}

TEST_F(Ssi, ARowThatWasLookedForInVainIsARangeThatWasRead) {
  ASSERT_EQ(t1_.read("x"), "no");
  ASSERT_EQ(t2_.read("y"), "no");
  ASSERT_EQ(t1_.write("y", "1"), "ok");
  ASSERT_EQ(t2_.write("x", "2"), "ok");
  EXPECT_EQ(t1_.commit(), "ok");
  EXPECT_EQ(t2_.commit(), "serialization_failure");
}

TEST_F(Ssi, AnAbortedWriterOverwroteNothing) {
  ASSERT_EQ(t1_.read("a"), "yes 0");
  ASSERT_EQ(t2_.read("b"), "yes 0");
  ASSERT_EQ(t1_.write("b", "1"), "ok");
  ASSERT_EQ(t2_.write("a", "2"), "ok");
  t1_.txn.abort();
  EXPECT_EQ(t2_.commit(), "ok");
}

TEST_F(Ssi, AnAbortedReaderHasReadNoRange) {
  ASSERT_EQ(t1_.scan("x", "z"), "");
  ASSERT_EQ(t2_.read("a"), "yes 0");
  ASSERT_EQ(t3_.write("a", "3"), "ok");
  ASSERT_EQ(t3_.commit(), "ok");
  t1_.txn.abort();
  ASSERT_EQ(t2_.insert("y", "2"), "ok");
  EXPECT_EQ(t2_.commit(), "ok");
}

TEST(RangeReads, KeepsNoMoreThanItsLimit) {
  RangeReads ranges;
  for (Stamp stamp = 1; stamp <= 20'000; ++stamp) {
    const RangeReads::Ticket ticket = ranges.add(stamp, stamp, fmt::format("{}", stamp), "z", false);
    ranges.set_commit(ticket, stamp);
    ranges.end(ticket, true);
    if (ranges.is_full()) ranges.collect(0);  // an old snapshot holds everything back
    ASSERT_LE(ranges.size(), 8192u);
  }
  EXPECT_EQ(ranges.latest_reader_of("0", 0), 16'384u) << "those that were joined are over everything";
  EXPECT_EQ(ranges.latest_reader_of("20000", 0), 20'000u);
  ranges.collect(20'000);
  EXPECT_EQ(ranges.size(), 0u);
}

TEST(RangeReads, ForgetsWhatNobodyOverlapsWith) {
  RangeReads ranges;
  const RangeReads::Ticket done = ranges.add(1, 5, "a", "c", false);
  ranges.set_commit(done, 9);
  ranges.end(done, true);
  const RangeReads::Ticket active = ranges.add(2, 5, "a", "c", false);
  ranges.collect(8);
  EXPECT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges.latest_reader_of("b", 0), 9u);
  EXPECT_EQ(ranges.latest_reader_of("c", 0), 0u);
  ranges.collect(9);
  EXPECT_EQ(ranges.size(), 1u) << "the active one stays";
  EXPECT_EQ(ranges.latest_reader_of("b", 0), 5u);
  EXPECT_EQ(ranges.latest_reader_of("b", 2), 0u) << "not for itself";
  ranges.end(active, false);
  EXPECT_EQ(ranges.size(), 0u);
}

}  // namespace
}  // namespace lockstep::kv::testing
