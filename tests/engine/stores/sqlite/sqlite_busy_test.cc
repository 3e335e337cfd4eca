// sqlite_busy_test.cc: what SQLITE_BUSY means: a wait, a refusal at once, a stale snapshot; protocol by protocol.
#include "tests/engine/stores/sqlite/sqlite_store.h"

namespace lockstep::sqlite {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Request kBegin{.verb = Verb::begin};
const Request kCommit{.verb = Verb::commit};
const Request kRead{.verb = Verb::read, .key = "A"};
const Request kWrite{.verb = Verb::write, .key = "A", .value = "1"};

// -- WAL --

TEST(SqliteWal, RefusesAStaleSnapshotThatWantsToWrite) {
  Store store("deferred-wal");
  store.begin(0);
  EXPECT_EQ(store.read(0, "A"), "100");
  store.begin(1);
  store.write(1, "A", "150");
  store.commit(1);
  EXPECT_EQ(store.read(0, "A"), "100") << "the snapshot stands";
  const Error error = store.fails(0, kWrite);
  EXPECT_EQ(error.fault, Fault::busy_snapshot);
  EXPECT_EQ(error.code, "SQLITE_BUSY_SNAPSHOT");
  EXPECT_THAT(error.message, AllOf(HasSubstr("T1"), HasSubstr("roll back and begin again")));
  EXPECT_TRUE(store[0].in_transaction()) << "SQLite leaves the transaction open";
  store.abort(0);
  store.begin(0);
  store.write(0, "A", "160");
  store.commit(0);
  EXPECT_EQ(store.end(), (State{{"A", "160"}, {"B", "100"}}));
}

TEST(SqliteWal, RefusesAReaderThatWantsToWriteWhileAnotherWrites) {
  Store store("deferred-wal");
  store.begin(0);
  store.begin(1);
  store.read(0, "A");
  store.read(1, "A");
  store.write(0, "A", "90");
  const Error error = store.fails(1, kWrite);
  EXPECT_EQ(error.fault, Fault::busy);
  EXPECT_EQ(error.code, "SQLITE_BUSY");
  EXPECT_THAT(error.message, AllOf(HasSubstr("T2"), HasSubstr("T1 (write lock)"), HasSubstr("refuses to wait")));
  EXPECT_TRUE(store[1].in_transaction());
  store.abort(1);
  store.commit(0);
  EXPECT_EQ(store.end(), (State{{"A", "90"}, {"B", "100"}}));
}

TEST(SqliteWal, LetsAFirstWriteWaitForAnotherWriter) {
  Store store("deferred-wal");
  store.begin(0);
  store.begin(1);
  store.write(0, "A", "90");
  Call write(store[1], {.verb = Verb::add, .key = "A", .delta = 5});
  ASSERT_FALSE(write.attempt());
  ASSERT_THAT(write.blockers(), testing::SizeIs(1));
  EXPECT_EQ(write.blockers()[0].actor, 0);
  EXPECT_EQ(write.blockers()[0].what, "write lock");
  store.commit(0);
  EXPECT_EQ(write.waiter.wakes(), 1);
  ASSERT_TRUE(write.attempt());
  ASSERT_TRUE(write.ok()) << write.text();
  EXPECT_EQ(write.pending.reply.value, "95") << "its snapshot is taken after the wait";
  store.commit(1);
  EXPECT_EQ(store.end(), (State{{"A", "95"}, {"B", "100"}}));
}

TEST(SqliteWal, LetsReadersGoOnWhateverWriters) {
  for (const char* protocol : {"deferred-wal", "immediate-wal", "exclusive-wal"}) {
    SCOPED_TRACE(protocol);
    Store store(protocol);
    store.begin(0);
    store.write(0, "A", "90");
    const auto value = store.backend->query("SELECT v FROM kv WHERE k = 'A'");
    ASSERT_TRUE(value.ok()) << value.error().message;
    EXPECT_EQ((*value)[0][0], "100");
  }
}

class SqliteBeginWaits : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Protocols, SqliteBeginWaits,
                         ::testing::Values("immediate-wal", "exclusive-wal", "immediate", "exclusive"));

