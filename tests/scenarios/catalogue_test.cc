// catalogue_test.cc: what every file under scenarios/ must have, whatever it shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "engine/scenario/runs_only.h"
#include "engine/schedule/schedule.h"
#include "tests/scenarios/coordinates.h"

namespace lockstep {
namespace {

using record::Verdict;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

template <class Check>
void for_each_pattern(Check check) {
  for (const Scenario& scenario : scenarios::catalogue()) {
    for (const Pattern& pattern : scenario.patterns()) {
      SCOPED_TRACE(scenario.name + " " + pattern.name);
      check(scenario, pattern);
    }
  }
}

bool expects_any_of(const Pattern& pattern, const std::set<Verdict>& verdicts) {
  return std::any_of(pattern.expectations.begin(), pattern.expectations.end(),
                     [&](const Expectation& e) { return verdicts.contains(e.verdict); });
}

TEST(Catalogue, NamesEachScenarioOnce) {
  std::set<std::string> names;
  for (const Scenario& scenario : scenarios::catalogue())
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
  EXPECT_GE(names.size(), 12u);
}

TEST(Catalogue, FindsEveryScenarioByItsName) {
  for (const Scenario& scenario : scenarios::catalogue()) EXPECT_EQ(scenarios::find(scenario.name), &scenario);
  EXPECT_EQ(scenarios::find("deadlock/no-such"), nullptr);
}

TEST(Catalogue, EveryScenarioTellsItsStoryAndHasAnInvariant) {
  for (const Scenario& scenario : scenarios::catalogue()) {
    SCOPED_TRACE(scenario.name);
    EXPECT_THAT(scenario.title(), Not(IsEmpty()));
    EXPECT_THAT(scenario.story(), Not(IsEmpty()));
    EXPECT_THAT(scenario.invariants(), Not(IsEmpty()));
    EXPECT_THAT(scenario.patterns(), Not(IsEmpty()));
  }
}

TEST(Catalogue, EveryFileOpensWithWhatItShows) {
  for (const Scenario& scenario : scenarios::catalogue()) {
    SCOPED_TRACE(scenario.source);
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/" + scenario.source);
    std::string line;
    ASSERT_TRUE(std::getline(file, line));
    const std::string comment = scenarios::file_of(scenario) != nullptr ? "# " : "// ";
    EXPECT_TRUE(line.starts_with(comment)) << line;
    EXPECT_GT(line.size(), 40u);
    int lines = 1;
    for (; std::getline(file, line); ++lines) EXPECT_LE(line.size(), 125u) << line;
    EXPECT_LE(lines, 150) << "nobody understands it in a minute";
  }
}

TEST(Catalogue, EveryPatternSaysWhatItShows) {
  for_each_pattern([](const Scenario&, const Pattern& pattern) {
    EXPECT_THAT(pattern.summary, Not(IsEmpty()));
    EXPECT_THAT(pattern.why(), Not(IsEmpty()));
    EXPECT_THAT(pattern.actors, Not(IsEmpty()));
    EXPECT_THAT(pattern.expectations, Not(IsEmpty()));
  });
}

TEST(Catalogue, EveryBrokenPatternHasAFixThatIsAnotherPattern) {
  for_each_pattern([](const Scenario& scenario, const Pattern& pattern) {
    if (expects_any_of(pattern, {Verdict::anomaly, Verdict::deadlock, Verdict::hung, Verdict::starved})) {
      EXPECT_THAT(pattern.fix, Not(IsEmpty()));
    }
    EXPECT_EQ(pattern.fix.empty(), pattern.fix_pattern.empty());
    if (pattern.fix_pattern.empty()) return;
    EXPECT_NE(pattern.fix_pattern, pattern.name);
    EXPECT_NE(scenario.pattern_named(pattern.fix_pattern), nullptr) << pattern.fix_pattern;
  });
}

TEST(Catalogue, AFixRunsWhereverItsPatternIsBroken) {
  for_each_pattern([](const Scenario& scenario, const Pattern& pattern) {
    const Pattern* const fix = scenario.pattern_named(pattern.fix_pattern);
    if (fix == nullptr) return;
    for (const Expectation& e : pattern.expectations) {
      if (e.verdict != Verdict::anomaly && e.verdict != Verdict::deadlock && e.verdict != Verdict::hung) continue;
      EXPECT_TRUE(fix->expected(e.store, e.protocol).has_value()) << e.store << " " << e.protocol;
    }
  });
}

TEST(Catalogue, TheLastFixIsBrokenNowhere) {
  for_each_pattern([](const Scenario& scenario, const Pattern& pattern) {
    if (pattern.fix_pattern.empty()) return;
    const Pattern* last = &pattern;
    for (int hops = 0; hops < 5 && !last->fix_pattern.empty(); ++hops) last = scenario.pattern_named(last->fix_pattern);
    ASSERT_TRUE(last->fix_pattern.empty()) << "the fixes point at each other";
    EXPECT_FALSE(expects_any_of(*last, {Verdict::anomaly, Verdict::deadlock, Verdict::hung, Verdict::starved}));
  });
}

TEST(Catalogue, EveryScheduleNamesItsActors) {
  for_each_pattern([](const Scenario&, const Pattern& pattern) {
    std::vector<std::string> names;
    for (const ActorSpec& actor : pattern.actors) names.push_back(actor.name);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << "two actors have one name";
    const auto parsed = scripted(pattern.schedule, names, /*strict=*/false);
    EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  });
}

TEST(Catalogue, EveryStoreAndProtocolNamedExists) {
  for_each_pattern([](const Scenario&, const Pattern& pattern) {
    for (const Expectation& expectation : pattern.expectations) {
      SCOPED_TRACE(expectation.store + " " + expectation.protocol);
      if (expectation.protocol == "*" || expectation.protocol == kRunsOnly) {
        EXPECT_TRUE(expectation.store == "none" || backend_named(expectation.store) != nullptr);
        continue;
      }
      const BackendKind* const kind = backend_named(expectation.store);
      ASSERT_NE(kind, nullptr);
      EXPECT_NE(kind->protocol_named(expectation.protocol), nullptr);
    }
  });
}

TEST(Catalogue, NamesEachProtocolOnceInAPattern) {
  for_each_pattern([](const Scenario&, const Pattern& pattern) {
    std::set<std::pair<std::string, std::string>> places;
    for (const Expectation& e : pattern.expectations)
      EXPECT_TRUE(places.emplace(e.store, e.protocol).second) << e.store << " " << e.protocol;
  });
}

TEST(Catalogue, StatementsOfItsOwnNeedAStoreWithSql) {
  for_each_pattern([](const Scenario&, const Pattern& pattern) {
    if (pattern.ddl.empty()) return;
    EXPECT_THAT(pattern.stores(), Not(Contains("kv")));
    EXPECT_THAT(pattern.stores(), Not(Contains("none")));
  });
}

TEST(Catalogue, KnowsTheOptionsThatItTunes) {
  const std::set<std::string> known{"lock-timeout-ms", "statement-timeout-ms", "deadlock-timeout-ms", "retries",
                                    "victim"};
  for_each_pattern([&](const Scenario&, const Pattern& pattern) {
    std::set<std::string> all = known;
    for (const std::string& store : pattern.stores()) {
      const BackendKind* const kind = backend_named(store);
      if (kind != nullptr) all.insert(kind->traits.own_options.begin(), kind->traits.own_options.end());
    }
    for (const auto& [option, value] : pattern.tuning) EXPECT_TRUE(all.contains(option)) << option;
  });
}

}  // namespace
}  // namespace lockstep
