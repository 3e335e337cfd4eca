// bad_files_test.cc: whatever lies where a recording should, the answer is one sentence with the path and what is
// wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "engine/record/files.h"
#include "engine/record/reader.h"
#include "engine/record/schema.h"
#include "engine/record/sqlite.h"
#include "tests/engine/record/recording.h"

namespace lockstep::record {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class BadRecording : public ::testing::Test {
 protected:
  void SetUp() override {
    auto run = full_run();
    for (int i = 0; i < 500; ++i) {
      run.events.push_back(event_on(run.events.size() + 1, "account/" + std::to_string(i)));
    }
    path_ = *save(run, folder_.path());
  }

  /// Changes the saved file by SQL, as somebody with the shell could.
  void change(const char* sql) {
    sqlite::Database database(path_, sqlite::Database::Mode::create);
    sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    database.run(sql);
    ASSERT_FALSE(database.failed()) << database.error(sql).message;
  }

  void expect_refused(const std::string& path, const std::string& why) {
    const auto loaded = load(path);
    ASSERT_FALSE(loaded.ok()) << why;
    EXPECT_EQ(loaded.fault(), Fault::invalid) << loaded.error().message;
    EXPECT_THAT(loaded.error().message, AllOf(HasSubstr(path), HasSubstr(why)));
  }