TEST_P(SqliteBeginWaits, UntilTheOtherHasEnded) {
  Store store(GetParam());
  store.begin(0);
  Call begin(store[1], kBegin);
  ASSERT_FALSE(begin.attempt());
  EXPECT_FALSE(store[1].in_transaction());
  ASSERT_THAT(begin.blockers(), testing::SizeIs(1));
  EXPECT_EQ(begin.blockers()[0].actor, 0);
  EXPECT_EQ(begin.blockers()[0].object, "database");
  store.write(0, "A", "90");
  store.read(0, "A");
  EXPECT_EQ(begin.waiter.wakes(), 0);
  store.commit(0);
  EXPECT_EQ(begin.waiter.wakes(), 1);
  EXPECT_THAT(begin.blockers(), IsEmpty());
  ASSERT_TRUE(begin.attempt());
  EXPECT_TRUE(begin.ok()) << begin.text();
  EXPECT_TRUE(store[1].in_transaction());
  EXPECT_EQ(store.read(1, "A"), "90");
}

TEST_P(SqliteBeginWaits, UntilTheDeadlineThenBusy) {
  Store store(GetParam(), 100ms);
  store.begin(0);
  store.clock.advance(7ms);
  Call begin(store[1], kBegin);
  ASSERT_FALSE(begin.attempt());
  EXPECT_EQ(begin.pending.waiting.deadline, 107ms);
  EXPECT_EQ(begin.pending.waiting.deadline_fault, Fault::busy);
  EXPECT_EQ(begin.pending.waiting.retry_at, kNever) << "the holder is one of ours";
  ASSERT_TRUE(begin.finish(&store.clock));
  EXPECT_EQ(begin.fault(), Fault::busy);
  EXPECT_EQ(begin.pending.error->code, "SQLITE_BUSY");
  EXPECT_THAT(begin.text(), AllOf(HasSubstr("T2"), HasSubstr("BEGIN"), HasSubstr("100 ms"), HasSubstr("T1 (")));
  EXPECT_FALSE(store[1].in_transaction());
  EXPECT_EQ(store.clock.now(), 107ms);
  store.commit(0);
  EXPECT_EQ(begin.waiter.wakes(), 0) << "who gave up is not woken";
  store.begin(1);
}

TEST_P(SqliteBeginWaits, OneSecondWhenTheRunSetsNoLimit) {
  Store store(GetParam());
  store.begin(0);
  Call begin(store[1], kBegin);
  ASSERT_FALSE(begin.attempt());
  EXPECT_EQ(begin.pending.waiting.deadline, kDefaultBusyTimeout);
}

TEST_P(SqliteBeginWaits, InTheOrderOfComing) {
  Store store(GetParam(), kNever, 4);
  store.begin(0);
  Call third(store[3], kBegin), first(store[1], kBegin), second(store[2], kBegin);
  ASSERT_FALSE(first.attempt());
  ASSERT_FALSE(second.attempt());
  ASSERT_FALSE(third.attempt());
  store.commit(0);
  EXPECT_THAT((std::vector{first.waiter.wakes(), second.waiter.wakes(), third.waiter.wakes()}), ElementsAre(1, 0, 0));
  ASSERT_TRUE(first.attempt());
  store.commit(1);
  EXPECT_THAT((std::vector{first.waiter.wakes(), second.waiter.wakes(), third.waiter.wakes()}), ElementsAre(1, 1, 0));
  ASSERT_TRUE(second.attempt());
  store.abort(2);
  EXPECT_THAT((std::vector{first.waiter.wakes(), second.waiter.wakes(), third.waiter.wakes()}), ElementsAre(1, 1, 1));
  ASSERT_TRUE(third.attempt());
}

TEST_P(SqliteBeginWaits, UntilItIsCancelled) {
  Store store(GetParam());
  store.begin(0);
  Call begin(store[1], kBegin), next(store[2], kBegin);
  ASSERT_FALSE(begin.attempt());
  ASSERT_FALSE(next.attempt());
  store[1].cancel(begin.pending, Fault::cancelled);
  EXPECT_THAT(begin.blockers(), IsEmpty());
  ASSERT_TRUE(begin.attempt());
  EXPECT_EQ(begin.fault(), Fault::cancelled);
  store.commit(0);
  EXPECT_EQ(begin.waiter.wakes(), 0);
  EXPECT_EQ(next.waiter.wakes(), 1) << "one that gave up is not in the way of the next";
  ASSERT_TRUE(next.attempt());
  store.abort(2);
  store.begin(1);
}

