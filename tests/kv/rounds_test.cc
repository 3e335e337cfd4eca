// rounds_test.cc: kv's histories. Random programs of two or three transactions over every verb, their attempts
// interleaved at random in one thread, with time-outs, kills and retries; every answer is judged by an exact oracle.
//
// LOCKSTEP_SEED=n begins with that seed; LOCKSTEP_ROUNDS=n says how many rounds of each protocol and level, such as
// 10000000 for a soak. A round that fails is made as small as it gets and printed with its seed, its programs and the
// steps in their order.
#include <gtest/gtest.h>

#include <ostream>

#include "tests/kv/clients.h"
#include "tests/kv/rounds/driver.h"
#include "tests/kv/rounds/generate.h"
#include "tests/kv/rounds/oracle.h"
#include "tests/kv/rounds/shrink.h"

namespace lockstep::kv::rounds {
namespace {

using testing::is_serializable;
using testing::number_from;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kRounds = 3'000;
#else
constexpr std::uint64_t kRounds = 100'000;
#endif

struct Level {
  std::string protocol;
  Isolation isolation = Isolation::protocol;
};

/// It gives what it promises, whatever is asked for.
bool ignores_isolation(const std::string& protocol) {
  return protocol == "2pl-banker" || protocol == "occ" || protocol == "serial";
}

void PrintTo(const Level& level, std::ostream* out) { *out << level.protocol; }

class Rounds : public ::testing::TestWithParam<Level> {
 protected:
  History draw(Round& round, Dice& dice, Style style) const {
    const std::unique_ptr<Store> store = testing::open_store(GetParam().protocol);
    return Driver(*store, GetParam().isolation).run(round, dice, style);
  }
  History run(const Round& round, Tell tell = {}) const {
    const std::unique_ptr<Store> store = testing::open_store(GetParam().protocol);
    return Driver(*store, GetParam().isolation).run(round, std::move(tell));
  }
  /// Why the history is not what was promised; empty when it is.
  std::string judge(const Round& round, const History& history) const {
    if (!history.fault.empty()) return history.fault;
    const std::string& protocol = GetParam().protocol;
    if (GetParam().isolation == Isolation::read_committed && !ignores_isolation(protocol))
      return why_not_read_committed(round, history);
    if (!is_serializable(protocol)) return why_not_snapshot(round, history);
    const bool is_strict = protocol.starts_with("2pl-") || protocol == "serial";
    return SerialOrders(round, history, is_strict).exist() ? "" : "no order of the transactions explains it";
  }
  /// The account of a round that fails: as small as it gets, one column a transaction.
  std::string account_of(const Round& failing) const {
    const auto fails = [this](const Round& round) { return !judge(round, run(round)).empty(); };
    if (!fails(failing)) return "it does not fail a second time: the store did not do the same after the same steps";
    const Round round = Shrinker(fails).shrink(failing);
    std::string text = fmt::format("before: {}\n", describe(round.before));
    const auto tell = [&text](std::size_t actor, const std::string& what) {
      text += fmt::format("{:{}}T{} {}\n", "", 40 * actor, actor + 1, what);
    };
    const History history = run(round, tell);
    return text + fmt::format("after: {}\n{}", describe(history.after), judge(round, history));
  }
};

TEST_P(Rounds, AreWhatIsPromised) {
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", kRounds);
  std::uint64_t committed = 0;
  std::uint64_t runs = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    Dice dice(seed);
    const Style style = style_of(seed);
    Round round = random_round(dice, style);
    const History history = draw(round, dice, style);
    committed += history.commits;
    runs += history.runs.size();
    if (std::string why = judge(round, history); !why.empty()) {
      FAIL() << "LOCKSTEP_SEED=" << seed << " LOCKSTEP_ROUNDS=1: " << why << "\n" << account_of(round);
    }
  }
  fmt::print("[          ] seeds {} to {}: {} of {} transactions committed\n", first, first + rounds - 1, committed,
             runs);
  if (rounds >= 1000) {
    EXPECT_GT(committed, runs / 3) << "so few commits test little";
  }
}

std::vector<Level> levels() {
  std::vector<Level> all;
  for (const std::string& name : testing::protocol_names())
    for (const Isolation isolation : {Isolation::protocol, Isolation::read_committed}) all.push_back({name, isolation});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Levels, Rounds, ::testing::ValuesIn(levels()), [](const auto& info) {
  const bool lower = info.param.isolation == Isolation::read_committed;
  return testing::test_name({info.param.protocol, 0}) + (lower ? "_read_committed" : "");
});

}  // namespace
}  // namespace lockstep::kv::rounds
