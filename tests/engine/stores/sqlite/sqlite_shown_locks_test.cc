// sqlite_shown_locks_test.cc: the locks that a run shows of SQLite are those that SQLite itself has on the file.
#include "tests/engine/stores/sqlite/sqlite_store.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::sqlite {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// "T1 SHARED lock", by actor.
std::vector<std::string> shown(const std::vector<Blocker>& holders) {
  std::vector<std::string> all;
  for (const Blocker& each : holders) {
    EXPECT_EQ(each.object, "database");
    all.push_back("T" + std::to_string(each.actor + 1) + " " + each.what);
  }
  return all;
}

TEST(SqliteShownLocks, GoFromSharedToReservedToPendingWithARollbackJournal) {
  Store store("deferred");
  EXPECT_THAT(shown(store.backend->holders()), IsEmpty());
  store.begin(0);
  EXPECT_THAT(shown(store.backend->holders()), IsEmpty()) << "deferred: begin takes nothing";
  store.read(0, "A");
  store.begin(1);
  store.write(1, "B", "1");
  EXPECT_THAT(shown(store.backend->holders()), ElementsAre("T1 SHARED lock", "T2 RESERVED lock"));
  Call commit(store[1], {.verb = Verb::commit});
  EXPECT_FALSE(commit.attempt()) << "a reader is in the way";
  EXPECT_THAT(shown(store.backend->holders()), ElementsAre("T1 SHARED lock", "T2 PENDING lock"));
  store.commit(0);
  EXPECT_TRUE(commit.attempt());
  EXPECT_THAT(shown(store.backend->holders()), IsEmpty());
}

TEST(SqliteShownLocks, AreSnapshotsAndAWriteLockWithWal) {
  Store store("deferred-wal");
  store.begin(0);
  store.read(0, "A");
  store.begin(1);
  store.write(1, "B", "1");
  EXPECT_THAT(shown(store.backend->holders()), ElementsAre("T1 snapshot", "T2 snapshot, write lock"));
  store.commit(1);
  EXPECT_THAT(shown(store.backend->holders()), ElementsAre("T1 snapshot"));
}

TEST(SqliteShownLocks, AreTakenAtBeginWhereTheProtocolSaysSo) {
  for (const auto& [protocol, lock] :
       {std::pair("immediate", "T1 RESERVED lock"), std::pair("exclusive", "T1 EXCLUSIVE lock"),
        std::pair("immediate-wal", "T1 snapshot, write lock")}) {
    Store store(protocol);
    store.begin(0);
    EXPECT_THAT(shown(store.backend->holders()), ElementsAre(lock)) << protocol;
  }
}

/// The lock that SQLite has on the file through this connection: 0 none, 1 SHARED, 2 RESERVED, 3 PENDING, 4 EXCLUSIVE.
int lock_of_file(sqlite3* handle) {
  int state = -1;
  EXPECT_EQ(sqlite3_file_control(handle, "main", SQLITE_FCNTL_LOCKSTATE, &state), SQLITE_OK);
  return state;
}

TEST(SqliteShownLocks, AreTheLocksOfTheFile) {
  const TemporaryFolder folder;
  VirtualClock clock;
  SharedByAll shared({BeginMode::deferred, Journal::rollback}, std::chrono::seconds(1), clock);
  std::vector<sqlite3*> handles;
  std::vector<std::unique_ptr<SqliteSession>> sessions;
  for (int i = 0; i < 2; ++i) {
    auto connection = std::move(Connection::open(folder.in("store.db"), kNever)).value();
    if (i == 0) {
      ASSERT_TRUE(connection->make_file(Journal::rollback).ok());
      ASSERT_TRUE(
          connection->run("CREATE TABLE kv (k TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID", "").ok());
    }
    handles.push_back(connection->handle());
    sessions.push_back(std::make_unique<SqliteSession>(std::move(connection), shared, i, "T" + std::to_string(i + 1)));
  }
  const auto agrees = [&] {
    const char* const names[] = {"", "SHARED lock", "RESERVED lock", "PENDING lock", "EXCLUSIVE lock"};
    std::vector<std::string> real;
    for (std::size_t i = 0; i < handles.size(); ++i) {
      const int state = lock_of_file(handles[i]);
      if (state > 0) real.push_back("T" + std::to_string(i + 1) + " " + names[state]);
    }
    EXPECT_EQ(shown(shared.registry.holders()), real);
    return real;
  };
  const auto does = [&](std::size_t actor, Request request) {
    Call call(*sessions[actor], request);
    EXPECT_TRUE(call.attempt()) << name_of(request.verb);
    EXPECT_FALSE(call.pending.error) << call.text();
  };
  does(0, {.verb = Verb::begin});
  does(1, {.verb = Verb::begin});
  EXPECT_THAT(agrees(), IsEmpty());
  does(0, {.verb = Verb::read, .key = "A"});
  EXPECT_THAT(agrees(), ElementsAre("T1 SHARED lock"));
  does(1, {.verb = Verb::write, .key = "B", .value = "1"});
  EXPECT_THAT(agrees(), ElementsAre("T1 SHARED lock", "T2 RESERVED lock"));
  Call commit(*sessions[1], {.verb = Verb::commit});
  EXPECT_FALSE(commit.attempt());
  EXPECT_THAT(agrees(), ElementsAre("T1 SHARED lock", "T2 PENDING lock"));
  does(0, {.verb = Verb::commit});
  EXPECT_TRUE(commit.attempt());
  EXPECT_THAT(agrees(), IsEmpty());
}

}  // namespace
}  // namespace lockstep::sqlite