TEST_P(SqliteBeginWaits, UntilTheHoldersSessionIsGone) {
  Store store(GetParam());
  store.begin(0);
  store.write(0, "A", "90");
  Call begin(store[1], kBegin);
  ASSERT_FALSE(begin.attempt());
  store.sessions[0].reset();
  EXPECT_EQ(begin.waiter.wakes(), 1);
  ASSERT_TRUE(begin.attempt());
  EXPECT_EQ(store.read(1, "A"), "100") << "what the lost session wrote is undone";
}

// -- rollback journal --

TEST(SqliteRollbackJournal, RefusesASecondWriterThatHasRead) {
  Store store("deferred");
  store.begin(0);
  store.begin(1);
  store.read(0, "A");
  store.read(1, "A");
  store.write(0, "A", "90");
  const Error error = store.fails(1, kWrite);
  EXPECT_EQ(error.fault, Fault::busy);
  EXPECT_EQ(error.code, "SQLITE_BUSY");
  EXPECT_THAT(error.message, AllOf(HasSubstr("T1 (RESERVED lock)"), HasSubstr("cannot commit before")));
  EXPECT_TRUE(store[1].in_transaction());
  EXPECT_EQ(store.read(1, "B"), "100") << "and it may still read";
  store.abort(1);
  store.commit(0);
}

TEST(SqliteRollbackJournal, LetsACommitWaitForTheReaders) {
  Store store("deferred");
  store.begin(1);
  store.read(1, "A");
  store.begin(2);
  store.read(2, "A");
  store.begin(0);
  store.write(0, "A", "90");
  Call commit(store[0], kCommit);
  ASSERT_FALSE(commit.attempt());
  std::vector<int> actors;
  for (const Blocker& blocker : commit.blockers()) {
    actors.push_back(blocker.actor);
    EXPECT_EQ(blocker.what, "SHARED lock");
  }
  EXPECT_THAT(actors, ElementsAre(1, 2));
  EXPECT_TRUE(store[0].in_transaction());
  store.commit(1);
  EXPECT_EQ(commit.waiter.wakes(), 0);
  store.commit(2);
  EXPECT_EQ(commit.waiter.wakes(), 1);
  ASSERT_TRUE(commit.attempt());
  EXPECT_TRUE(commit.ok()) << commit.text();
  EXPECT_FALSE(store[0].in_transaction());
  EXPECT_EQ(store.end(), (State{{"A", "90"}, {"B", "100"}}));
}

TEST(SqliteRollbackJournal, LetsACommitFailAtTheDeadlineWithItsTransactionOpen) {
  Store store("deferred", 50ms);
  store.begin(1);
  store.read(1, "A");
  store.begin(0);
  store.write(0, "A", "90");
  Call commit(store[0], kCommit);
  ASSERT_TRUE(commit.finish(&store.clock));
  EXPECT_EQ(commit.fault(), Fault::busy);
  EXPECT_EQ(commit.pending.error->code, "SQLITE_BUSY");
  EXPECT_THAT(commit.text(), AllOf(HasSubstr("COMMIT"), HasSubstr("50 ms"), HasSubstr("T2 (SHARED lock)")));
  EXPECT_TRUE(store[0].in_transaction());
  store.abort(0);
  EXPECT_EQ(store.read(1, "A"), "100");
  store.commit(1);
  EXPECT_EQ(store.end(), (State{{"A", "100"}, {"B", "100"}}));
}

