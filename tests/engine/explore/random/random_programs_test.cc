// random_programs_test.cc: what "complete" rests on. Small programs made by chance over every operation of engine/sync
// and every verb of a store, on every protocol: the reduced and the bounded search must meet the same endings, the same
// final rows and the same number of interleavings as all interleavings one by one.
//
// Below that, the table of footprint.h itself: wherever it says that two neighbours commute, every program is run in
// both orders, which must touch the same things and come to the same end.
//
//   LOCKSTEP_TEST_SEED=N       the seed (each failure prints its own)
//   LOCKSTEP_PROGRAMS=N        programs a mix and protocol; by default some 20,000 in all, a tenth under a sanitizer
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "engine/explore/search/trace.h"
#include "engine/explore/search_worker.h"
#include "tests/engine/explore/random/program.h"

namespace lockstep::random_programs {
namespace {

constexpr std::uint64_t kMostRuns = 1'500;  ///< of the unreduced search; a larger program is passed over

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

/// What a search found.
struct Found {
  std::map<std::string, double> ends;  ///< by everything that can be told of an ending: how many interleavings
  double interleavings = 0;
  std::uint64_t runs = 0;
  std::uint64_t cut = 0;
  std::string error;
  bool is_complete = false;
};

Found search(const Scenario& scenario, const RunRequest& request, Strategy strategy) {
  Found found;
  auto worker = SearchWorker::open(scenario, request, std::make_shared<ObjectNumbers>(), nullptr);
  EXPECT_TRUE(worker.ok()) << worker.error().message;
  if (!worker) return found;
  Limits limits{.most_runs = strategy == Strategy::unreduced ? kMostRuns : 100 * kMostRuns};
  limits.seen = [&found](const record::Run& run, double orders) {
    std::string end = std::string(record::name_of(run.verdict)) + " ";
    std::set<std::string> cycles;
    for (const auto& cycle : run.cycles) cycles.insert(fmt::format("{}", fmt::join(cycle, ">")));
    end += fmt::format("{} ", fmt::join(cycles, " "));
    for (const auto& [fault, count] : run.outcomes.faults) end += fmt::format("{}{} ", fault, count);
    found.ends[end + fmt::format("{}/{} ", run.outcomes.committed, run.outcomes.aborted) + seen()] += orders;
    found.interleavings += orders;
  };
  for (;;) {
    found = {};
    Tally tally;
    const Result<Halt> halt = (*worker)->search(*make_search({.strategy = strategy}), tally, limits);
    found.runs = tally.runs;
    found.cut = tally.pruned;
    if (!halt) found.error = halt.error().message;
    if (halt && *halt == Halt::news) {
      (void)(*worker)->footprint().take_news();
      continue;
    }
    found.is_complete = halt && *halt == Halt::exhausted;
    return found;
  }
}

std::string text_of(const Found& found) {
  std::string text = fmt::format("{} interleavings in {} runs + {} cut{}{}\n", found.interleavings, found.runs,
                                 found.cut, found.is_complete ? "" : ", not complete: ", found.error);
  for (const auto& [end, count] : found.ends) text += fmt::format("  {:6} {}\n", count, end);
  return text;
}

/// nullopt: nothing is wrong, or the program is too large. Counts what was compared.
std::optional<std::string> difference(const Program& program, const RunRequest& request, std::uint64_t* compared) {
  const Scenario scenario = to_scenario(program);
  const Found every = search(scenario, request, Strategy::unreduced);
  if (!every.is_complete && every.error.empty()) return std::nullopt;
  const Found reduced = search(scenario, request, Strategy::exhaustive);
  const Found bounded = search(scenario, request, Strategy::bounded);
  ++*compared;
  const auto same = [&every](const Found& other) {
    return other.is_complete && other.ends == every.ends && other.interleavings == every.interleavings;
  };
  if (every.is_complete && same(reduced) && same(bounded) && reduced.runs == bounded.runs) return std::nullopt;
  return "every one: " + text_of(every) + "reduced: " + text_of(reduced) + "bounded: " + text_of(bounded);
}

Program shrunk(Program program, const RunRequest& request) {
  std::uint64_t ignored = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (Program& less : smaller(program)) {
      if (!difference(less, request, &ignored)) continue;
      program = std::move(less);
      changed = true;
      break;
    }
  }
  return program;
}

void expect_same(const Mix& mix, RunRequest request, std::uint64_t programs) {
  request.pattern = "plain";
  request.recording = false;
  request.executor = "coroutines";
  request.retries = 0;
  const std::uint64_t first = number_from("LOCKSTEP_TEST_SEED", 20261130);
  std::uint64_t compared = 0;
  for (std::uint64_t i = 0; i < programs; ++i) {
    std::mt19937_64 random(first + i);
    Program program = draw(mix, random);
    if (!difference(program, request, &compared)) continue;
    program = shrunk(std::move(program), request);
    ADD_FAILURE() << "LOCKSTEP_TEST_SEED=" << first + i << " LOCKSTEP_PROGRAMS=1, " << mix.name << " on "
                  << request.store << " " << request.protocol << "\n"
                  << source_of(program) << *difference(program, request, &compared);
    return;
  }
  testing::Test::RecordProperty("compared", static_cast<int>(compared));
  std::printf("%s %s: seed %llu, %llu programs compared\n", mix.name.c_str(), request.protocol.c_str(),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(compared));
}

/// A run of the unreduced search, step by step.
struct Taken {
  std::vector<Step> steps;
  std::string end;
};
using Runs = std::map<std::vector<int>, Taken>;

std::vector<int> key_of(const std::vector<Step>& steps) {
  std::vector<int> key;
  for (const Step& step : steps) key.push_back(2 * step.choice.actor + (step.choice.timeout ? 1 : 0));
  return key;
}

/// Writes down what each step of each run touched.
class Watched final : public Search {
 public:
  explicit Watched(std::unique_ptr<Search> inner) : inner_(std::move(inner)) {}
  bool begin() override {
    steps.clear();
    return inner_->begin();
  }
  bool choose(std::span<const Choice> enabled, Choice& next) override { return inner_->choose(enabled, next); }
  void took(const Footprint& step) override {
    const Choice choice = inner_->taken().back();
    steps.push_back({choice, step.actors() | 1U << static_cast<unsigned>(choice.actor), step.accesses()});
    inner_->took(step);
  }
  double end(bool complete, std::span<const Step> blocked) override { return inner_->end(complete, blocked); }
  bool exhaustive() const noexcept override { return inner_->exhaustive(); }
  const std::string& disagreement() const noexcept override { return inner_->disagreement(); }
  void repeat() noexcept override { inner_->repeat(); }
  void leave_out() noexcept override { inner_->leave_out(); }
  const std::vector<Choice>& taken() const noexcept override { return inner_->taken(); }

