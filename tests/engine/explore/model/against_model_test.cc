// against_model_test.cc: where a run parts from a model of its store is found and said.
#include "engine/explore/model/against_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

Task<> deposit(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  const std::int64_t balance = co_await c.db.read("balance");
  co_await c.db.write("balance", balance + amount);
  co_await c.db.commit();
}

Scenario two_deposits() {
  return scenario("Two deposits")
      .given({{"balance", 100}})
      .pattern("plain", "read, compute, write")
      .actor("T1", deposit, 10)
      .actor("T2", deposit, 20)
      .expect("kv", "*: clean")
      .expect("postgres", "*: clean")
      .expect("sqlite", "*: clean");
}

RunRequest on_kv(std::string protocol) {
  RunRequest request{.store = "kv", .protocol = std::move(protocol), .pattern = "plain", .executor = "coroutines"};
  request.retries = 0;
  return request;
}

/// What the schedule does on kv under `store`, beside a model of it that may be a wrong one.
std::optional<Difference> difference_of(const std::string& store, const std::string& model, std::string_view schedule) {
  const Scenario scenario = two_deposits();
  const auto both = AgainstModel::open(scenario, on_kv(store), on_kv(model), nullptr);
  EXPECT_TRUE(both.ok()) << both.error().message;
  const Result<std::vector<Choice>> choices = choices_named(schedule, (*both)->actors());
  EXPECT_TRUE(choices.ok());
  const Result<ModelComparison> compared = (*both)->compare(*choices);
  EXPECT_TRUE(compared.ok()) << compared.error().message;
  return compared->difference;
}

constexpr std::string_view kOneByOne = "T1 T1 T1 T1 T2 T2 T2 T2";
constexpr std::string_view kInterleaved = "T1 T1 T2 T2 T1 T1 T2 T2";

TEST(AgainstModel, FindsNothingWhereBothDoTheSame) {
  EXPECT_FALSE(difference_of("snapshot", "snapshot", kInterleaved));
  EXPECT_FALSE(difference_of("serial", "snapshot", kOneByOne)) << "nobody meets anybody";
}

TEST(AgainstModel, SaysWhereTheStoreGoesOnAndTheModelWaits) {
  const auto found = difference_of("snapshot", "serial", kInterleaved);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, Difference::Kind::wait);
  EXPECT_EQ(text_of(*found, "kv"), "T2's read balance: the model says waits, kv says succeeds, at step 4");
}

TEST(AgainstModel, SaysWhereTheStoreWaitsAndTheModelGoesOn) {
  const auto found = difference_of("serial", "snapshot", kInterleaved);
  ASSERT_TRUE(found);
  EXPECT_EQ(text_of(*found, "kv"), "T2's read balance: the model says succeeds, kv says waits, at step 4");
}

TEST(AgainstModel, SaysThatAnOperationFailsInOneAlone) {
  // T1 has committed before T2 writes what it read before: lost at read committed, refused by snapshots.
  const auto found = difference_of("snapshot as postgres", "snapshot as postgres/read-committed", kInterleaved);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, Difference::Kind::outcome);
  EXPECT_EQ(text_of(*found, "kv"),
            "T2's write balance: the model says succeeds, kv says serialization_failure, at step 7");
}

TEST(AgainstModel, SaysThatAReadComesBackWithSomethingElse) {
  // The snapshot is older than T1's commit.
  const auto found = difference_of("snapshot", "snapshot as postgres/read-committed", "T1 T1 T2 T2 T1 T1 T2 T2");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->actor, "T2");
}

TEST(AgainstModel, AModelTakesTheStoreWhereImmediateDoes) {
  const auto found = difference_of("serial as sqlite/immediate", "serial", "T1 T2 T1 T1 T1 T2 T2 T2");
  ASSERT_TRUE(found);
  EXPECT_EQ(text_of(*found, "kv"), "T2's begin: the model says succeeds, kv says waits, at step 2");
}

TEST(Difference, OfTheEndIsToldWhenEveryStepWasTheSame) {
  Performed model, database;
  model.rows = database.rows = {{"A", "1"}, {"B", "2"}};
  EXPECT_FALSE(first_difference(model, database));
  database.rows = {{"A", "1"}};
  EXPECT_EQ(text_of(first_difference(model, database).value(), "SQLite"),
            "row B: the model says 2, SQLite says nothing, at the end");
  database.rows = model.rows;
  model.run.invariants = {{.text = "money is conserved", .held = true, .detail = {}}};
  database.run.invariants = {{.text = "money is conserved", .held = false, .detail = {}}};
  EXPECT_THAT(text_of(first_difference(model, database).value(), "SQLite"),
              HasSubstr("the model says held, SQLite says broken"));
  database.run.verdict = record::Verdict::anomaly;
  EXPECT_EQ(first_difference(model, database)->operation, "verdict");
}

TEST(Difference, ABusySqliteIsALockThatWasWaitedForTooLong) {
  Performed model;
  model.run.actors = {"T1"};
  model.run.events = {{.seq = 1, .actor = 0, .step = 1, .kind = record::EventKind::request, .verb = "begin"},
                      {.seq = 2,
                       .actor = 0,
                       .step = 1,
                       .kind = record::EventKind::fault,
                       .verb = "begin",
                       .fault = Fault::lock_timeout}};
  Performed database = model;
  database.run.events[1].fault = Fault::busy;
  EXPECT_FALSE(first_difference(model, database));
  database.run.events[1].fault = Fault::deadlock;
  EXPECT_TRUE(first_difference(model, database));
}

TEST(Model, StandsForWhatTheDatabasePromises) {
  const Scenario scenario = two_deposits();
  const auto name_of_model = [&scenario](RunRequest request) {
    const Result<RunRequest> resolved = resolve(scenario, std::move(request));
    const ModelChoice choice = model_of(scenario, resolved.value());
    return choice.model ? choice.model->name : "none: " + choice.why_not;
  };
  EXPECT_EQ(name_of_model({.store = "postgres"}), "kv snapshot as postgres/read-committed");
  EXPECT_EQ(name_of_model({.store = "postgres", .protocol = "serializable"}), "kv ssi as postgres");
  EXPECT_EQ(name_of_model({.store = "sqlite", .protocol = "immediate"}), "kv serial as sqlite/immediate");
  EXPECT_THAT(name_of_model({.store = "sqlite", .protocol = "deferred"}), HasSubstr("none: no protocol of kv"));
  RunRequest hurried{.store = "postgres"};
  hurried.lock_timeout = std::chrono::milliseconds(5);
  EXPECT_THAT(name_of_model(hurried), HasSubstr("none: waits end by the server's clock"));
}

}  // namespace
}  // namespace lockstep
