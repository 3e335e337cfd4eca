// serializability_test.cc: random transactions in random schedules, and an exact check of what they saw.
//
// LOCKSTEP_SEED=n runs one seed (each test prints the seed that failed); LOCKSTEP_ROUNDS=n says how many rounds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "tests/kv/clients.h"
#include "tests/kv/histories.h"

namespace lockstep::kv::testing {
namespace {

/// Every second transaction names its keys, which are then fetched ahead; the others may lock any.
bool names_its_keys(std::size_t transaction) { return transaction % 2 == 0; }

std::vector<std::string> claims_of(const Program& program) {
  std::set<std::string> claims;
  for (const Operation& op : program) {
    if (op.kind == Operation::scan || op.kind == Operation::scan_for_update)
      claims.insert(domain().begin(), domain().end());
    else
      claims.insert(op.key);
  }
  return {claims.begin(), claims.end()};
}

Model model_of(Store& store) {
  Model model;
  for (const Row& row : contents(store)) model[row.key] = row.value;
  return model;
}

void load_model(Store& store, const Model& model) {
  std::vector<Row> rows;
  for (const auto& [key, value] : model) rows.push_back({key, value});
  load(store, rows);
}

/// A savepoint and a scan of an empty range do not, so they take no snapshot.
bool looks_at_rows(const Operation& op) {
  if (op.kind == Operation::savepoint || op.kind == Operation::rollback_to) return false;
  const bool is_scan = op.kind == Operation::scan || op.kind == Operation::scan_for_update;
  return !is_scan || op.to.empty() || op.key < op.to;
}

/// Steps the transactions of one round in one thread.
class Schedule {
 public:
  Schedule(Store& store, const std::vector<Program>& programs, Random& random,
           Isolation isolation = Isolation::protocol)
      : store_(store), random_(random) {
    for (std::size_t i = 0; i < programs.size(); ++i) {
      auto actor = std::make_unique<Actor>(programs[i]);
      const std::vector<std::string> claims = names_its_keys(i) ? claims_of(programs[i]) : std::vector<std::string>();
      actor->txn = store.begin(
          {.label = fmt::format("T{}", i), .claims = claims, .claims_all = !names_its_keys(i), .isolation = isolation});
      actors_.push_back(std::move(actor));
    }
  }

  std::vector<Outcome> run() {
    while (Actor* actor = pick()) step(*actor);
    std::vector<Outcome> outcomes;
    for (const auto& actor : actors_) outcomes.push_back(actor->outcome);
    return outcomes;
  }

 private:
  struct Actor {
    explicit Actor(const Program& p) : program(p) {}
    const Program& program;
    Transaction txn;
    Outcome outcome;
    std::size_t next = 0;
    bool has_looked = false;  // at the rows
    bool over = false;
    std::unique_ptr<CountingWaiter> waiter = std::make_unique<CountingWaiter>();
    bool waits = false;
    bool waits_no_more = false;  // its wait was cancelled
  };

  bool can_step(const Actor& actor) const {
    return !actor.over && (!actor.waits || actor.waiter->wakes > 0 || actor.waits_no_more);
  }

  Actor* pick() {
    std::vector<Actor*> ready;
    std::vector<Actor*> blocked;
    for (const auto& actor : actors_) {
      if (can_step(*actor)) ready.push_back(actor.get());
      if (actor->waits && !can_step(*actor)) blocked.push_back(actor.get());
    }
    for (const Actor* actor : blocked)
      EXPECT_FALSE(store_.waits_of(actor->txn.id()).empty()) << "waits for nobody and is not woken";
    // From time to time, and when nobody can go on, a wait is ended by its client.
    const bool stuck = ready.empty() && !blocked.empty();
    EXPECT_TRUE(!stuck || store_.protocol() == "2pl-timeout") << "a deadlock was not found";
    if (!blocked.empty() && (stuck || random_() % 40 == 0)) {
      Actor* const actor = blocked[random_() % blocked.size()];
      actor->txn.cancel_wait(Fault::lock_timeout);
      EXPECT_EQ(actor->waiter->wakes, 0);
      actor->waits_no_more = true;
      return actor;
    }
    return ready.empty() ? nullptr : ready[random_() % ready.size()];
  }

