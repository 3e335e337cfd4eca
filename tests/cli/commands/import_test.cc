// import_test.cc: `lockstep import` as people and scripts meet it.
#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "engine/store/backend.h"
#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string log_path(const char* name) {
  return std::string(LOCKSTEP_SOURCE_DIR) + "/tests/engine/stores/postgres/logs/" + name;
}

TEST(Import, WritesTheOneDeadlockOfALog) {
  const Ended ended = lockstep({"import", log_path("deadlock.log")});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, IsEmpty());
  EXPECT_THAT(ended.out, StartsWith("# A deadlock of P26692 and P26695, 2026-11-30 10:13:56.051 UTC\n"));
  EXPECT_THAT(ended.out, HasSubstr("\nP26692: update accounts set balance = balance + 10 where id = 2\n"));
}

TEST(Import, ListsWhatThereIsWhereThereAreSeveral) {
  const Ended several = lockstep({"import", log_path("deadlocks.csv")});
  EXPECT_EQ(several.code, 2);
  EXPECT_THAT(several.out, IsEmpty());
  EXPECT_THAT(several.err, HasSubstr("there are 4; --number says which:"));
  EXPECT_THAT(several.err, HasSubstr("  2  2026-11-30 10:13:57.068 UTC  deadlock of pgbench, pgbench_26746"));
  EXPECT_EQ(lockstep({"import", log_path("deadlocks.csv"), "--number", "5"}).code, 2);
  EXPECT_EQ(lockstep({"import", log_path("deadlocks.csv"), "--number", "4"}).code, 0);
}

TEST(Import, WritesAFileAndSaysWhatIsNext) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/case.spec";
  const Ended ended = lockstep({"import", log_path("deadlocks.json"), "--number", "4", "--out", path});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("2 sessions, 8 statements; what is missing stands in it"));
  EXPECT_THAT(ended.out, HasSubstr("lockstep run " + path + " --store postgres"));
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("# guessed: "));
}

TEST(Import, FindsOutWhoseLogItIs) {
  const std::string logs = std::string(LOCKSTEP_SOURCE_DIR) + "/tests/engine/stores/mariadb/logs/";
  if (backend_named("mariadb") == nullptr) GTEST_SKIP() << "skipped: built without MariaDB";
  const Ended several = lockstep({"import", logs + "deadlocks.log"});
  EXPECT_EQ(several.code, 2);
  EXPECT_THAT(several.err, HasSubstr("there are 3; --number says which:"));
  const Ended one = lockstep({"import", logs + "status.txt"});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_THAT(one.out, HasSubstr("expect mariadb *: deadlock\n"));
  EXPECT_THAT(one.out, HasSubstr("# guessed: it held what thread"));
}

TEST(Import, ADeadlockOfInnodbIsHadAgain) {
  if (backend_named("mariadb") == nullptr) GTEST_SKIP() << "skipped: built without MariaDB";
  const ScratchFolder folder;
  const std::string path = folder.path() + "/case.spec";
  const std::string logs = std::string(LOCKSTEP_SOURCE_DIR) + "/tests/engine/stores/mariadb/logs/";
  std::string text = lockstep({"import", logs + "deadlocks.log", "--number", "1"}).out;
  const std::string place = "setup {\n}";
  ASSERT_THAT(text, HasSubstr(place));
  text.replace(text.find(place), place.size(),
               "setup { create table accounts (id int primary key, balance int not null) engine=innodb;"
               " insert into accounts values (1, 100), (2, 100); }");
  std::ofstream(path) << text;
  const Ended ran = lockstep({"run", path, "--store", "mariadb", "--no-record", "--quiet"});
  if (ran.code == 3) GTEST_SKIP() << "skipped: no MariaDB server is here: " << ran.err;
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("deadlock"));
}

TEST(Import, RefusesWhatItCannotRead) {
  const ScratchFolder folder;
  EXPECT_THAT(lockstep({"import"}).err, HasSubstr("name the log"));
  EXPECT_THAT(lockstep({"import", "--live"}).err, HasSubstr("--dsn"));
  EXPECT_EQ(lockstep({"import", folder.path() + "/none.log"}).code, 2);
  const std::string empty = folder.path() + "/empty.log";
  std::ofstream(empty) << "";
  const Ended nothing = lockstep({"import", empty});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("empty.log: the log is empty"));
  const std::string other = folder.path() + "/other.log";
  std::ofstream(other) << "root:x:0:0\n";
  const Ended nobodys = lockstep({"import", other});
  EXPECT_EQ(nobodys.code, 2);
  for (const BackendKind& kind : backends()) {
    if (kind.incidents == nullptr) continue;
    const Ended of_one = lockstep({"import", other, "--store", std::string(kind.name)});
    EXPECT_THAT(of_one.err, Not(IsEmpty()));
    EXPECT_THAT(nobodys.err, HasSubstr(of_one.err)) << "each says why";
  }
  const std::string quiet = folder.path() + "/quiet.log";
  std::ofstream(quiet) << "2026-11-30 10:00:00 UTC [11] LOG:  checkpoint starting: time\n";
  const Ended none = lockstep({"import", quiet});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no deadlock stands in it; --waits"));
}

}  // namespace
}  // namespace lockstep::cli
