// search_test.cc: the reduced search against every interleaving, on small programs made by chance, and on those whose
// numbers are known.
#include "engine/explore/search/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

namespace lockstep {
namespace {

/// One operation of an actor of a small program.
struct Op {
  enum class Kind { lock, unlock, read, write, wait } kind;
  int object = 0;
};
using Script = std::vector<Op>;

/// Actors with scripts over some mutexes and variables. `wait` is a wait for a flag (object) with a time limit: a write
/// sets it and wakes whoever waits.
class Toy {
 public:
  explicit Toy(std::vector<Script> scripts, std::shared_ptr<ObjectNumbers> numbers = std::make_shared<ObjectNumbers>())
      : scripts_(std::move(scripts)), footprint_(std::move(numbers)) {}

  void restart() {
    at_.assign(scripts_.size(), 0);
    waits_.assign(scripts_.size(), false);
    holder_.assign(8, -1);
    value_.assign(8, 0);
    seen_.assign(scripts_.size(), 0);
    footprint_.clear_run();
  }

  std::vector<Choice> enabled() const {
    std::vector<Choice> choices;
    for (int a = 0; a < count(); ++a) {
      if (done(a)) continue;
      if (waits_[index(a)]) {
        choices.push_back({a, true});
      } else if (next(a).kind != Op::Kind::lock || holder_[index(next(a).object)] < 0) {
        choices.push_back({a, false});
      }
    }
    return choices;
  }

  const Footprint& take(Choice choice) {
    footprint_.clear_step();
    const auto a = index(choice.actor);
    footprint_.ran(choice.actor);
    const Op op = next(choice.actor);
    const auto o = index(op.object);
    const std::string name = std::to_string(op.object);
    if (choice.timeout) {
      footprint_.lock("v" + name, Touch::changes);
      waits_[a] = false;
      seen_[a] = seen_[a] * 31 + 7;
      ++at_[a];
      return footprint_;
    }
    switch (op.kind) {
      case Op::Kind::lock:
        footprint_.lock("m" + name, Touch::changes, {.needs_open = true, .closed_after = true});
        holder_[o] = choice.actor;
        break;
      case Op::Kind::unlock:
        footprint_.lock("m" + name, Touch::changes, {.closed_before = true});
        holder_[o] = -1;
        break;
      case Op::Kind::read:
        footprint_.lock("v" + name, Touch::looks);
        seen_[a] = seen_[a] * 31 + value_[o];
        break;
      case Op::Kind::write:
        footprint_.lock("v" + name, Touch::changes);
        value_[o] = value_[o] * 31 + choice.actor + 1;
        for (int b = 0; b < count(); ++b) {
          if (!waits_[index(b)] || next(b).object != op.object) continue;
          footprint_.ran(b);
          waits_[index(b)] = false;
          ++at_[index(b)];
        }
        break;
      case Op::Kind::wait:
        footprint_.lock("v" + name, Touch::changes);
        if (value_[o] == 0) {
          waits_[a] = true;
          return footprint_;
        }
        break;
    }
    ++at_[a];
    return footprint_;
  }

  /// Those who stand before a lock that another one has.
  std::vector<Step> blocked() {
    std::vector<Step> steps;
    for (int a = 0; a < count(); ++a) {
      if (done(a) || waits_[index(a)] || next(a).kind != Op::Kind::lock) continue;
      if (holder_[index(next(a).object)] < 0) continue;
      footprint_.clear_step();
      footprint_.lock("m" + std::to_string(next(a).object), Touch::changes,
                      {.needs_open = true, .closed_before = true, .closed_after = true});
      steps.push_back({{a, false}, 1U << static_cast<unsigned>(a), footprint_.accesses()});
    }
    return steps;
  }