  void step(Actor& actor) {
    if (!actor.waits) {
      if (!actor.has_looked) actor.outcome.commits_before_first_operation = commits_;
      if (random_() % 60 == 0) {  // the client changes its mind
        actor.txn.abort();
        actor.over = true;
        return;
      }
    }
    EXPECT_LE(actor.waiter->wakes, 1);
    actor.waiter = std::make_unique<CountingWaiter>();
    actor.waits = false;
    actor.waits_no_more = false;
    if (actor.next == actor.program.size()) {
      commit(actor);
      return;
    }
    const Operation& op = actor.program[actor.next];
    actor.has_looked |= looks_at_rows(op);
    Attempt<std::string> answer = attempt(actor.txn, op, *actor.waiter);
    if (!answer) {
      actor.waits = true;
    } else if (answer->ok()) {
      actor.outcome.answers.push_back(**answer);
      ++actor.next;
    } else {
      fail(actor, answer->error());
    }
  }

  void commit(Actor& actor) {
    Attempt<void> answer = actor.txn.commit(*actor.waiter);
    if (!answer) {
      actor.waits = true;
    } else if (answer->ok()) {
      actor.outcome.committed = true;
      actor.outcome.commit_number = ++commits_;
      actor.over = true;
    } else {
      fail(actor, answer->error());
    }
  }

  void fail(Actor& actor, const Error& error) {
    EXPECT_TRUE(is_retry_safe(error.fault)) << error.message;
    EXPECT_FALSE(error.message.empty());
    actor.outcome.fault = error.fault;
    actor.txn.abort();
    actor.over = true;
  }

  Store& store_;
  Random& random_;
  std::vector<std::unique_ptr<Actor>> actors_;
  int commits_ = 0;
};

/// Exactly snapshot isolation: each committed transaction saw the rows as they were at its first operation and its own
/// writes; of two that overlap and wrote the same row only one committed. Programs without insert, whose answer is
/// about the rows of the moment.
std::optional<std::string> why_not_snapshot_isolated(const Model& before, const std::vector<Program>& programs,
                                                     const std::vector<Outcome>& outcomes, const Model& after) {
  std::vector<Model> states{before};  // states[n]: after n commits
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    if (outcomes[i].committed) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return outcomes[a].commit_number < outcomes[b].commit_number; });
  std::vector<std::set<std::string>> written_by_commit{{}};
  for (const std::size_t i : order) {
    const int seen = outcomes[i].commits_before_first_operation;
    Model mine = states[static_cast<std::size_t>(seen)];
    if (!replays(programs[i], outcomes[i].answers, mine)) return fmt::format("T{} did not see one moment", i);
    std::set<std::string> written;
    Model next = states.back();
    for (const std::string& key : domain()) {
      const Model& snapshot = states[static_cast<std::size_t>(seen)];
      const auto was = snapshot.find(key);
      const auto is = mine.find(key);
      const bool same = was == snapshot.end() ? is == mine.end() : is != mine.end() && was->second == is->second;
      if (same) continue;
      written.insert(key);
      if (is == mine.end())
        next.erase(key);
      else
        next[key] = is->second;
    }
    for (std::size_t n = static_cast<std::size_t>(seen) + 1; n < written_by_commit.size(); ++n)
      for (const std::string& key : written)
        if (written_by_commit[n].count(key) > 0) return fmt::format("T{} overwrote {} that it had not seen", i, key);
    states.push_back(next);
    written_by_commit.push_back(written);
  }
  if (states.back() != after) return "the rows at the end are not those of the commits in order";
  return std::nullopt;
}

class RandomHistories : public ::testing::TestWithParam<std::string> {};

