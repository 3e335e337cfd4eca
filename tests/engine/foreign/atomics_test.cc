// atomics_test.cc: programs whose own code waits in futexes (tests/programs/atomics): barriers, latches, semaphores and
// a mutex of their own are searched as one by one, although their atomics are no steps.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/explore/explore.h"
#include "engine/foreign/program.h"

namespace lockstep::foreign {
namespace {

using record::Verdict;

ProgramCall atomic_call(const std::string& name) {
  const Result<ProgramCall> found = call_of({LOCKSTEP_ATOMIC_CASES, name});
  EXPECT_TRUE(found.ok()) << found.error().message;
  return *found;
}

Result<Exploration> atomic_search(const std::string& name, Strategy strategy) {
  const ProgramExplorable explorable(atomic_call(name), {}, nullptr);
  RunRequest run;
  run.store = record::kNoStore;
  run.protocol = record::kNoProtocol;
  run.pattern = "program";
  const ExploreRequest request{.run = run,
                               .strategy = strategy,
                               .most_time = std::chrono::minutes(10),
                               .preemptions_least = std::chrono::seconds(1)};
  return explore(explorable, run, request, 1, nullptr, RealClock().now());
}

/// "3 deadlock T1 → T2 → T1", with the interleavings.
std::vector<std::string> endings_of(const Exploration& explored) {
  std::vector<std::string> endings;
  for (const Finding& each : explored.findings)
    endings.push_back(fmt::format("{} {} {}", each.interleavings, record::name_of(each.verdict), each.what));
  std::sort(endings.begin(), endings.end());
  return endings;
}

struct AtomicCase {
  std::string name;
  double interleavings;
  std::string bad = {};  ///< the worst ending
};

class Atomics : public testing::TestWithParam<AtomicCase> {};

TEST_P(Atomics, AreCountedAsBruteForceDoes) {
  const AtomicCase& known = GetParam();
  const Result<Exploration> reduced = atomic_search(known.name, Strategy::exhaustive);
  const Result<Exploration> every = atomic_search(known.name, Strategy::unreduced);
  ASSERT_TRUE(reduced.ok()) << reduced.error().message;
  ASSERT_TRUE(every.ok()) << every.error().message;
  EXPECT_TRUE(reduced->complete && every->complete);
  EXPECT_EQ(reduced->interleavings, known.interleavings);
  EXPECT_EQ(static_cast<double>(every->runs), known.interleavings);
  EXPECT_EQ(endings_of(*reduced), endings_of(*every));
  const Finding& worst = reduced->findings.front();
  if (known.bad.empty()) {
    EXPECT_EQ(worst.verdict, Verdict::clean) << worst.what;
  } else {
    EXPECT_EQ(fmt::format("{} {}", record::name_of(worst.verdict), worst.what).substr(0, known.bad.size()), known.bad);
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, Atomics,
                         testing::Values(AtomicCase{"phases", 75}, AtomicCase{"arrives", 37},
                                         AtomicCase{"too-early", 35, "error exit code 3"}, AtomicCase{"three-meet", 15},
                                         AtomicCase{"counts-down", 37}, AtomicCase{"two-semaphores", 20, "hung"},
                                         AtomicCase{"own-mutex", 74}, AtomicCase{"own-mutexes-crosswise", 20, "hung"}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::erase(name, '-');
                           return name;
                         });

TEST(AtomicsOfPrograms, aProgramThatWaitsByItselfIsKnown) {
  EXPECT_TRUE(waits_by_itself(atomic_call("phases")));
  const Result<ProgramCall> plain = call_of({LOCKSTEP_CASES});
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(waits_by_itself(*plain));
  EXPECT_EQ(grain_of(atomic_call("phases"), false).size(), grain_of(*plain, false).size() + 1);
}

}  // namespace
}  // namespace lockstep::foreign