  TemporaryFolder folder_;
  std::string path_;
};

TEST_F(BadRecording, IsRefusedWhenThereIsNone) { expect_refused(folder_.in("none.sqlite"), "no such file"); }

TEST_F(BadRecording, IsRefusedWhenItIsAFolder) { expect_refused(folder_.path(), "not a file"); }

TEST_F(BadRecording, IsRefusedWhenItIsAPipe) {
  ASSERT_EQ(::mkfifo(folder_.in("pipe").c_str(), 0600), 0);
  expect_refused(folder_.in("pipe"), "not a file");
}

TEST_F(BadRecording, IsRefusedWhenItIsEmpty) {
  put(path_, "");
  expect_refused(path_, "empty");
}

TEST_F(BadRecording, IsRefusedWhenItIsText) {
  put(path_, std::string(5000, 'x'));
  expect_refused(path_, "not a SQLite database");
  put(path_, "SQLite format 3");
  expect_refused(path_, "not a SQLite database");
}

TEST_F(BadRecording, IsRefusedWhenItIsAnotherDatabase) {
  change("PRAGMA application_id = 0");
  expect_refused(path_, "another program");
}

TEST_F(BadRecording, IsRefusedWithBothVersionsWhenItsSchemaIsAnother) {
  change("PRAGMA user_version = 99");
  expect_refused(path_, "schema version 99 and this program reads versions 1 to 3");
}

TEST_F(BadRecording, IsNoneWhenItIsOfVersion1WhichHadNoDocuments) {
  change("DROP TABLE document");
  expect_refused(path_, "no such table");
  change("PRAGMA user_version = 1");
  const auto run = load(path_);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_TRUE(run->documents.empty());
}

TEST_F(BadRecording, IsNoneWhenItIsOfVersion2WhichHadNoFacts) {
  change("DROP TABLE event_fact");
  expect_refused(path_, "no such table");
  change("PRAGMA user_version = 2");
  const auto run = load(path_);
  ASSERT_TRUE(run.ok()) << run.error().message;
  for (const Event& event : run->events) EXPECT_TRUE(event.facts.empty());
}

TEST_F(BadRecording, IsRefusedWhereverItIsCut) {
  const std::string whole = bytes_of(path_);
  for (std::size_t size = 0; size < whole.size(); size += 509) {
    SCOPED_TRACE(size);
    put(path_, whole.substr(0, size));
    expect_refused(path_, size == 0 ? "empty" : size < 100 ? "not a SQLite database" : "cut short");
  }
}

/// How many events can be salvaged, each of them sound; nothing where not even the run's coordinates can be read.
std::optional<std::uint64_t> salvaged_events(const std::string& path) {
  std::string wrong;
  Result<Reader> reader = Reader::salvage(path, wrong);
  if (!reader) {
    EXPECT_THAT(reader.error().message, HasSubstr(path));
    return std::nullopt;
  }
  std::uint64_t events = 0;
  const auto read = reader->each_event([&](const EventView& event) {
    EXPECT_EQ(event.seq, ++events);
    EXPECT_LT(event.actor, static_cast<int>(reader->run().actors.size()));
    return true;
  });
  EXPECT_TRUE(read.ok() || read.fault() == Fault::invalid) << read.error().message;
  return events;
}

TEST_F(BadRecording, IsSalvagedAsFarAsItGoesWhereverItIsCut) {
  constexpr std::size_t kPage = 4096;
  auto run = full_run();
  const std::uint64_t all = run.events.size();
  for (int pages_of_events : {0, 20}) {
    for (int i = 0; i < 50 * pages_of_events; ++i) run.events.push_back(event_on(run.events.size() + 1, "account/1"));
    run.id.clear();
    const std::string path = *save(run, folder_.path());
    const std::string whole = bytes_of(path);
    std::uint64_t most = 0;
    for (std::size_t size = 0; size < whole.size(); size += 509) {
      SCOPED_TRACE(std::to_string(size) + " of " + std::to_string(whole.size()));
      put(path, whole.substr(0, size));
      const auto events = salvaged_events(path);
      EXPECT_EQ(events.has_value(), size >= 2 * kPage) << "the second page is the run itself";
      EXPECT_GE(events.value_or(0), most);
      most = events.value_or(0);
      // The seventh page is the first of the last table that is needed for events.
      if (pages_of_events == 0) {
        EXPECT_EQ(most, size >= 7 * kPage ? all : 0);
      }
    }
    EXPECT_GT(most, run.events.size() / 2);
  }
}

TEST_F(BadRecording, IsSalvagedWithoutTheDefinitionsOfItsTables) {
  std::string bytes = bytes_of(path_);
  // The leaves of the tree of definitions: the pages that say how a table is made.
  std::size_t lost = 0;
  for (std::size_t at = 4096; at < bytes.size(); at += 4096) {
    if (bytes.substr(at, 4096).find("CREATE TABLE") == std::string::npos &&
        bytes.substr(at, 4096).find("CREATE VIEW") == std::string::npos)
      continue;
    bytes.replace(at, 4096, 4096, '\0');
    ++lost;
  }
  ASSERT_GE(lost, 2U);
  put(path_, bytes);
  expect_refused(path_, "malformed");
  EXPECT_EQ(salvaged_events(path_), 511U);
  // The end of page 1 says where the definitions lie. Elsewhere they are not those that are known.
  ++bytes[4096 - 2];
  put(path_, bytes);
  EXPECT_EQ(salvaged_events(path_), std::nullopt);
}

TEST_F(BadRecording, IsRefusedWhenATableIsMissing) {
  change("DROP TABLE victim");
  expect_refused(path_, "no such table");
}

TEST_F(BadRecording, IsRefusedWhenItHasNoRun) {
  change("DELETE FROM run");
  expect_refused(path_, "empty");
}

TEST_F(BadRecording, IsRefusedWhenEventsAreMissing) {
  change("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)");
  expect_refused(path_, "510 events of 511");
  change("DELETE FROM event WHERE seq = 3");
  expect_refused(path_, "event 4 follows 2");
}

TEST_F(BadRecording, IsRefusedWhenANameIsUnknown) {
  change("UPDATE run SET verdict = 'great'");
  expect_refused(path_, "unknown verdict \"great\"");
}

TEST_F(BadRecording, IsRefusedWhenAnActorIsUnknown) {
  change("UPDATE event SET actor = 2 WHERE seq = 5");
  expect_refused(path_, "no actor 2");
}

TEST_F(BadRecording, IsRefusedWhenAnotherActorBelongsToNoEvent) {
  change("INSERT INTO event_other VALUES (9999, 0, 0)");
  expect_refused(path_, "no event 9999");
}

TEST_F(BadRecording, IsRefusedWhenACycleHasAGap) {
  change("UPDATE cycle SET cycle = 1000000000 WHERE cycle = 1");
  expect_refused(path_, "cycle 1000000000");
}

TEST_F(BadRecording, NeverRunsWhatTheFileSays) {
  // A view in the place of a table must reach neither functions that touch the machine nor tables that tell of it.
  change("ALTER TABLE victim RENAME TO old; CREATE VIEW victim AS SELECT 0 AS position, load_extension('x') AS actor");
  expect_refused(path_, "unsafe use of load_extension");
  change("DROP VIEW victim; CREATE VIEW victim AS SELECT seq AS position, file AS actor FROM pragma_database_list");
  expect_refused(path_, "unsafe use of virtual table");
}

// Not every changed byte can be told (a letter of a text), but none may crash, hang or give an unsound run.
TEST_F(BadRecording, IsRefusedWithPagesOfAnImpossibleSize) {
  const std::string whole = bytes_of(path_);
  for (const int size : {0, 2, 511, 4160, 4097, 65535}) {
    SCOPED_TRACE(size);
    std::string bytes = whole;
    bytes[16] = static_cast<char>(size >> 8);
    bytes[17] = static_cast<char>(size & 0xff);
    put(path_, bytes);
    EXPECT_FALSE(load(path_));
    EXPECT_EQ(salvaged_events(path_).value_or(0), 0u);
  }
}

TEST_F(BadRecording, NeverCrashesOnDamage) {
  const std::string whole = bytes_of(path_);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 20; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    put(path_, bytes);
    const auto loaded = load(path_);
    if (!loaded) {
      ++refused;
      EXPECT_EQ(loaded.fault(), Fault::invalid) << loaded.error().message;
    } else {
      for (const Event& event : loaded->events) {
        EXPECT_LT(event.actor, static_cast<int>(loaded->actors.size()));
      }
    }
    (void)salvaged_events(path_);
    std::vector<std::string> unreadable;
    const auto runs = list(folder_.path(), &unreadable);
    ASSERT_TRUE(runs.ok());
    EXPECT_EQ(runs->size() + unreadable.size(), 1u);
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace lockstep::record