TEST_P(RandomHistories, OfOneThreadAreWhatTheProtocolPromises) {
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", 4000);
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  const bool serializable = is_serializable(GetParam());
  std::uint64_t committed = 0;
  std::uint64_t gave_up = 0;
  std::uint64_t not_serial = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={} LOCKSTEP_ROUNDS=1", seed));
    Random random(seed);
    std::unique_ptr<Store> store = open_store(GetParam());
    const Model before = random_rows(random);
    load_model(*store, before);
    std::vector<Program> programs;
    const std::size_t count = 2 + random() % 3;
    for (std::size_t i = 0; i < count; ++i) {
      programs.push_back(random_program(random, static_cast<int>(i)));
      if (!serializable)
        std::erase_if(programs.back(), [](const Operation& op) { return op.kind == Operation::insert; });
    }
    const std::vector<Outcome> outcomes = Schedule(*store, programs, random).run();
    EXPECT_TRUE(store->locks().empty());
    EXPECT_TRUE(store->waits().empty());
    const Model after = model_of(*store);
    for (const Outcome& outcome : outcomes) (outcome.committed ? committed : gave_up) += 1;
    const bool serial = is_serializable(before, programs, outcomes, after);
    not_serial += serial ? 0 : 1;
    if (serializable) {
      EXPECT_TRUE(serial) << describe(before, programs, outcomes, after);
    } else {
      const auto why_not = why_not_snapshot_isolated(before, programs, outcomes, after);
      EXPECT_FALSE(why_not.has_value()) << *why_not << "\n" << describe(before, programs, outcomes, after);
    }
    if (HasFailure()) break;
  }
  RecordProperty("committed", std::to_string(committed));
  RecordProperty("gave_up", std::to_string(gave_up));
  RecordProperty("not_serializable", std::to_string(not_serial));
  if (rounds > 100) {
    EXPECT_GT(committed, gave_up / 2) << "so few commits test little";
    EXPECT_EQ(not_serial > 0, !serializable) << "a protocol that is not serializable must show it";
  }
}

TEST_P(RandomHistories, UnderReadCommittedEndAndLeaveNoLock) {
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", 1000);
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  const bool ignores_it = GetParam() == "2pl-banker" || GetParam() == "occ" || GetParam() == "serial";
  std::uint64_t not_serial = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={} LOCKSTEP_ROUNDS=1", seed));
    Random random(seed);
    std::unique_ptr<Store> store = open_store(GetParam());
    const Model before = random_rows(random);
    load_model(*store, before);
    std::vector<Program> programs;
    for (int i = 0; i < 3; ++i) programs.push_back(random_program(random, i));
    const std::vector<Outcome> outcomes = Schedule(*store, programs, random, Isolation::read_committed).run();
    EXPECT_TRUE(store->locks().empty());
    EXPECT_TRUE(store->waits().empty());
    not_serial += is_serializable(before, programs, outcomes, model_of(*store)) ? 0 : 1;
    if (HasFailure()) break;
  }
  if (rounds > 100) {
    EXPECT_EQ(not_serial == 0, ignores_it) << not_serial;
  }
}

TEST_P(RandomHistories, OfManyThreadsAreSerializable) {
  if (!is_serializable(GetParam())) GTEST_SKIP() << GetParam() << " does not promise it";
  const std::uint64_t rounds = number_from("LOCKSTEP_ROUNDS", 300);
  const std::uint64_t first = number_from("LOCKSTEP_SEED", 1);
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={} (the schedule is the machine's)", seed));
    Random random(seed);
    std::unique_ptr<Store> store = open_store(GetParam(), {.lock_timeout = std::chrono::milliseconds(20)});
    const Model before = random_rows(random);
    load_model(*store, before);
    std::vector<Program> programs;
    for (int i = 0; i < 4; ++i) programs.push_back(random_program(random, i));
    std::vector<Outcome> outcomes(programs.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < programs.size(); ++i) {
      threads.emplace_back([&, i] {
        const std::vector<std::string> claims = names_its_keys(i) ? claims_of(programs[i]) : std::vector<std::string>();
        Transaction txn =
            store->begin({.label = fmt::format("T{}", i), .claims = claims, .claims_all = !names_its_keys(i)});
        const auto wait = [&txn](auto call) {
          while (true) {
            Parker parker;
            if (auto answer = call(parker)) return *std::move(answer);
            if (!parker.park_until(txn.wait_deadline())) txn.cancel_wait(Fault::lock_timeout);
          }
        };
        for (const Operation& op : programs[i]) {
          const Result<std::string> answer = wait([&](Waiter& w) { return attempt(txn, op, w); });
          if (!answer.ok()) return;
          outcomes[i].answers.push_back(*answer);
        }
        outcomes[i].committed = wait([&](Waiter& w) { return txn.commit(w); }).ok();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(store->locks().empty());
    const Model after = model_of(*store);
    EXPECT_TRUE(is_serializable(before, programs, outcomes, after)) << describe(before, programs, outcomes, after);
    if (HasFailure()) break;
  }
}

LOCKSTEP_EVERY_PROTOCOL(RandomHistories);

}  // namespace
}  // namespace lockstep::kv::testing
