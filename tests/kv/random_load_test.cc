// random_load_test.cc: random loads on many threads, judged by the graph of who saw and overwrote whom (engine/check),
// each protocol against what it claims. And the judge itself against faults planted on purpose.
//
// LOCKSTEP_SEED=n begins with that seed (each test prints the seed that failed); LOCKSTEP_ROUNDS=n says how many rounds
// of each protocol, such as 2000 for a soak of some minutes.
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <functional>

#include "engine/check/isolation.h"
#include "tests/kv/clients.h"
#include "tests/kv/faulty_sessions.h"

namespace lockstep::kv::testing {
namespace {

using check::Level;

std::string describe(const check::Transaction& t) {
  using Kind = check::Operation::Kind;
  std::string text = t.name + ":";
  for (const check::Operation& op : t.operations) {
    if (op.kind == Kind::read) text += fmt::format(" {} = [{}]", op.key, fmt::join(op.list, " "));
    if (op.kind == Kind::absent) text += fmt::format(" no {}", op.key);
    if (op.kind == Kind::append) text += fmt::format(" {} += {}", op.key, op.element);
    if (op.kind == Kind::erase) text += fmt::format(" erase {} ({})", op.key, op.element);
    if (op.undone) text += " (undone)";
  }
  return text + "\n";
}

/// What a history shows that it must not, as text, and what those did who are named in it; empty when it shows nothing.
std::string faults_of(const check::History& history, Level level) {
  std::string text;
  for (const check::Anomaly& anomaly : check::anomalies_of(history, level))
    if (text.size() < 2000) text += fmt::format("{}:\n{}\n", anomaly.name, anomaly.why);
  for (const check::Transaction& t : history.transactions)
    if (text.find(t.name + " ") != std::string::npos) text += describe(t);
  return text;
}

std::size_t committed_in(const check::History& history) {
  return static_cast<std::size_t>(
      std::count_if(history.transactions.begin(), history.transactions.end(),
                    [](const check::Transaction& t) { return t.end == check::Transaction::End::committed; }));
}

std::unique_ptr<Store> open_for_load(const std::string& protocol) {
  // Short, so that 2pl-timeout does not spend the test waiting.
  const bool by_timeout = protocol == "2pl-timeout";
  return open_store(protocol, {.lock_timeout = by_timeout ? Nanos(std::chrono::milliseconds(2)) : kNever});
}

class RandomLoad : public ::testing::TestWithParam<std::string> {};

TEST_P(RandomLoad, IsIsolatedAsClaimed) {
  const Level level = is_serializable(GetParam()) ? Level::serializable : Level::snapshot;
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", 40);
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}", seed));
    const std::unique_ptr<Store> store = open_for_load(GetParam());
    // Few keys make many conflicts; many give protocols that abort a chance.
    const LoadSettings settings{.seed = seed, .threads = 2 + static_cast<int>(seed % 3), .keys = 3 + seed % 7};
    const check::History history =
        run_load(settings, [&]() -> std::unique_ptr<Session> { return std::make_unique<StoreSession>(*store); });
    EXPECT_EQ(faults_of(history, level), "");
    EXPECT_GE(committed_in(history), 10u) << "of " << history.transactions.size();
    EXPECT_TRUE(store->locks().empty());
    if (HasFailure()) break;
  }
}

LOCKSTEP_EVERY_PROTOCOL(RandomLoad);

using Loaded = std::function<check::History(const LoadSettings&)>;

/// Runs a round: what `level` finds in it.
std::string found_by_round(Level level, const Loaded& run, std::uint64_t seed) {
  return faults_of(run({.seed = seed, .keys = 3 + seed % 7}), level);
}

/// Runs rounds until `level` finds a fault: what it found, or nothing within a minute. How many it takes is up to the
/// processors: threads that seldom meet seldom show one.
std::string found_in_time(Level level, const Loaded& run) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  for (std::uint64_t seed = number_from("LOCKSTEP_SEED", 1);; ++seed) {
    std::string faults = found_by_round(level, run, seed);
    if (!faults.empty() || std::chrono::steady_clock::now() > until) return faults;
  }
}

/// The same within a number of rounds.
std::string found_in_rounds(Level level, const Loaded& run) {
  constexpr std::uint64_t kRounds = 60;
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  for (std::uint64_t seed = first; seed < first + kRounds; ++seed) {
    std::string faults = found_by_round(level, run, seed);
    if (!faults.empty()) return faults;
  }
  return {};
}

template <class Faulty>
check::History run_faulty(const LoadSettings& settings) {
  const std::unique_ptr<Store> store = open_for_load("2pl-timeout");  // a session may wait for itself
  return run_load(settings, [&]() -> std::unique_ptr<Session> { return std::make_unique<Faulty>(*store); });
}

TEST(PlantedFault, LocksOfReadsForgotten) {
  EXPECT_NE(found_in_time(Level::serializable, run_faulty<ForgetsReadLocks>), "");
}

TEST(PlantedFault, LocksOfGapsForgotten) {
  EXPECT_NE(found_in_time(Level::serializable, run_faulty<ForgetsGapLocks>), "");
}

TEST(PlantedFault, LocksGivenBackEarly) {
  EXPECT_NE(found_in_time(Level::serializable, run_faulty<IsNotTwoPhase>), "");
}

check::History run_toy(Mistake mistake, const LoadSettings& settings) {
  ToyStore store(mistake);
  return run_load(settings, [&]() -> std::unique_ptr<Session> { return std::make_unique<ToySession>(store); });
}

struct Planted {
  const char* name;
  Mistake mistake;
  Level at;  // the weakest level that forbids it
};

class PlantedMistake : public ::testing::TestWithParam<Planted> {};

TEST_P(PlantedMistake, IsFound) {
  const auto run = [](const LoadSettings& settings) { return run_toy(GetParam().mistake, settings); };
  EXPECT_NE(found_in_time(GetParam().at, run), "");
}

INSTANTIATE_TEST_SUITE_P(
    Mistakes, PlantedMistake,
    ::testing::Values(Planted{"validates_nothing", Mistake::validates_nothing, Level::snapshot},
                      Planted{"validates_writes_only", Mistake::validates_writes_only, Level::serializable},
                      Planted{"validates_found_rows_only", Mistake::validates_found_rows_only, Level::serializable},
                      Planted{"reads_the_latest", Mistake::reads_the_latest, Level::snapshot},
                      Planted{"reads_the_past", Mistake::reads_the_past, Level::snapshot},
                      Planted{"reads_the_uncommitted", Mistake::reads_the_uncommitted, Level::read_committed},
                      Planted{"keeps_what_was_undone", Mistake::keeps_what_was_undone, Level::read_committed},
                      Planted{"keeps_what_was_aborted", Mistake::keeps_what_was_aborted, Level::read_committed},
                      Planted{"commits_in_two_halves", Mistake::commits_in_two_halves, Level::snapshot},
                      Planted{"loses_a_write", Mistake::loses_a_write, Level::read_committed}),
    [](const auto& info) { return std::string(info.param.name); });

// The control: what is found above comes from the mistake, not from the judge.
TEST(PlantedFault, NoneIsFoundWhereNoneWasPlanted) {
  const auto sound = [](const LoadSettings& settings) { return run_toy(Mistake::none, settings); };
  EXPECT_EQ(found_in_rounds(Level::serializable, sound), "");
  const auto snapshot = [](const LoadSettings& settings) { return run_toy(Mistake::validates_writes_only, settings); };
  EXPECT_EQ(found_in_rounds(Level::snapshot, snapshot), "");
}

}  // namespace
}  // namespace lockstep::kv::testing
