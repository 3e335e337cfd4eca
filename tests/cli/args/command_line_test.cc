// command_line_test.cc: the command that gives a run again, and durations.
#include "cli/args/command_line.h"

#include <gmock/gmock.h>

#include "tests/cli/sample_runs.h"

namespace lockstep::cli {
namespace {

using std::chrono::milliseconds;

TEST(CommandLine, NamesEveryCoordinate) {
  EXPECT_EQ(
      command_of(samples::two_lock(), {}),
      "lockstep run deadlock/two-lock --store kv --protocol 2pl-detect --pattern plain --executor threads --seed 7");
  EXPECT_EQ(command_of(samples::philosophers(3), {}),
            "lockstep run threads/dining-philosophers --pattern naive --executor threads --seed 1");
}

TEST(CommandLine, KeepsWhatWasAskedForButNoPassword) {
  RunRequest request;
  request.schedule = "T1 T1 T2 …";
  request.lock_timeout = milliseconds(50);
  request.limit = std::chrono::seconds(2);
  request.dsn = "host=db password=secret";
  const std::string command = command_of(samples::two_lock(), request);
  EXPECT_THAT(command, testing::HasSubstr("--schedule 'T1 T1 T2 …' --lock-timeout 50ms --timeout 2s --seed 7"));
  EXPECT_THAT(command, testing::Not(testing::HasSubstr("secret")));
}

TEST(CommandLine, NamesTheServerWithoutItsPassword) {
  record::Run run = samples::two_lock();
  const std::pair<const char*, std::vector<std::string>> examples[] = {
      {"host=db user=bob password='it\\'s secret' dbname=shop", {"--dsn '", "host=db", "dbname=shop"}},
      {"postgresql://bob:secret@db/shop", {"--dsn '", "host=db", "dbname=shop"}},
      {"mysql://bob:secret@db:3307", {"--dsn ", "mysql://bob@db:3307"}},
      {"galera://bob:secret@db1:3307,db2", {"--dsn ", "galera://bob@db1:3307,db2"}},
  };
  int shown = 0;
  for (const BackendKind& kind : backends()) {
    for (const auto& [dsn, parts] : examples) {
      if (!kind.traits.dsn || !kind.traits.dsn->fits(dsn)) continue;
      ++shown;
      run.store = kind.name;
      const std::string command = command_of(run, {.dsn = dsn});
      for (const std::string& part : parts) EXPECT_THAT(command, testing::HasSubstr(part));
      EXPECT_THAT(command, testing::Not(testing::HasSubstr("secret")));
    }
  }
  EXPECT_GE(shown, 2);
}

TEST(CommandLine, QuotesForAShell) {
  EXPECT_EQ(shell_quoted("deadlock/two-lock"), "deadlock/two-lock");
  EXPECT_EQ(shell_quoted(""), "''");
  EXPECT_EQ(shell_quoted("T1 T2"), "'T1 T2'");
  EXPECT_EQ(shell_quoted("it's $HOME"), "'it'\\''s $HOME'");
}

TEST(CommandLine, ReadsDurations) {
  const struct {
    const char* text;
    Nanos value;
  } examples[] = {
      {"500ms", milliseconds(500)},    {"2s", std::chrono::seconds(2)},           {"1.5", milliseconds(1500)},
      {"1m", std::chrono::minutes(1)}, {"250us", std::chrono::microseconds(250)}, {"24h", std::chrono::hours(24)}};
  for (const auto& [text, value] : examples) {
    ASSERT_TRUE(duration_named(text)) << text;
    EXPECT_EQ(*duration_named(text), value) << text;
  }
  for (const char* text : {"", "s", "5y", "-1s", "0", "1e9", "25h", "1s ", "nan", "inf", "0x10"}) {
    EXPECT_FALSE(duration_named(text)) << text;
  }
}

TEST(CommandLine, WritesDurationsAsTheyAreRead) {
  for (const char* text : {"500ms", "2s", "250us"}) EXPECT_EQ(name_of(*duration_named(text)), text);
}

}  // namespace
}  // namespace lockstep::cli