  std::vector<Step> steps;

 private:
  std::unique_ptr<Search> inner_;
};

bool same_step(const Step& a, const Step& b) {
  return a.choice == b.choice && a.actors == b.actors &&
         std::is_permutation(a.accesses.begin(), a.accesses.end(), b.accesses.begin(), b.accesses.end());
}

/// Every run of a small program, or as many as are looked at.
Runs runs_of(SearchWorker& worker, bool& all, std::string& wrong) {
  Runs runs;
  Result<Halt> halt = Halt::news;
  while (halt && *halt == Halt::news) {  // then the choices are others than before
    (void)worker.footprint().take_news();
    runs.clear();
    Watched search(make_search({.strategy = Strategy::unreduced}));
    Limits limits{.most_runs = 300};
    limits.seen = [&](const record::Run& run, double) {
      runs[key_of(search.steps)] = {search.steps, std::string(record::name_of(run.verdict)) + " " + seen()};
    };
    Tally tally;
    halt = worker.search(search, tally, limits);
  }
  if (!halt) wrong = halt.error().message;
  all = halt && *halt == Halt::exhausted;
  return runs;
}

/// Where the table says that two neighbours commute, they do: from one state both can be taken, each touches the same
/// whether the other one came before it or not, and both orders come to the same end. Counts the pairs, and those that
/// are kept in order and of which the order mattered; answers "" or what is wrong.
std::string check_commuting(const Program& program, const RunRequest& request, std::uint64_t& pairs,
                            std::uint64_t& matters) {
  const Scenario scenario = to_scenario(program);
  auto worker = SearchWorker::open(scenario, request, std::make_shared<ObjectNumbers>(), nullptr);
  if (!worker) return worker.error().message;
  bool all = false;
  std::string wrong;
  const Runs runs = runs_of(**worker, all, wrong);
  if (!wrong.empty()) return wrong;
  const Footprint& objects = (*worker)->footprint();

  std::map<std::vector<int>, std::map<int, Step>> from;  // by state, told by the choices that led there
  for (const auto& [key, run] : runs) {
    for (std::size_t i = 0; i < key.size(); ++i)
      from[{key.begin(), key.begin() + static_cast<std::ptrdiff_t>(i)}].emplace(key[i], run.steps[i]);
  }
  for (const auto& [state, steps] : from) {
    for (const auto& [a, one] : steps) {
      std::vector<int> after = state;
      after.push_back(a);
      const auto behind = from.find(after);
      for (const auto& [b, other] : steps) {
        if (a == b || dependent(one, other, objects) || (behind == from.end() && !all)) continue;
        ++pairs;
        const bool same = behind != from.end() && behind->second.contains(b) && same_step(behind->second.at(b), other);
        if (same || (!all && (behind == from.end() || !behind->second.contains(b)))) continue;
        return fmt::format("after {}: {} does not do the same behind {}", fmt::join(state, " "), b, a);
      }
    }
  }
  for (const auto& [key, run] : runs) {
    for (std::size_t i = 0; i + 1 < key.size(); ++i) {
      std::vector<int> swapped = key;
      std::swap(swapped[i], swapped[i + 1]);
      const auto other = runs.find(swapped);
      const bool same_end = other != runs.end() && other->second.end == run.end;
      if (dependent(run.steps[i], run.steps[i + 1], objects)) {
        matters += other != runs.end() && !same_end ? 1 : 0;
      } else if (!same_end && (all || other != runs.end())) {
        return fmt::format("steps {} and {} of {} do not commute", i + 1, i + 2, fmt::join(key, " "));
      }
    }
  }
  return {};
}

void expect_commuting(const Mix& mix, RunRequest request, std::uint64_t programs) {
  request.pattern = "plain";
  request.recording = false;
  request.executor = "coroutines";
  request.retries = 0;
  const std::uint64_t first = number_from("LOCKSTEP_TEST_SEED", 20261130);
  std::uint64_t pairs = 0, matters = 0;
  for (std::uint64_t i = 0; i < programs; ++i) {
    std::mt19937_64 random(first + i);
    const Program program = draw(mix, random);
    const std::string wrong = check_commuting(program, request, pairs, matters);
    ASSERT_EQ(wrong, "") << "LOCKSTEP_TEST_SEED=" << first + i << " LOCKSTEP_PROGRAMS=1, " << mix.name << " on "
                         << request.store << " " << request.protocol << "\n"
                         << source_of(program);
  }
  EXPECT_GT(pairs, programs / 10) << "the table says that nearly nothing commutes";
  // On a store one order waits where the other does not, so the rest is seldom the same.
  if (request.store == "none") {
    EXPECT_GT(matters, 0U) << "no order that the table keeps made a difference";
  }
}

using enum Kind;

std::vector<Kind> operator+(std::vector<Kind> a, const std::vector<Kind>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<Kind> kPlain{lock, lock, lock, unlock, unlock, drop};
const std::vector<Kind> kTries{try_lock, try_lock, unlock};
const std::vector<Kind> kTimed{lock_for, try_lock_for, try_lock_for, unlock};
const std::vector<Kind> kShared{read_lock, read_lock, write_lock, shared_unlock, shared_unlock, shared_drop};
const std::vector<Kind> kSharedTries{try_read_lock, try_write_lock, read_lock_for, write_lock_for};
const std::vector<Kind> kUpgrades{upgrade_lock, try_upgrade_lock, upgrade, upgrade_for, downgrade};
const std::vector<Kind> kSemaphores{acquire, acquire, try_acquire, acquire_for, release, release};
const std::vector<Kind> kConditions{wait, wait_for, notify_one, notify_all};
const std::vector<Kind> kReads{read, read, read_for_update};
const std::vector<Kind> kWrites{write, write, write_if, add, add_if};
const std::vector<Kind> kPlaces{insert, insert, erase, write};
const std::vector<Kind> kScans{scan, scan, scan_some, scan_for_update};
const std::vector<Kind> kSavepoints{savepoint, savepoint, rollback_to, release_savepoint};

const std::vector<Mix>& mixes_of_locks() {
  static const std::vector<Mix> mixes{
      {"plain", kPlain},
      {"tries", kPlain + kTries, 2},
      {"timed", kPlain + kTries + kTimed, 2},
      {"shared", kShared, 1, 3, 5},
      {"shared and tries", kShared + kSharedTries, 2},
      {"upgrades", kShared + kSharedTries + kUpgrades, 1, 3, 5},
      {"semaphores", kSemaphores, 2},
      {"conditions", kPlain + kConditions, 1},
      {"conditions and tries", kPlain + kTries + kTimed + kConditions, 2},
      {"all", kPlain + kTries + kTimed + kShared + kSharedTries + kUpgrades + kSemaphores + kConditions, 2},
  };
  return mixes;
}

const std::vector<Mix>& mixes_of_stores() {
  static const std::vector<Mix> mixes{
      {"rows", kReads + kWrites, 2, 3, 3},
      {"places", kReads + kWrites + kPlaces + kScans, 6, 2, 4},
      {"savepoints", kReads + kPlaces + kScans + kSavepoints, 5, 2, 5},
      {"locks and rows", kPlain + kTries + kTimed + kReads + kWrites, 2, 2, 4},
  };
  return mixes;
}

std::string test_name(std::string name) {
  for (char& each : name)
    if (std::isalnum(static_cast<unsigned char>(each)) == 0) each = '_';
  return name;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kShare = 10;
#else
constexpr std::uint64_t kShare = 1;
#endif

std::uint64_t programs(std::uint64_t otherwise) { return number_from("LOCKSTEP_PROGRAMS", otherwise / kShare); }

class Locks : public testing::TestWithParam<Mix> {};
INSTANTIATE_TEST_SUITE_P(RandomPrograms, Locks, testing::ValuesIn(mixes_of_locks()),
                         [](const auto& info) { return test_name(info.param.name); });

TEST_P(Locks, AreSearchedAsEveryInterleaving) { expect_same(GetParam(), {.store = "none"}, programs(1'000)); }

TEST_P(Locks, CommuteWhereTheTableSaysSo) { expect_commuting(GetParam(), {.store = "none"}, programs(200)); }

using StoreCase = std::tuple<std::string, Mix>;
class Stores : public testing::TestWithParam<StoreCase> {};
INSTANTIATE_TEST_SUITE_P(
    RandomPrograms, Stores,
    testing::Combine(testing::Values("2pl-detect", "2pl-wait-die", "2pl-wound-wait", "2pl-no-wait", "2pl-timeout",
                                     "2pl-banker", "occ", "snapshot", "ssi", "serial", "2pl-detect as postgres",
                                     "2pl-detect as postgres/read-committed", "snapshot as postgres/read-committed",
                                     "ssi as postgres", "serial as sqlite/immediate"),
                     testing::ValuesIn(mixes_of_stores())),
    [](const auto& info) { return test_name(std::get<0>(info.param) + "_" + std::get<1>(info.param).name); });

TEST_P(Stores, AreSearchedAsEveryInterleaving) {
  const auto& [protocol, mix] = GetParam();
  expect_same(mix, {.store = "kv", .protocol = protocol}, programs(200));
}

TEST_P(Stores, CommuteWhereTheTableSaysSo) {
  const auto& [protocol, mix] = GetParam();
  // One transaction at a time: next to nothing commutes.
  if (protocol.starts_with("serial") || protocol == "2pl-banker") return;
  expect_commuting(mix, {.store = "kv", .protocol = protocol}, programs(40));
}

/// Four transactions, so that cycles are longer than what two of them can show, and a step can be waited for from two
/// sides at once. Too many interleavings to go through one by one: two complete searches that know nothing of each
/// other must agree.
class Rings : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (kShare > 1 && GetParam() != "2pl-wait-die") GTEST_SKIP() << "a sanitizer learns nothing new from it";
  }
  /// Answers whether the program is small enough.
  static bool expect_alike(const Program& program, std::string_view which) {
    RunRequest request{.store = "kv", .protocol = GetParam(), .pattern = "plain", .executor = "coroutines"};
    request.recording = false;
    request.retries = 0;
    const Scenario scenario = to_scenario(program);
    const Found bounded = search(scenario, request, Strategy::bounded);
    if (!bounded.is_complete && bounded.error.empty()) return false;
    const Found reduced = search(scenario, request, Strategy::exhaustive);
    EXPECT_TRUE(reduced.is_complete && bounded.is_complete) << which << reduced.error << bounded.error;
    EXPECT_TRUE(reduced.ends == bounded.ends && reduced.runs == bounded.runs)
        << which << "\n"
        << source_of(program) << "reduced: " << text_of(reduced) << "bounded: " << text_of(bounded);
    return true;
  }
};
INSTANTIATE_TEST_SUITE_P(RandomPrograms, Rings,
                         testing::Values("2pl-detect", "2pl-wait-die", "2pl-wound-wait", "2pl-no-wait", "2pl-timeout",
                                         "occ", "snapshot", "ssi", "2pl-detect as postgres"),
                         [](const auto& info) { return test_name(info.param); });

TEST_P(Rings, AreSearchedAlikeByBoth) {
  const std::uint64_t first = number_from("LOCKSTEP_TEST_SEED", 20261130);
  std::uint64_t compared = 0;
  for (std::uint64_t i = 0; i < std::max<std::uint64_t>(programs(4), 1); ++i) {
    // A ring of requests, the ends of some transactions left open, so that a search has thousands of classes.
    std::mt19937_64 random(first + i);
    Program program{.actors = {}, .rows = {0, 1, 2, 3}, .has_store = true};
    if (random() % 2 == 0) program.rows.pop_back();
    for (int actor = 0; actor < 4; ++actor) {
      const Kind kind = random() % 2 == 0 ? Kind::add : Kind::read_for_update;
      std::vector<Op> ops{{Kind::begin}, {kind, actor, 1}, {Kind::add, (actor + 1) % 4, 1}};
      if (random() % 2 == 0) ops.push_back({Kind::commit});
      std::vector<Op> kept;
      std::copy_if(ops.begin(), ops.end(), std::back_inserter(kept), [&](const Op&) { return random() % 6 != 0; });
      program.actors.push_back(kept.empty() ? ops : kept);
    }
    compared += expect_alike(program, fmt::format("LOCKSTEP_TEST_SEED={} LOCKSTEP_PROGRAMS=1", first + i)) ? 1 : 0;
  }
  EXPECT_GT(compared, 0U) << "every program was too large";
}

/// The last step of a turned race touches other things in its new place. Two steps that sleep there may each say that
/// the other one leads to its class.
TEST_P(Rings, NoSleepingStepVouchesForAStepThatNobodyHasSeen) {
  const Program program{.actors = {{{Kind::begin}, {Kind::add, 0, 1}, {Kind::add, 1, 1}},
                                   {{Kind::begin}, {Kind::read_for_update, 1}, {Kind::add, 2, 1}},
                                   {{Kind::read_for_update, 2}},
                                   {{Kind::begin}, {Kind::add, 0, 1}}},
                        .rows = {0, 1, 2, 3},
                        .has_store = true};
  EXPECT_TRUE(expect_alike(program, ""));
}

/// The last step of T1 passes m0 and gives back m1, which is news. What was believed until then has noted a way that
/// cannot be gone; that must not end the search.
TEST(RandomPrograms, BeginAnewWithNewsBeforeADisagreementCounts) {
  const Program program{.actors = {{{Kind::wait, 1}, {Kind::lock, 0}},
                                   {{Kind::notify_one, 1}, {Kind::try_lock, 0}, {Kind::wait_for, 1, 2}},
                                   {{Kind::try_lock_for, 1, 1}}},
                        .rows = {}};
  RunRequest request{.store = "none", .pattern = "plain", .executor = "coroutines"};
  request.recording = false;
  request.retries = 0;
  std::uint64_t compared = 0;
  EXPECT_EQ(difference(program, request, &compared).value_or(""), "") << source_of(program);
  EXPECT_EQ(compared, 1U);
}

/// Whatever is done in SQLite depends on everything else there: the search must know that.
TEST(RandomPrograms, OnSqliteAreSearchedAsEveryInterleaving) {
  Mix mix = mixes_of_stores().front();
  mix.most_actors = 2;
  mix.most_ops = 2;
  for (const char* protocol : {"deferred", "immediate-wal"})
    expect_same(mix, {.store = "sqlite", .protocol = protocol}, programs(20));
}

}  // namespace
}  // namespace lockstep::random_programs