  /// Everything that can be told of how it ended.
  std::string outcome() const {
    std::string text;
    for (int a = 0; a < count(); ++a) text += (done(a) ? "end " : "stuck ") + std::to_string(seen_[index(a)]) + " ";
    for (const unsigned value : value_) text += std::to_string(value) + " ";
    return text;
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  int count() const { return static_cast<int>(scripts_.size()); }
  bool done(int a) const { return at_[index(a)] == scripts_[index(a)].size(); }
  const Op& next(int a) const { return scripts_[index(a)][at_[index(a)]]; }

  const std::vector<Script> scripts_;
  std::vector<std::size_t> at_;
  std::vector<bool> waits_;
  std::vector<int> holder_;
  std::vector<unsigned> value_;
  std::vector<unsigned> seen_;
  Footprint footprint_;
};

struct Found {
  std::map<std::string, double> outcomes;  ///< with the number of interleavings
  double interleavings = 0;
  std::size_t complete = 0;
  std::size_t pruned = 0;
  std::size_t runs() const { return complete + pruned; }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& [name, count] : outcomes) all.insert(name);
    return all;
  }
};

/// Fewest preemptions, of a bounded search, for each outcome.
using Preemptions = std::map<std::string, int>;

void run_through(Search& search, Toy& program, Found& found, std::size_t most = SIZE_MAX,
                 Preemptions* preemptions = nullptr) {
  while (found.runs() < most && search.begin()) {
    program.restart();
    bool complete = true;
    for (auto choices = program.enabled(); complete && !choices.empty(); choices = program.enabled()) {
      Choice next;
      complete = search.choose(choices, next);
      if (complete) search.took(program.take(next));
    }
    const double stands_for = search.end(complete, program.blocked());
    complete = complete && stands_for != 0;
    ++(complete ? found.complete : found.pruned);
    if (complete) found.outcomes[program.outcome()] += stands_for;
    if (complete && preemptions != nullptr) preemptions->try_emplace(program.outcome(), search.preemptions());
    found.interleavings += stands_for;
  }
}

Found explore(Toy program, Strategy strategy, std::size_t most = SIZE_MAX) {
  Found found;
  run_through(*make_search({.strategy = strategy}), program, found, most);
  return found;
}

/// The fewest preemptions of each outcome, by going through every interleaving.
Preemptions preemptions_by_force(Toy program) {
  Preemptions fewest;
  const auto search = make_search({.strategy = Strategy::unreduced});
  while (search->begin()) {
    program.restart();
    int count = 0, last = -1;
    for (auto choices = program.enabled(); !choices.empty(); choices = program.enabled()) {
      Choice next;
      search->choose(choices, next);
      const bool could_go_on = std::find(choices.begin(), choices.end(), Choice{last, false}) != choices.end();
      count += could_go_on && !(next == Choice{last, false}) ? 1 : 0;
      last = next.actor;
      search->took(program.take(next));
    }
    search->end(true, {});
    const auto [known, fresh] = fewest.try_emplace(program.outcome(), count);
    known->second = std::min(known->second, count);
  }
  return fewest;
}

constexpr auto kLock = Op::Kind::lock, kUnlock = Op::Kind::unlock;

Script locks(std::initializer_list<int> objects) {
  Script script;
  for (const int object : objects) script.push_back({kLock, object});
  for (auto it = std::rbegin(objects); it != std::rend(objects); ++it) script.push_back({kUnlock, *it});
  return script;
}

void expect_same(const std::vector<Script>& scripts) {
  const Found every = explore(Toy(scripts), Strategy::unreduced, 3'000);
  if (every.runs() == 3'000) return;  // too large to be compared
  const Found reduced = explore(Toy(scripts), Strategy::exhaustive);
  EXPECT_EQ(reduced.outcomes, every.outcomes);
  EXPECT_EQ(reduced.interleavings, every.interleavings);
  Found bounded;
  Preemptions preemptions;
  Toy program(scripts);
  run_through(*make_search({.strategy = Strategy::bounded}), program, bounded, SIZE_MAX, &preemptions);
  EXPECT_EQ(bounded.outcomes, every.outcomes) << "bounded";
  EXPECT_EQ(bounded.complete, reduced.complete) << "bounded";
  EXPECT_EQ(preemptions, preemptions_by_force(Toy(scripts)));
}

TEST(Search, CountsWhatTwoLocksInOppositeOrdersCanDo) {
  const std::vector<Script> scripts{locks({0, 1}), locks({1, 0})};
  expect_same(scripts);
  const Found reduced = explore(Toy(scripts), Strategy::exhaustive);
  EXPECT_EQ(reduced.complete, 3U);  // one first, the other first, and the deadlock
  EXPECT_EQ(reduced.outcomes.size(), 2U);
}

TEST(Search, ExploresThreeTransfersInFewRuns) {
  const std::vector<Script> scripts{locks({0, 1}), locks({1, 2}), locks({2, 0})};
  const Found reduced = explore(Toy(scripts), Strategy::exhaustive);
  EXPECT_LE(reduced.complete, 80U);
  EXPECT_EQ(reduced.pruned, 0U);
  EXPECT_EQ(reduced.outcomes.size(), 2U);
  expect_same(scripts);
}

TEST(Search, NeedsOneRunForActorsThatShareNothing) {
  const Found reduced = explore(Toy({locks({0}), locks({1}), locks({2})}), Strategy::exhaustive);
  EXPECT_EQ(reduced.runs(), 1U);
  EXPECT_EQ(reduced.interleavings, 90);  // 6! / (2! 2! 2!)
}

TEST(Search, TriesADeadlineOnBothSidesOfWhatItRacesWith) {
  const std::vector<Script> scripts{{{Op::Kind::wait, 0}, {Op::Kind::read, 1}},
                                    {{Op::Kind::write, 1}, {Op::Kind::write, 0}}};
  expect_same(scripts);
}

TEST(Search, FindsWhatEveryInterleavingFinds) {
  const char* const given = std::getenv("LOCKSTEP_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261124;
  std::mt19937_64 random(seed);
  const auto below = [&random](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE(testing::Message() << "LOCKSTEP_TEST_SEED=" << seed << " round " << round);
    std::vector<Script> scripts(static_cast<std::size_t>(2 + below(2)));
    for (Script& script : scripts) {
      std::vector<int> held;
      const int length = 2 + below(4);
      while (static_cast<int>(script.size()) < length) {
        const int what = below(10);
        const int object = below(3);
        if (what < 3 && std::find(held.begin(), held.end(), object) == held.end()) {
          script.push_back({kLock, object});
          held.push_back(object);
        } else if (what < 5 && !held.empty()) {
          script.push_back({kUnlock, held.back()});
          held.pop_back();
        } else if (what < 7) {
          script.push_back({Op::Kind::read, object});
        } else if (what < 9) {
          script.push_back({Op::Kind::write, object});
        } else {
          script.push_back({Op::Kind::wait, object});
        }
      }
      for (; !held.empty(); held.pop_back()) script.push_back({kUnlock, held.back()});
    }
    expect_same(scripts);
  }
}

TEST(Search, SaysThatAProgramDidNotDoTheSameAgain) {
  for (const Strategy strategy : {Strategy::exhaustive, Strategy::unreduced}) {
    const auto search = make_search({.strategy = strategy});
    Footprint footprint;
    std::string said;
    for (int run = 0; said.empty() && run < 3; ++run) {
      ASSERT_TRUE(search->begin());
      std::vector<Choice> choices{{0, false}, {1, false}};
      if (run > 0) choices.push_back({2, false});
      for (int step = 0; step < 2; ++step) {
        Choice next;
        if (!search->choose(choices, next)) break;
        footprint.clear_step();
        footprint.lock("one for all", Touch::changes);
        search->took(footprint);
        choices = {{1 - next.actor, false}};  // the other one, for the second step
      }
      said = search->disagreement();
      search->end(said.empty(), {});
    }
    EXPECT_EQ(said, "before step 1 it had the choice of actor 0, actor 1, and then of actor 0, actor 1, actor 2");
  }
}

TEST(Search, SamplesNeverEndAndFindTheDeadlock) {
  for (const Strategy strategy : {Strategy::walk, Strategy::pct, Strategy::pos}) {
    const Found some = explore(Toy({locks({0, 1}), locks({1, 0})}), strategy, 500);
    EXPECT_EQ(some.runs(), 500U);
    EXPECT_EQ(some.outcomes.size(), 2U);
  }
}

}  // namespace
}  // namespace lockstep
