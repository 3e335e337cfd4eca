// data_of_runs_test.cc: what a page shows of the rows and the locks of a run is what the store had: at the end of every
// scenario of the catalogue on the stores in this process.
#include "reports/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/coordinates.h"
#include "engine/run/run.h"
#include "engine/run/run_environment.h"
#include "engine/schedule/schedule.h"
#include "engine/store/backend.h"
#include "reports/spans.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

struct Ran {
  record::Run run;
  State rows;
};

/// One run under the pattern's own schedule; nullopt where it does not come to its end.
std::optional<Ran> ran(const Scenario& scenario, const RunRequest& request) {
  const Pattern& pattern = *scenario.pattern_named(request.pattern);
  std::vector<std::string> actors;
  for (const ActorSpec& spec : pattern.actors) actors.push_back(spec.name);
  auto schedule = scripted(pattern.schedule, actors, false);
  auto environment = RunEnvironment::open(scenario, request, nullptr);
  if (!schedule || !environment) return std::nullopt;
  if (const auto done = (*environment)->perform(schedule->get()); !done) return std::nullopt;
  Ran result{run_at(scenario, request, **environment), {}};
  (*environment)->judge(result.run);
  result.rows = (*environment)->final_rows();
  if (result.run.ending != record::Ending::complete) return std::nullopt;
  return result;
}

TEST(DataOfRuns, AtTheEndIsWhatTheStoreHas) {
  std::size_t compared = 0, with_views = 0;
  for (const Scenario& scenario : scenarios::catalogue()) {
    for (const Pattern& pattern : scenario.patterns()) {
      for (const char* store : {"kv", "sqlite"}) {
        for (const ProtocolTraits& protocol : backend_named(store)->protocols) {
          if (!pattern.expected(store, protocol.name)) continue;
          RunRequest request{
              .store = store, .protocol = protocol.name, .pattern = pattern.name, .executor = "coroutines"};
          const auto resolved = resolve(scenario, request);
          ASSERT_TRUE(resolved.ok()) << resolved.error().message;
          const std::optional<Ran> done = ran(scenario, *resolved);
          if (!done) continue;
          SCOPED_TRACE(scenario.name + " " + store + " " + protocol.name + " " + pattern.name);
          const std::vector<reports::LaneRow> rows = reports::lane_rows(done->run, holds_until_end);
          const reports::DataTold told = reports::data_told(done->run, rows);
          EXPECT_THAT(told.untold, testing::Not(testing::HasSubstr("does not fit")));
          std::optional<reports::Data> data = told.begin;
          if (!data) continue;
          for (const reports::LaneRow& row : rows) {
            for (const reports::Change& change : row.changes) {
              data->apply(change);
              with_views += change.kind == reports::Change::Kind::look ? 1 : 0;
            }
          }
          State shown;
          for (const auto& [key, row] : data->committed) {
            if (row.value) shown.emplace_back(key, *row.value);
          }
          EXPECT_EQ(shown, done->rows);
          for (const reports::Data::Actor& actor : data->actors) {
            EXPECT_TRUE(actor.written.empty());
            EXPECT_FALSE(actor.view);
          }
          const reports::Standing standing = reports::standing_after(rows, done->run.actors.size(), rows.size());
          for (const reports::Standing::Actor& actor : standing.actors) {
            EXPECT_TRUE(actor.held.empty()) << "nothing is held when all have ended";
            EXPECT_FALSE(actor.waits);
          }
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 300U);
  EXPECT_GT(with_views, 100U);
}

/// A read of a transaction gives what the page says that it sees: its own write, its snapshot, or what is committed.
TEST(DataOfRuns, AReadGivesWhatThePageSaysThatItSees) {
  std::size_t reads = 0;
  for (const char* name :
       {"isolation/write-skew", "isolation/lost-update", "isolation/read-skew", "isolation/non-repeatable-read"}) {
    const Scenario* const scenario = scenarios::find(name);
    if (scenario == nullptr) continue;
    for (const char* protocol : {"snapshot", "ssi", "2pl-detect"}) {
      const Pattern& pattern = scenario->patterns().front();
      if (!pattern.expected("kv", protocol)) continue;
      const std::optional<Ran> done =
          ran(*scenario, {.store = "kv", .protocol = protocol, .pattern = pattern.name, .executor = "coroutines"});
      if (!done) continue;
      SCOPED_TRACE(std::string(name) + " " + protocol);
      const std::vector<reports::LaneRow> rows = reports::lane_rows(done->run, holds_until_end);
      std::optional<reports::Data> data = reports::data_told(done->run, rows).begin;
      ASSERT_TRUE(data);
      for (const reports::LaneRow& row : rows) {
        for (const reports::Change& change : row.changes) data->apply(change);
        const std::string read = "read ";
        if (row.actor < 0 || !row.text.starts_with(read) || row.text.find(" = ") == std::string::npos) continue;
        const std::string key = row.text.substr(read.size(), row.text.find(" = ") - read.size());
        const std::string value = row.text.substr(row.text.find(" = ") + 3);
        const reports::Data::Actor& actor = data->actors[static_cast<std::size_t>(row.actor)];
        const auto own = actor.written.find(key);
        const reports::Data::Rows& seen = actor.view ? *actor.view : data->committed;
        EXPECT_EQ(own != actor.written.end() ? *own->second : seen.at(key).value.value_or("nothing"), value)
            << row.text;
        ++reads;
      }
    }
  }
  EXPECT_GT(reads, 8U);
}

/// A run that nobody steers: what the page shows ends as the store did, and never stands there against a read.
TEST(DataOfRuns, OfAFreeRunEndsAsTheStoreDidOrIsNotShown) {
  std::size_t shown = 0, withheld = 0;
  for (const char* name : {"isolation/write-skew", "isolation/lost-update", "deadlock/two-lock", "money/transfer"}) {
    const Scenario* const scenario = scenarios::find(name);
    ASSERT_NE(scenario, nullptr) << name;
    for (const char* store : {"kv", "sqlite"}) {
      for (const ProtocolTraits& protocol : backend_named(store)->protocols) {
        for (const char* executor : {"threads", "coroutines"}) {
          const Result<record::Run> done =
              run(*scenario, {.store = store, .protocol = protocol.name, .executor = executor, .schedule = "free"},
                  nullptr);
          if (!done || done->ending != record::Ending::complete) continue;
          SCOPED_TRACE(std::string(name) + " " + store + " " + protocol.name + " " + executor);
          const std::vector<reports::LaneRow> rows = reports::lane_rows(*done, holds_until_end);
          const reports::DataTold told = reports::data_told(*done, rows);
          EXPECT_TRUE(told.begin || !told.untold.empty()) << "what is not shown is said not to be";
          told.begin ? ++shown : ++withheld;
          if (!told.begin) continue;
          EXPECT_TRUE(told.by_times);
          reports::Data data = *told.begin;
          for (const reports::LaneRow& row : rows) {
            for (const reports::Change& change : row.changes) data.apply(change);
          }
          for (const reports::Data::Actor& actor : data.actors) EXPECT_TRUE(actor.written.empty());
        }
      }
    }
  }
  EXPECT_GT(shown, 4 * withheld) << withheld << " were not shown";
}

}  // namespace
}  // namespace lockstep::cli
