// linear_test.cc: random calls of one register, put in order as by trying every order.
//
// LOCKSTEP_SEED=n begins with that seed; LOCKSTEP_ROUNDS=n says how many.
#include "engine/check/linear.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace lockstep::check {
namespace {

using Kind = LinearCall::Kind;

std::uint32_t appended(std::uint32_t state, std::uint32_t number) { return (state * 7 + number) % 11; }

bool steps(const LinearCall& call, std::uint32_t& state) {
  switch (call.kind) {
    case Kind::read:
      return state == call.a;
    case Kind::write:
      state = call.a;
      return true;
    case Kind::cas:
      if (state != call.a) return false;
      state = call.b;
      return true;
    case Kind::differs:
      return state != call.a;
    case Kind::append:
      state = appended(state, call.a);
      return true;
  }
  return false;
}

/// Every order, of every set of those that may never have happened.
bool by_force(const std::vector<LinearCall>& calls, std::vector<char>& done, std::uint32_t state) {
  bool finished = true;
  for (std::size_t i = 0; i < calls.size(); ++i) finished &= done[i] != 0 || !calls[i].certain;
  if (finished) return true;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (done[i] != 0) continue;
    bool late = false;  // another must come before it
    for (std::size_t k = 0; k < calls.size(); ++k)
      late |= done[k] == 0 && k != i && calls[k].certain && calls[k].ended < calls[i].began;
    std::uint32_t next = state;
    if (late || !steps(calls[i], next)) continue;
    done[i] = 1;
    if (by_force(calls, done, next)) return true;
    done[i] = 0;
  }
  return false;
}

std::vector<LinearCall> random_calls(std::mt19937_64& random) {
  const std::size_t count = 2 + random() % 6;
  std::vector<std::int64_t> times;
  for (std::size_t i = 0; i < count * 2; ++i) times.push_back(static_cast<std::int64_t>(i));
  for (std::size_t i = 0; i + 1 < times.size(); ++i)  // long and short calls
    if (random() % 2 == 0) std::swap(times[i], times[i + random() % std::min<std::size_t>(times.size() - i, 4)]);
  const bool with_appends = random() % 4 == 0;
  std::vector<LinearCall> calls;
  for (std::size_t i = 0; i < count; ++i) {
    LinearCall call;
    const std::size_t kinds = with_appends ? 5 : random() % 4 == 0 ? 4 : 3;
    call.kind = static_cast<Kind>(random() % kinds);
    call.a = static_cast<std::uint32_t>(random() % 3);
    call.b = static_cast<std::uint32_t>(random() % 3);
    call.began = std::min(times[i * 2], times[i * 2 + 1]);
    call.ended = std::max(times[i * 2], times[i * 2 + 1]);
    call.certain = random() % 4 != 0;
    calls.push_back(call);
  }
  return calls;
}

TEST(Linear, JudgesAsEveryOrderTried) {
  const char* const seed_of = std::getenv("LOCKSTEP_SEED");
  const char* const rounds_of = std::getenv("LOCKSTEP_ROUNDS");
  const std::uint64_t first = seed_of != nullptr ? std::strtoull(seed_of, nullptr, 10) : 1;
  const std::uint64_t rounds = rounds_of != nullptr ? std::strtoull(rounds_of, nullptr, 10) : 20'000;
  const auto never = std::chrono::steady_clock::time_point::max();
  std::size_t held = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    std::mt19937_64 random(seed);
    const std::vector<LinearCall> calls = random_calls(random);
    std::vector<char> done(calls.size(), 0);
    const bool right = by_force(calls, done, 0);
    const LinearAnswer answer = linearize(calls, appended, never);
    held += right ? 1 : 0;
    std::string text;
    for (const LinearCall& call : calls)
      text += fmt::format("kind {} a {} b {} {}-{}{}\n", static_cast<int>(call.kind), call.a, call.b, call.began,
                          call.ended, call.certain ? "" : " unknown");
    ASSERT_EQ(answer.answer == Judgement::holds, right) << "LOCKSTEP_SEED=" << seed << "\n" << text;
    if (!right) continue;
    std::uint32_t state = 0;
    for (const std::uint32_t call : answer.order) ASSERT_TRUE(steps(calls[call], state)) << seed;
  }
  EXPECT_GT(held, rounds / 10);
  EXPECT_LT(held, rounds * 9 / 10);
}

}  // namespace
}  // namespace lockstep::check
