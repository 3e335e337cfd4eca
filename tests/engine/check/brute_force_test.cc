// brute_force_test.cc: random histories, judged as the definitions of the levels judge them.
//
// LOCKSTEP_SEED=n begins with that seed; LOCKSTEP_ROUNDS=n says how many histories of each kind.
#include "tests/engine/check/brute_force.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/check/isolation.h"
#include "engine/check/registers.h"

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

TEST(BruteForce, JudgesListsByTheDefinitions) { compare(true); }
TEST(BruteForce, JudgesRegistersByTheDefinitions) { compare(false); }

}  // namespace
}  // namespace lockstep::check::testing
