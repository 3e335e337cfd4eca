// sqlite_backend_test.cc: the private file and its folder, SQL, settings, and an environment that refuses.
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "engine/record/sqlite.h"
#include "tests/engine/stores/sqlite/sqlite_store.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::sqlite {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// TMPDIR for the length of a test.
class OwnTemporaryFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* before = std::getenv("TMPDIR");
    if (before != nullptr) before_ = before;
    ::setenv("TMPDIR", folder_.path().c_str(), 1);
  }
  void TearDown() override {
    if (before_.empty()) {
      ::unsetenv("TMPDIR");
    } else {
      ::setenv("TMPDIR", before_.c_str(), 1);
    }
  }
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename());
    return names;
  }
  static Result<std::unique_ptr<Backend>> open(const std::string& protocol) {
    BackendOptions options;
    options.protocol = protocol;
    return backend_sqlite().open(options);
  }
  TemporaryFolder folder_;
  std::string before_;
};

using SqliteFolder = OwnTemporaryFolder;

TEST_F(SqliteFolder, IsPrivateAndGoesWithTheBackend) {
  {
    Store store("deferred-wal");
    store.begin(0);
    store.write(0, "A", "1");
    ASSERT_THAT(left(), SizeIs(1));
    struct stat status{};
    ASSERT_EQ(::stat(folder_.in(left()[0]).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
  }
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(SqliteFolder, OfAKilledProcessIsRemovedAtTheNextStartAndOfALivingOneIsNot) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto backend = open("immediate");
    if (!backend || !(*backend)->set_up({{"A", "1"}}, {}) || ::write(ready[1], "r", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  {
    const auto living = open("immediate");
  }
  EXPECT_THAT(left(), SizeIs(1)) << "the other process lives";
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(left(), SizeIs(1));
  {
    const auto next = open("immediate");
  }
  EXPECT_THAT(left(), IsEmpty());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(SqliteFolder, SaysWhenThereIsNone) {
  ::setenv("TMPDIR", folder_.in("none").c_str(), 1);
  const auto backend = open("deferred-wal");
  ASSERT_FALSE(backend.ok());
  EXPECT_TRUE(is_environment(backend.fault()));
  EXPECT_THAT(backend.error().message, AllOf(HasSubstr(folder_.in("none")), HasSubstr("TMPDIR")));
}

TEST_F(SqliteFolder, SaysWhenItIsFull) {
  const SmallDisk disk(folder_, 256);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root";
  for (const char* protocol : {"deferred-wal", "immediate"}) {
    SCOPED_TRACE(protocol);
    Store store(protocol, kNever, 1);
    store.begin(0);
    const std::string value(1'000'000, 'x');
    Call write(store[0], {.verb = Verb::write, .key = "big", .value = value});
    ASSERT_TRUE(write.attempt());
    if (write.ok()) {  // kept in memory until the commit
      Call commit(store[0], {.verb = Verb::commit});
      ASSERT_TRUE(commit.attempt());
      EXPECT_EQ(commit.fault(), Fault::disk_full) << commit.text();
      EXPECT_EQ(commit.pending.error->code, "SQLITE_FULL");
    } else {
      EXPECT_EQ(write.fault(), Fault::disk_full) << write.text();
    }
    if (store[0].in_transaction()) store.abort(0);
    EXPECT_EQ(store.end(), (State{{"A", "100"}, {"B", "100"}}));
  }
}

TEST(SqliteBackend, RefusesAProtocolThatItDoesNotHave) {
  BackendOptions options;
  options.protocol = "2pl-detect";
  const auto backend = backend_sqlite().open(options);
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.fault(), Fault::invalid);
  EXPECT_THAT(backend.error().message, HasSubstr("2pl-detect"));
}

TEST(SqliteBackend, SaysWhatItCanDoAndHowItIsSet) {
  Store store("exclusive-wal", 250ms);
  const Capabilities& can = store.backend->capabilities();
  EXPECT_EQ(store.backend->protocol().name, "exclusive-wal");
  EXPECT_FALSE(can.nonblocking) << "its calls read, write and sync a file";
  EXPECT_EQ(can.version, std::string("SQLite ") + sqlite3_libversion());
  EXPECT_THAT(
      store.backend->environment(),
      testing::IsSupersetOf(std::vector<std::pair<std::string, std::string>>{
          {"sqlite.begin", "BEGIN EXCLUSIVE"}, {"sqlite.journal_mode", "wal"}, {"sqlite.busy_timeout_ms", "250"}}));
}

TEST(SqliteBackend, HasTheJournalThatItsProtocolNames) {
  for (const ProtocolTraits& traits : backend_sqlite().protocols) {
    const std::string& protocol = traits.name;
    Store store(protocol);
    const std::string journal = protocol.ends_with("-wal") ? "wal" : "delete";
    EXPECT_EQ(store.does(0, {.verb = Verb::execute, .key = "PRAGMA journal_mode"}).table[0][0], journal) << protocol;
    EXPECT_EQ(store.backend->query("PRAGMA journal_mode").value()[0][0], journal) << protocol;
    EXPECT_THAT(traits.summary, testing::Not(IsEmpty()));
  }
}

TEST(SqliteBackend, StartsAnewAtEachSetUp) {
  Store store("deferred-wal");
  const std::vector<std::string> ddl = {
      "CREATE TABLE parent (id INTEGER PRIMARY KEY)", "CREATE TABLE child (id INTEGER REFERENCES parent(id))",
      "CREATE VIEW seen AS SELECT * FROM child", "INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1)"};
  for (int round = 0; round < 2; ++round) {
    const auto ready = store.backend->set_up({{"X", "1"}}, ddl);
    ASSERT_TRUE(ready.ok()) << ready.error().message;
    EXPECT_EQ(store.backend->final_state().value(), (State{{"X", "1"}}));
    EXPECT_EQ(store.backend->query("SELECT count(*) FROM seen").value()[0][0], "1");
  }
}

TEST(SqliteBackend, NamesTheStatementOfASetUpThatFails) {
  Store store("deferred-wal");
  const std::vector<std::string> ddl = {"CREATE TABEL x (y)"};
  const auto ready = store.backend->set_up({}, ddl);
  ASSERT_FALSE(ready.ok());
  EXPECT_EQ(ready.error().fault, Fault::invalid);
  EXPECT_THAT(ready.error().message, AllOf(HasSubstr("CREATE TABEL"), HasSubstr("syntax error")));
  const auto twice = store.backend->set_up({{"A", "1"}, {"A", "2"}}, {});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().fault, Fault::constraint);
  EXPECT_TRUE(store.backend->set_up({{"A", "1"}}, {}).ok());
}

TEST(SqliteBackend, AnswersQueriesOrSaysWhyNot) {
  Store store("deferred-wal");
  EXPECT_EQ(store.backend->query("SELECT 1, NULL, 'x'").value(), (Table{{"1", std::nullopt, "x"}}));
  EXPECT_EQ(store.backend->query("").value(), Table{});
  EXPECT_EQ(store.backend->query("SELEC 1").fault(), Fault::invalid);
  EXPECT_EQ(store.backend->query("SELECT 1; SELECT 2").fault(), Fault::invalid);
  EXPECT_TRUE(store.backend->query("SELECT 1 ; ").ok());
}

TEST(SqliteSession, ExecutesStatementsAndCountsTheirRows) {
  Store store("deferred-wal");
  store.begin(0);
  EXPECT_EQ(store.does(0, {.verb = Verb::execute, .key = "UPDATE kv SET v = '7'"}).rows, 2);
  EXPECT_EQ(store.does(0, {.verb = Verb::execute, .key = "UPDATE kv SET v = '7' WHERE k = 'Z'"}).rows, 0);
  const Reply reply = store.does(0, {.verb = Verb::execute, .key = "SELECT k, v, NULL FROM kv ORDER BY k"});
  EXPECT_EQ(reply.rows, 2);
  EXPECT_EQ(reply.table, (Table{{"A", "7", std::nullopt}, {"B", "7", std::nullopt}}));
  const Reply given = store.does(0, {.verb = Verb::execute, .key = "DELETE FROM kv WHERE k = 'A' RETURNING v"});
  EXPECT_EQ(given.rows, 1);
  EXPECT_EQ(given.table, (Table{{"7"}}));
  EXPECT_EQ(store.fails(0, {.verb = Verb::execute, .key = "SELECT 1; SELECT 2"}).fault, Fault::invalid);
  EXPECT_EQ(store.fails(0, {.verb = Verb::execute, .key = "UPDATE nothing SET v = 1"}).fault, Fault::invalid);
  EXPECT_TRUE(store[0].in_transaction());
  store.commit(0);
}

TEST(SqliteSession, ReportsConstraintsWithTheirCodes) {
  Store store("deferred-wal");
  const std::vector<std::string> ddl = {"CREATE TABLE t (n INTEGER CHECK (n >= 0), m INTEGER NOT NULL UNIQUE)",
                                        "CREATE TABLE c (k TEXT REFERENCES kv(k) DEFERRABLE INITIALLY DEFERRED)"};
  ASSERT_TRUE(store.backend->set_up({{"A", "1"}}, ddl).ok());
  store.begin(0);
  store.does(0, {.verb = Verb::execute, .key = "INSERT INTO t VALUES (1, 1)"});
  const std::pair<const char*, const char*> cases[] = {
      {"INSERT INTO t VALUES (-1, 2)", "SQLITE_CONSTRAINT_CHECK"},
      {"INSERT INTO t VALUES (1, 1)", "SQLITE_CONSTRAINT_UNIQUE"},
      {"INSERT INTO t VALUES (1, NULL)", "SQLITE_CONSTRAINT_NOTNULL"},
      {"INSERT INTO kv VALUES ('A', '2')", "SQLITE_CONSTRAINT_PRIMARYKEY"}};
  for (const auto& [sql, code] : cases) {
    const Error error = store.fails(0, {.verb = Verb::execute, .key = sql});
    EXPECT_EQ(error.fault, Fault::constraint) << sql;
    EXPECT_EQ(error.code, code);
    EXPECT_TRUE(store[0].in_transaction()) << "the statement is undone, not the transaction";
  }
  store.does(0, {.verb = Verb::execute, .key = "INSERT INTO c VALUES ('nobody')"});
  const Error error = store.fails(0, {.verb = Verb::commit});
  EXPECT_EQ(error.fault, Fault::constraint);
  EXPECT_EQ(error.code, "SQLITE_CONSTRAINT_FOREIGNKEY");
  EXPECT_TRUE(store[0].in_transaction());
  store.abort(0);
}

TEST(SqliteSession, EndsAStatementThatRunsTooLong) {
  BackendOptions options;
  options.protocol = "deferred-wal";
  options.statement_timeout = 30ms;
  auto backend = std::move(backend_sqlite().open(options)).value();
  ASSERT_TRUE(backend->set_up({}, {}).ok());
  auto session = std::move(backend->open_session(0, "T1")).value();
  Call endless(*session,
               {.verb = Verb::execute,
                .key = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"});
  ASSERT_TRUE(endless.attempt());
  EXPECT_EQ(endless.fault(), Fault::statement_timeout);
  EXPECT_EQ(endless.pending.error->code, "SQLITE_INTERRUPT");
}

TEST(SqliteSession, ForgetsManyDifferentStatements) {
  Store store("deferred-wal");
  for (int i = 0; i < 500; ++i) {
    const std::string sql = "SELECT " + std::to_string(i);
    EXPECT_EQ(store.does(0, {.verb = Verb::execute, .key = sql}).table[0][0], std::to_string(i));
  }
}

// Setting a connection up reads the file: once, a session could not be opened while another one committed.
TEST(SqliteSession, IsOpenedWhileAnotherHoldsTheFileAndThenWaits) {
  Store store("exclusive", kNever, 1);
  store.begin(0);
  auto opened = store.backend->open_session(1, "T2");
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const std::unique_ptr<Session> late = std::move(opened).value();
  Call begin(*late, {.verb = Verb::begin});
  ASSERT_FALSE(begin.attempt());
  ASSERT_THAT(begin.blockers(), SizeIs(1));
  store.commit(0);
  ASSERT_TRUE(begin.attempt());
  EXPECT_TRUE(begin.ok()) << begin.text();
}

TEST(SqliteSession, KnowsThatAStatementEndedTheTransaction) {
  Store store("immediate");
  store.begin(0);
  Call waits(store[1], {.verb = Verb::begin});
  ASSERT_FALSE(waits.attempt());
  store.does(0, {.verb = Verb::execute, .key = "ROLLBACK"});
  EXPECT_FALSE(store[0].in_transaction());
  EXPECT_EQ(waits.waiter.wakes(), 1);
}

TEST(SqliteCodes, HaveTheirNames) {
  EXPECT_EQ(code_name(SQLITE_BUSY), "SQLITE_BUSY");
  EXPECT_EQ(code_name(SQLITE_BUSY_SNAPSHOT), "SQLITE_BUSY_SNAPSHOT");
  EXPECT_EQ(code_name(SQLITE_CONSTRAINT_PRIMARYKEY), "SQLITE_CONSTRAINT_PRIMARYKEY");
  EXPECT_EQ(code_name(54321), "SQLITE_54321");
}

TEST(SqliteCodes, MeanFaults) {
  const std::pair<int, Fault> cases[] = {{SQLITE_BUSY, Fault::busy},
                                         {SQLITE_BUSY_RECOVERY, Fault::busy},
                                         {SQLITE_BUSY_SNAPSHOT, Fault::busy_snapshot},
                                         {SQLITE_LOCKED_SHAREDCACHE, Fault::busy},
                                         {SQLITE_CONSTRAINT_CHECK, Fault::constraint},
                                         {SQLITE_FULL, Fault::disk_full},
                                         {SQLITE_READONLY_DBMOVED, Fault::permission},
                                         {SQLITE_CANTOPEN_ISDIR, Fault::permission},
                                         {SQLITE_PERM, Fault::permission},
                                         {SQLITE_IOERR_READ, Fault::io},
                                         {SQLITE_CORRUPT_INDEX, Fault::internal},
                                         {SQLITE_NOTADB, Fault::internal},
                                         {SQLITE_NOMEM, Fault::internal},
                                         {SQLITE_ERROR, Fault::invalid}};
  for (const auto& [code, fault] : cases) EXPECT_EQ(fault_of(code), fault) << code_name(code);
}

}  // namespace
}  // namespace lockstep::sqlite
