// banker_test.cc: the banker's algorithm against the textbook and against brute force, and its manager on every
// executor.
#include "engine/sync/banker.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>

#include "engine/sync/sync.h"
#include "tests/engine/sync/sync_runs.h"

namespace lockstep {
namespace {

using record::EventKind;
using record::Verdict;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Answer = Banker::Answer;

/// Silberschatz, Galvin, Gagne, "Operating System Concepts", section "Banker's algorithm": five processes, ten A, five
/// B and seven C.
Banker textbook() {
  Banker banker({10, 5, 7});
  const std::vector<std::pair<Units, Units>> rows = {{{7, 5, 3}, {0, 1, 0}},
                                                     {{3, 2, 2}, {2, 0, 0}},
                                                     {{9, 0, 2}, {3, 0, 2}},
                                                     {{2, 2, 2}, {2, 1, 1}},
                                                     {{4, 3, 3}, {0, 0, 2}}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int process = banker.add_process(fmt::format("P{}", i), rows[i].first);
    banker.request_blindly(process, rows[i].second);
  }
  return banker;
}

TEST(Banker, FindsTheTextbooksStateSafeWithItsSequence) {
  const Banker banker = textbook();
  EXPECT_EQ(banker.available(), (Units{3, 3, 2}));
  EXPECT_EQ(banker.need(0), (Units{7, 4, 3}));
  const Banker::Safety safety = banker.check();
  EXPECT_TRUE(safety.safe);
  EXPECT_THAT(safety.sequence, ElementsAre(1, 3, 4, 0, 2));
  EXPECT_EQ(banker.explain(safety), "safe: P1, P3, P4, P0, P2");
}

TEST(Banker, AnswersTheTextbooksThreeRequests) {
  Banker banker = textbook();
  const Banker::Decision first = banker.request(1, {1, 0, 2});
  EXPECT_EQ(first.answer, Answer::grant);
  EXPECT_THAT(first.safety.sequence, ElementsAre(1, 3, 4, 0, 2));
  EXPECT_EQ(banker.available(), (Units{2, 3, 0}));

  const Banker::Decision second = banker.request(4, {3, 3, 0});
  EXPECT_EQ(second.answer, Answer::wait_unavailable);
  EXPECT_EQ(second.short_of, (Units{1, 0, 0}));
  EXPECT_EQ(banker.explain(4, {3, 3, 0}, second), "not available: P4 asks for (3, 3, 0), (2, 3, 0) is free");

  const Banker::Decision third = banker.request(0, {0, 2, 0});
  EXPECT_EQ(third.answer, Answer::refuse_unsafe);
  EXPECT_THAT(third.safety.stuck, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(banker.explain(0, {0, 2, 0}, third),
            "unsafe: with (2, 1, 0) left nobody of P0, P1, P2, P3, P4 could be sure to finish");
  EXPECT_EQ(banker.available(), (Units{2, 3, 0})) << "a refusal changes nothing";
}

TEST(Banker, RefusesMoreThanWasClaimed) {
  Banker banker = textbook();
  const Banker::Decision decision = banker.request(1, {2, 0, 0});
  EXPECT_EQ(decision.answer, Answer::claim_exceeded);
  EXPECT_EQ(decision.short_of, (Units{1, 0, 0}));
  EXPECT_EQ(banker.explain(1, {2, 0, 0}, decision), "P1 asks for (2, 0, 0), but has (2, 0, 0) of its claim (3, 2, 2)");
}

TEST(Banker, TakesBackWhatWasGivenAndNoMore) {
  Banker banker = textbook();
  EXPECT_FALSE(banker.release(0, {1, 0, 0}));
  EXPECT_FALSE(banker.release(0, {0, -1, 0}));
  EXPECT_TRUE(banker.release(0, {0, 1, 0}));
  EXPECT_TRUE(banker.holds_nothing(0));
  EXPECT_EQ(banker.available(), (Units{3, 4, 2}));
}

TEST(Banker, SaysWhoIsStuckOnceTheOthersHaveFinished) {
  Banker banker(Units{2});
  for (const char* name : {"P0", "P1", "P2"}) banker.add_process(name, {2});
  banker.request_blindly(0, {1});
  banker.request_blindly(1, {1});
  const Banker::Safety safety = banker.check();
  EXPECT_FALSE(safety.safe);
  EXPECT_THAT(safety.sequence, IsEmpty());
  EXPECT_EQ(safety.left, (Units{0}));
}

TEST(BankerDeathTest, NamesAClaimBeyondTheTotal) {
  Banker banker({2, 1});
  EXPECT_FALSE(banker.can_claim({2, 2}));
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(banker.add_process("P0", {2, 2}), "P0 claims \\(2, 2\\) of \\(2, 1\\)");
}

// -- against brute force --

std::uint64_t seed_of_this_run() {
  const char* const given = std::getenv("LOCKSTEP_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

int number_up_to(std::mt19937_64& random, int most) {
  return static_cast<int>(random() % static_cast<std::uint64_t>(most + 1));
}

Units random_part(std::mt19937_64& random, const Units& whole) {
  Units part;
  for (const int units : whole) part.push_back(number_up_to(random, units));
  return part;
}

bool fits(const Units& wanted, const Units& free) {
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] > free[i]) return false;
  }
  return true;
}

/// True when the processes can finish in this order.
bool finishes(const Banker& banker, const std::vector<int>& order) {
  Units free = banker.available();
  for (const int process : order) {
    if (!fits(banker.need(process), free)) return false;
    for (std::size_t i = 0; i < free.size(); ++i) free[i] += banker.allocation(process)[i];
  }
  return true;
}

bool safe_by_brute_force(const Banker& banker) {
  std::vector<int> order(static_cast<std::size_t>(banker.processes()));
  std::iota(order.begin(), order.end(), 0);
  do {
    if (finishes(banker, order)) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

Banker random_state(std::mt19937_64& random) {
  Units total;
  for (int types = 1 + number_up_to(random, 2); types > 0; --types) total.push_back(1 + number_up_to(random, 5));
  Banker banker(total);
  for (int processes = 1 + number_up_to(random, 4); processes > 0; --processes) {
    const int process = banker.add_process(fmt::format("P{}", banker.processes()), random_part(random, total));
    Units most = banker.claim(process);
    for (std::size_t i = 0; i < most.size(); ++i) most[i] = std::min(most[i], banker.available()[i]);
    banker.request_blindly(process, random_part(random, most));
  }
  return banker;
}

TEST(BankerProperty, CallsAStateSafeExactlyWhenSomeOrderFinishesAll) {
  const std::uint64_t seed = seed_of_this_run();
  SCOPED_TRACE(fmt::format("LOCKSTEP_TEST_SEED={}", seed));
  std::mt19937_64 random(seed);
  constexpr int kOfEach = 500;
  int safe = 0, unsafe = 0;
  // Should the seed give few of one kind, there are more.
  for (int i = 0; i < 5000 || (i < 50'000 && std::min(safe, unsafe) <= kOfEach); ++i) {
    const Banker banker = random_state(random);
    const Banker::Safety safety = banker.check();
    ASSERT_EQ(safety.safe, safe_by_brute_force(banker)) << "state " << i;
    ASSERT_EQ(safety.sequence.size() + safety.stuck.size(), static_cast<std::size_t>(banker.processes()));
    if (safety.safe) {
      ASSERT_TRUE(finishes(banker, safety.sequence)) << "state " << i;
    } else {
      for (const int process : safety.stuck) ASSERT_FALSE(fits(banker.need(process), safety.left)) << "state " << i;
    }
    ++(safety.safe ? safe : unsafe);
  }
  EXPECT_GT(safe, kOfEach);
  EXPECT_GT(unsafe, kOfEach);
}

TEST(BankerProperty, StaysSafeAndLetsEverybodyFinishWhateverIsAsked) {
  const std::uint64_t seed = seed_of_this_run();
  SCOPED_TRACE(fmt::format("LOCKSTEP_TEST_SEED={}", seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 300; ++i) {
    Banker banker({4, 3, 5});
    for (int p = 0; p < 4; ++p) banker.add_process(fmt::format("P{}", p), random_part(random, banker.total()));
    for (int step = 0; step < 60; ++step) {
      const int process = number_up_to(random, 3);
      const Units asked = random_part(random, banker.need(process));
      const Banker before = banker;
      const Banker::Decision decision = banker.request(process, asked);
      ASSERT_TRUE(safe_by_brute_force(banker)) << "run " << i << " step " << step;
      if (decision.answer == Answer::refuse_unsafe) {
        Banker rash = before;
        rash.request_blindly(process, asked);
        ASSERT_FALSE(safe_by_brute_force(rash)) << "a needless refusal: run " << i << " step " << step;
      }
      if (step % 3 == 0) banker.release(process, random_part(random, banker.allocation(process)));
    }
    for (const int process : banker.check().sequence) {
      ASSERT_EQ(banker.request(process, banker.need(process)).answer, Answer::grant);
      banker.release(process, banker.claim(process));
    }
    ASSERT_EQ(banker.available(), banker.total());
  }
}

}  // namespace

// -- the manager --

namespace sync::testing {
namespace {

using record::EventKind;
using record::Verdict;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using Policy = ResourceManager::Policy;

struct Textbook {
  ResourceManager bank{"bank", {10, 5, 7}};
  Textbook() {
    bank.declare("P0", {7, 5, 3}, {0, 1, 0});
    bank.declare("P1", {3, 2, 2}, {2, 0, 0});
    bank.declare("P2", {9, 0, 2}, {3, 0, 2});
    bank.declare("P3", {2, 2, 2}, {2, 1, 1});
    bank.declare("P4", {4, 3, 3}, {0, 0, 2});
  }
};

Task<> ask_once(Context& context, Units units) {
  ResourceManager& bank = context.world<Textbook>().bank;
  co_await bank.request(units);
  co_await bank.release_all();
}

Task<> only_give_back(Context& context) { co_await context.world<Textbook>().bank.release_all(); }

/// The textbook's requests in its order, then the others give back what they have.
Scenario five_by_three() {
  return scenario("Silberschatz's table")
      .with<Textbook>()
      .pattern("banker", "only what is safe is granted")
      .actor("P0", ask_once, Units{0, 2, 0})
      .actor("P1", ask_once, Units{1, 0, 2})
      .actor("P2", only_give_back)
      .actor("P3", only_give_back)
      .actor("P4", ask_once, Units{3, 3, 0})
      .holds("all given back",
             [](const Final& end) { return end.world<Textbook>().bank.state().available() == Units{10, 5, 7}; })
      .expect("none", "*: avoided");
}

class BankerTest : public ::testing::TestWithParam<Place> {};
INSTANTIATE_TEST_SUITE_P(Everywhere, BankerTest, ::testing::ValuesIn(all_places()), sync::testing::name_of);
class ScriptedBankerTest : public ::testing::TestWithParam<Place> {};
INSTANTIATE_TEST_SUITE_P(Everywhere, ScriptedBankerTest, ::testing::Values(Place{"threads"}, Place{"coroutines"}),
                         sync::testing::name_of);

TEST_P(ScriptedBankerTest, ShowsTheTextbooksThreeAnswers) {
  const record::Run run = run_at(five_by_three(), GetParam(), "P1 P4 P0 P1 P3 P2");
  EXPECT_EQ(run.verdict, Verdict::avoided) << story(run);
  const std::vector<std::string> lines = told(run);
  EXPECT_THAT(lines, Contains("P1 grant request bank [safe: P1, P3, P4, P0, P2]"));
  EXPECT_THAT(lines, Contains("P4 note  bank [not available: P4 asks for (3, 3, 0), (2, 3, 0) is free]"));
  EXPECT_THAT(
      lines,
      Contains("P0 note  bank [unsafe: with (2, 1, 0) left nobody of P0, P1, P2, P3, P4 could be sure to finish]"));
  EXPECT_THAT(lines, Contains(HasSubstr("P0 wait request bank [banker: the claim of P1]")));
  EXPECT_THAT(run.cycles, ::testing::IsEmpty()) << story(run);
}

TEST_P(ScriptedBankerTest, TellsTheSameStoryEveryTime) {
  const std::vector<std::string> first = told(run_at(five_by_three(), {"coroutines"}, "P1 P4 P0 P1 P3 P2"));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(told(run_at(five_by_three(), GetParam(), "P1 P4 P0 P1 P3 P2")), first);
}

TEST_P(BankerTest, LetsEverybodyOfTheTextbookFinish) {
  const record::Run run = run_at(five_by_three(), GetParam());
  for (const std::string& actor : run.actors) EXPECT_EQ(ending_of(run, actor), "") << story(run);
  EXPECT_THAT(run.cycles, ::testing::IsEmpty()) << story(run);
}

// Two that need the same two things, in opposite order.
template <Policy P>
struct TwoThings {
  ResourceManager things{"things", {1, 1}, P, {"pen", "paper"}};
  Semaphore met_1{"met 1", 0}, met_2{"met 2", 0};
};

template <Policy P>
Task<> take_both_things(Context& context, bool pen_first, bool meets) {
  auto& world = context.world<TwoThings<P>>();
  const Units pen{1, 0}, paper{0, 1}, both{1, 1};
  co_await world.things.claim(both);
  if (meets) {
    co_await (pen_first ? world.met_1 : world.met_2).release();
    co_await (pen_first ? world.met_2 : world.met_1).acquire();
  }
  co_await world.things.request(pen_first ? pen : paper);
  co_await world.things.request(pen_first ? paper : pen);
  co_await world.things.release_all();
}

template <Policy P>
Scenario opposite_order(bool meets) {
  return scenario("Opposite order")
      .with<TwoThings<P>>()
      .pattern("plain", "as it is")
      .actor("T1", take_both_things<P>, true, meets)
      .actor("T2", take_both_things<P>, false, meets)
      .expect("none", "*: clean");
}

TEST_P(ScriptedBankerTest, DeadlocksWithoutForesight) {
  const record::Run run = run_at(opposite_order<Policy::grant_if_available>(false), GetParam(), "T1 T2 T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::deadlock) << story(run);
  EXPECT_EQ(run.cycles, (Cycles{{"T1", "T2"}}));
  EXPECT_THAT(story(run), HasSubstr("T1 wait request things [1 paper] >T2"));
}

TEST_P(ScriptedBankerTest, AvoidsThatDeadlock) {
  const record::Run run = run_at(opposite_order<Policy::avoid>(false), GetParam(), "T1 T2 T1 T2 T1 T2");
  EXPECT_EQ(run.verdict, Verdict::avoided) << story(run);
  EXPECT_THAT(told(run), Contains("T2 wait request things [banker: the claim of T1] >T1")) << story(run);
}

TEST_P(BankerTest, LetsBothFinish) {
  const record::Run run = run_at(opposite_order<Policy::avoid>(GetParam().free), GetParam());
  EXPECT_EQ(ending_of(run, "T1"), "") << story(run);
  EXPECT_EQ(ending_of(run, "T2"), "") << story(run);
}

// Many who ask at random.
struct Pool {
  ResourceManager pool{"pool", {5, 4, 6}};
};

Task<> ask_at_random(Context& context, int rounds) {
  ResourceManager& pool = context.world<Pool>().pool;
  Units claim = {1 + static_cast<int>(context.random() % 4), static_cast<int>(context.random() % 4),
                 static_cast<int>(context.random() % 6)};
  co_await pool.claim(claim);
  for (int i = 0; i < rounds; ++i) {
    Units left = claim;
    for (int part = 0; part < 3; ++part) {
      Units asked;
      for (int& units : left) {
        const int wanted =
            part == 2 ? units : static_cast<int>(context.random() % static_cast<std::uint64_t>(units + 1));
        asked.push_back(wanted);
        units -= wanted;
      }
      co_await pool.request(asked);
    }
    co_await pool.release_all();
  }
}

TEST_P(BankerTest, NeverLetsActorsWhoKeepTheirClaimsHang) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Scenario six =
        scenario("At random").with<Pool>().pattern("banker", "only what is safe").expect("none", "*: avoided");
    for (int i = 1; i <= 6; ++i) six = std::move(six).actor(fmt::format("T{}", i), ask_at_random, 15);
    RunRequest request;
    request.store = "none";
    request.executor = GetParam().executor;
    request.schedule = GetParam().free ? "free" : "";
    request.seed = seed;
    const Result<record::Run> run = lockstep::run(six, request);
    ASSERT_TRUE(run.ok());
    for (const std::string& actor : run->actors)
      ASSERT_EQ(ending_of(*run, actor), "") << "seed " << seed << "\n" << story(*run);
    EXPECT_THAT(run->cycles, ::testing::IsEmpty()) << "seed " << seed;
  }
}

// Starvation.
struct One {
  ResourceManager pool{"pool", {2}};
  std::vector<std::string> order;
};

Task<> ask_for_all(Context& context) {
  One& world = context.world<One>();
  co_await world.pool.claim({2});
  co_await world.pool.request({2});
  world.order.push_back("all");
  co_await world.pool.release_all();
}

Task<> ask_for_one(Context& context, int rounds) {
  One& world = context.world<One>();
  co_await world.pool.claim({1});
  for (int i = 0; i < rounds; ++i) {
    co_await world.pool.request({1});
    world.order.push_back("one");
    co_await world.pool.release_all();
  }
}

TEST_P(ScriptedBankerTest, BoundsHowOftenARequestIsOvertaken) {
  const Scenario three = scenario("Two who leave no room for a third")
                             .with<One>()
                             .pattern("banker", "one of two is always taken")
                             .actor("S1", ask_for_one, 40)
                             .actor("S2", ask_for_one, 40)
                             .actor("All", ask_for_all)
                             .holds("not the last",
                                    [](const Final& end) {
                                      const auto& order = end.world<One>().order;
                                      const auto at = std::find(order.begin(), order.end(), "all") - order.begin();
                                      return at <= ResourceManager::kOvertakenMax + 4;
                                    })
                             .expect("none", "*: clean");
  // S1 and S2 take turns so that one of the two units is always out.
  std::string schedule = "S1 S2 All S1 All";
  for (int i = 0; i < 40; ++i) schedule += " S2 S1 S1 S2";
  const record::Run run = run_at(three, GetParam(), schedule);
  EXPECT_NE(run.verdict, Verdict::anomaly) << story(run);
  EXPECT_THAT(story(run), HasSubstr("stands back for All, which was overtaken 8 times"));
}

// Misuse and limits.
Task<> ask_beyond_the_claim(Context& context) {
  One& world = context.world<One>();
  co_await world.pool.claim({1});
  co_await world.pool.request({2});
}
Task<> ask_without_a_claim(Context& context) { co_await context.world<One>().pool.request({1}); }
Task<> claim_too_much(Context& context) { co_await context.world<One>().pool.claim({3}); }
Task<> claim_twice(Context& context) {
  co_await context.world<One>().pool.claim({1});
  co_await context.world<One>().pool.claim({1});
}
Task<> give_back_too_much(Context& context) {
  co_await context.world<One>().pool.claim({1});
  co_await context.world<One>().pool.release({1});
}

TEST_P(BankerTest, RefusesWhatCannotBe) {
  const auto ending = [&](Task<> (*body)(Context&)) {
    return ending_of(
        run_at(scenario("A mistake").with<One>().pattern("p", "p").actor("T1", body).expect("none", "*: clean"),
               GetParam()),
        "T1");
  };
  EXPECT_EQ(ending(ask_beyond_the_claim), "claim_exceeded");
  EXPECT_EQ(ending(ask_without_a_claim), "invalid");
  EXPECT_EQ(ending(claim_too_much), "claim_exceeded");
  EXPECT_EQ(ending(claim_twice), "invalid");
  EXPECT_EQ(ending(give_back_too_much), "invalid");
}

struct Rivals {
  ResourceManager pool{"pool", {2}};
  Semaphore met{"met", 0};
  bool granted = true;
  Rivals() {
    pool.declare("T1", {2}, {1});
    pool.declare("T2", {2});
  }
};

Task<> ask_impatiently(Context& context) { co_await context.world<Rivals>().pool.request_for({1}, 10ms); }
Task<> try_to_ask(Context& context) {
  Rivals& world = context.world<Rivals>();
  world.granted = co_await world.pool.try_request({1});
}

TEST_P(BankerTest, GivesUpAtItsLimit) {
  const record::Run run = run_at(scenario("Rivals")
                                     .with<Rivals>()
                                     .pattern("p", "p")
                                     .actor("T2", ask_impatiently)
                                     .tune("retries", 0)
                                     .expect("none", "*: clean"),
                                 GetParam());
  EXPECT_EQ(ending_of(run, "T2"), "lock_timeout") << story(run);
}

TEST_P(BankerTest, TriesWithoutWaiting) {
  const record::Run run = run_at(scenario("Rivals")
                                     .with<Rivals>()
                                     .pattern("p", "p")
                                     .actor("T2", try_to_ask)
                                     .holds("refused", [](const Final& end) { return !end.world<Rivals>().granted; })
                                     .expect("none", "*: clean"),
                                 GetParam());
  EXPECT_EQ(run.verdict, Verdict::avoided) << story(run);
}

}  // namespace
}  // namespace sync::testing
}  // namespace lockstep