TEST(SqliteRollbackJournal, KeepsNewReadersAwayFromAWaitingCommit) {
  Store store("deferred", 50ms);
  store.begin(1);
  store.read(1, "A");
  store.begin(0);
  store.write(0, "A", "90");
  Call commit(store[0], kCommit);
  ASSERT_FALSE(commit.attempt());
  store.begin(2);
  Call read(store[2], kRead);
  ASSERT_FALSE(read.attempt());
  ASSERT_THAT(read.blockers(), testing::SizeIs(1));
  EXPECT_EQ(read.blockers()[0].actor, 0);
  EXPECT_EQ(read.blockers()[0].what, "PENDING lock");
  ASSERT_TRUE(commit.finish(&store.clock));
  EXPECT_EQ(commit.fault(), Fault::busy);
  EXPECT_EQ(read.waiter.wakes(), 0) << "the lock stays until the transaction ends";
  store.abort(0);
  EXPECT_EQ(read.waiter.wakes(), 1);
  ASSERT_TRUE(read.attempt());
  EXPECT_EQ(read.pending.reply.value, "100");
}

TEST(SqliteRollbackJournal, LetsNobodyReadBesideAnExclusiveTransaction) {
  Store store("exclusive");
  store.begin(0);
  EXPECT_EQ(store.backend->query("SELECT * FROM kv").fault(), Fault::busy);
  EXPECT_EQ(store.backend->final_state().fault(), Fault::busy);
}

TEST(SqliteRollbackJournal, LetsABeginExclusiveWaitForAReaderOutsideATransaction) {
  // No transaction of this protocol only reads; a statement outside one does, and is over at once.
  Store store("exclusive");
  EXPECT_EQ(store.does(1, {.verb = Verb::execute, .key = "SELECT v FROM kv WHERE k = 'A'"}).table[0][0], "100");
  store.begin(0);
  Call read(store[1], {.verb = Verb::execute, .key = "SELECT v FROM kv WHERE k = 'B'"});
  ASSERT_FALSE(read.attempt());
  store.commit(0);
  EXPECT_EQ(read.waiter.wakes(), 1);
  ASSERT_TRUE(read.attempt());
  EXPECT_TRUE(read.ok()) << read.text();
}

TEST(SqliteRollbackJournal, DoesNotTakeMoreThanTheWriteLockBeforeTheCommit) {
  // Ten megabytes: more than the page cache, which would otherwise spill and need the file for itself.
  Store store("deferred");
  store.begin(1);
  store.read(1, "A");
  store.begin(0);
  const std::string value(1'000'000, 'x');
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}) store.write(0, key, value.c_str());
  store.begin(2);
  EXPECT_EQ(store.read(2, "A"), "100") << "new readers still come in";
}

// -- other processes --

TEST(SqliteBusy, PollsForALockThatAnotherProcessHolds) {
  Store store("immediate-wal", 100ms);
  const std::string path = store.backend->query("PRAGMA database_list").value()[0][2].value_or("");
  sqlite3* shell = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &shell), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(shell, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Call begin(store[0], kBegin);
  ASSERT_FALSE(begin.attempt());
  EXPECT_NE(begin.pending.waiting.retry_at, kNever);
  EXPECT_THAT(begin.blockers(), IsEmpty());
  ASSERT_FALSE(begin.attempt());
  ASSERT_EQ(sqlite3_exec(shell, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  ASSERT_TRUE(begin.attempt());
  EXPECT_TRUE(begin.ok()) << begin.text();
  store.abort(0);
  ASSERT_EQ(sqlite3_exec(shell, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Call late(store[0], kBegin);
  ASSERT_FALSE(late.attempt());
  store.clock.advance(100ms);
  ASSERT_TRUE(late.attempt()) << "its time is over";
  EXPECT_EQ(late.fault(), Fault::busy);
  EXPECT_THAT(late.text(), HasSubstr("another process"));
  sqlite3_close(shell);
}

TEST(SqliteBusy, GivesUpAtOnceWithALimitOfNothing) {
  Store store("immediate", 0ms);
  store.begin(0);
  const Error error = store.fails(1, kBegin);
  EXPECT_EQ(error.fault, Fault::busy);
}

TEST(SqliteBusy, DoesNotTakeACancelledWaitForTheNextRequest) {
  Store store("immediate");
  store.begin(0);
  {
    Call begin(store[1], kBegin);
    ASSERT_FALSE(begin.attempt());
    store[1].cancel(begin.pending, Fault::hung);
  }
  store.commit(0);
  store.begin(1);
}

}  // namespace
}  // namespace lockstep::sqlite
