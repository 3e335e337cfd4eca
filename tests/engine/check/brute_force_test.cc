// brute_force_test.cc: random histories, judged as the definitions of the levels judge them.
//
// LOCKSTEP_SEED=n begins with that seed; LOCKSTEP_ROUNDS=n says how many histories of each kind.
#include "tests/engine/check/brute_force.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>

#include "engine/check/isolation.h"
#include "engine/check/registers.h"
#include "tests/engine/check/brute_force_weak.h"

namespace lockstep::check::testing {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string text_of(const Transactions& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    text += fmt::format("{} process {} {}-{} {}: {}\n", numbers.name_of(i), numbers.item(i).process,
                        numbers.item(i).began, numbers.item(i).ended,
                        numbers.item(i).end == Transactions::End::committed ? "ok"
                        : numbers.item(i).end == Transactions::End::aborted ? "fail"
                                                                            : "info",
                        numbers.text_of_steps(i));
  return text;
}

void compare(bool lists) {
  const std::uint64_t first = number_of("LOCKSTEP_SEED", 1), rounds = number_of("LOCKSTEP_ROUNDS", 3000);
  std::size_t held = 0, broken = 0, unknown = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    std::mt19937_64 random(seed);
    const PlainHistory history = random_history(random, 2 + random() % 5, lists);
    const Transactions numbers = numbers_of(history, lists);
    const Findings findings = lists ? judge_lists(numbers) : judge_registers(numbers, {});
    for (const Ordering ordering : {Ordering::none, Ordering::session, Ordering::real_time}) {
      for (const Level level : {Level::serializable, Level::snapshot}) {
        const Judgement answer = findings.answer({level, ordering});
        const bool right = level == Level::serializable ? is_serializable(history, ordering, lists)
                                                        : is_snapshot(history, ordering, lists);
        if (answer == Judgement::unknown) {
          ++unknown;
          continue;
        }
        ++(right ? held : broken);
        ASSERT_EQ(answer == Judgement::holds, right)
            << "LOCKSTEP_SEED=" << seed << " " << name_of(Claim{level, ordering}) << "\n"
            << text_of(numbers);
      }
    }
  }
  EXPECT_GT(held, rounds / 2);
  EXPECT_GT(broken, rounds / 2);
  EXPECT_LT(unknown, rounds * 2);
}

/// Nothing where the definition leaves it open.
std::optional<bool> by_definition(const PlainHistory& history, Claim claim, bool lists) {
  if (claim.level != Level::read_uncommitted) return is_weak(history, claim.level, claim.ordering, lists);
  return lists ? is_read_uncommitted(history, claim.ordering) : std::nullopt;
}

void compare_below_snapshot(bool lists) {
  const std::uint64_t first = number_of("LOCKSTEP_SEED", 1), rounds = number_of("LOCKSTEP_ROUNDS", 3000);
  std::map<Level, std::array<std::size_t, 2>> seen;  // broken and held
  std::size_t unknown = 0, open = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t transactions = 2 + random() % 5;
    const PlainHistory history =
        seed % 2 == 0 ? random_history(random, transactions, lists) : wild_history(random, transactions, lists);
    const Transactions numbers = numbers_of(history, lists);
    const Findings findings = lists ? judge_lists(numbers) : judge_registers(numbers, {});
    const bool silent = !some_saw_another(history) && each_is_right_alone(history, lists);
    for (const Ordering ordering : {Ordering::none, Ordering::session, Ordering::real_time}) {
      for (const Level level :
           {Level::read_uncommitted, Level::read_committed, Level::read_atomic, Level::repeatable_read}) {
        const Claim claim{level, ordering};
        const Judgement answer = findings.answer(claim);
        const auto told = [&] {
          return fmt::format("LOCKSTEP_SEED={} {}\n{}", seed, name_of(claim), text_of(numbers));
        };
        if (silent && ordering == Ordering::none) {
          ASSERT_EQ(answer, Judgement::unknown) << told();
        }
        const std::optional<bool> right = by_definition(history, claim, lists);
        if (!right || answer == Judgement::unknown) {
          ++(right ? unknown : open);
          continue;
        }
        ++seen[level][*right ? 1 : 0];
        ASSERT_EQ(answer == Judgement::holds, *right) << told();
      }
    }
  }
  for (const auto& [level, counts] : seen) {
    EXPECT_GT(counts[0], rounds / 50) << "broken at " << name_of(Claim{level, Ordering::none});
    EXPECT_GT(counts[1], rounds / 2) << "held at " << name_of(Claim{level, Ordering::none});
  }
  EXPECT_EQ(seen.size(), lists ? 4U : 3U);
  EXPECT_LT(unknown, rounds * 4);
  fmt::print("seeds {} to {}: {} answers were unknown, {} left open by the definition\n", first, first + rounds - 1,
             unknown, open);
}

TEST(BruteForce, JudgesListsBelowSnapshotByTheDefinitions) { compare_below_snapshot(true); }
TEST(BruteForce, JudgesRegistersBelowSnapshotByTheDefinitions) { compare_below_snapshot(false); }

TEST(BruteForce, JudgesListsByTheDefinitions) { compare(true); }
TEST(BruteForce, JudgesRegistersByTheDefinitions) { compare(false); }

}  // namespace
}  // namespace lockstep::check::testing
