// lock_order_test.cc: potential deadlocks are told apart from actual ones, and from orders that cannot meet.
#include "engine/record/lock_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/explore/explore.h"
#include "engine/sync/lock_order.h"
#include "scenarios/catalogue.h"

namespace lockstep {
namespace {

using record::OrderViolation;
using sync::LockMode;
using sync::LockOrder;
using testing::HasSubstr;

std::vector<OrderViolation> potential_in(const std::string& scenario, const RunRequest& request) {
  const Result<record::Run> ran = run(*scenarios::find(scenario), request);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  const auto document = ran->documents.find(record::kLockOrderDocument);
  if (document == ran->documents.end()) return {};
  const Result<std::vector<OrderViolation>> orders = record::order_violations_of(document->second);
  EXPECT_TRUE(orders.ok()) << orders.error().message;
  return *orders;
}

/// An actor takes these locks one after the other and gives them back.
void take_all(LockOrder& order, int actor, const std::vector<std::string>& locks, LockMode mode = LockMode::exclusive) {
  for (const std::string& lock : locks) {
    order.asks(actor, lock, mode, std::source_location::current());
    order.takes(actor, lock, mode, std::source_location::current());
  }
  for (const std::string& lock : locks) order.gives_back(actor, lock);
}

const std::vector<std::string> kNames{"T1", "T2", "T3"};

TEST(LockOrder, OppositeOrdersOfTwoActorsAreAPotentialDeadlock) {
  LockOrder order;
  take_all(order, 0, {"A", "B"});
  EXPECT_TRUE(order.violations(kNames).empty());
  take_all(order, 1, {"B", "A"});
  take_all(order, 1, {"B", "A"});
  const auto found = order.violations(kNames);
  ASSERT_EQ(found.size(), 1U);
  ASSERT_EQ(found[0].size(), 2U);
  EXPECT_EQ(found[0][0].holds, "A");
  EXPECT_EQ(found[0][0].wants, "B");
  EXPECT_EQ(found[0][1].actor, "T2");
  EXPECT_THAT(found[0][1].held_at, HasSubstr("tests/scenarios/lock_order_test.cc:"));
}

TEST(LockOrder, ARingOfThreeIsOneAndTheOrdersOfOneActorAreNone) {
  LockOrder ring;
  take_all(ring, 0, {"A", "B"});
  take_all(ring, 1, {"B", "C"});
  take_all(ring, 2, {"C", "A"});
  ASSERT_EQ(ring.violations(kNames).size(), 1U);
  EXPECT_EQ(ring.violations(kNames)[0].size(), 3U);
  EXPECT_TRUE(ring.violations(kNames, 2).empty());
  LockOrder alone;
  take_all(alone, 0, {"A", "B"});
  take_all(alone, 0, {"B", "A"});
  EXPECT_TRUE(alone.violations(kNames).empty());
}

TEST(LockOrder, ACommonLockAndSharingKeepThemApart) {
  LockOrder gate;
  take_all(gate, 0, {"gate", "A", "B"});
  take_all(gate, 1, {"gate", "B", "A"});
  EXPECT_TRUE(gate.violations(kNames).empty());
  LockOrder readers;
  take_all(readers, 0, {"A", "B"}, LockMode::shared);
  take_all(readers, 1, {"B", "A"}, LockMode::shared);
  EXPECT_TRUE(readers.violations(kNames).empty());
}

TEST(LockOrder, ARunThatIsCleanTellsOfItWithBothSites) {
  const auto potential = potential_in("threads/order-violation", {});
  ASSERT_EQ(potential.size(), 1U);
  const std::string text = record::text_of(potential[0]);
  EXPECT_THAT(text, HasSubstr("backup takes catalogue (scenarios/threads/order_violation.cc:"));
  EXPECT_THAT(text, HasSubstr("rebuild takes index (scenarios/threads/order_violation.cc:"));
  EXPECT_EQ(potential_in("threads/order-violation", {.executor = "coroutines"}), potential);
  EXPECT_TRUE(potential_in("threads/order-violation", {.pattern = "gate"}).empty());
  EXPECT_TRUE(potential_in("threads/order-violation", {.pattern = "ordered"}).empty());
  EXPECT_TRUE(potential_in("threads/two-lock", {}).empty()) << "what happened is no longer potential";
}

TEST(LockOrder, ASearchTellsTheOneThatHangsFromTheOneThatCannot) {
  const Scenario& jobs = *scenarios::find("threads/order-violation");
  const Result<Exploration> naive = explore(jobs, {});
  ASSERT_TRUE(naive.ok()) << naive.error().message;
  EXPECT_EQ(naive->runs_ending(record::Verdict::deadlock), 1U);
  EXPECT_TRUE(naive->potential.empty());
  const Result<Exploration> in_turn = explore(jobs, {.run = {.pattern = "in-turn"}});
  ASSERT_TRUE(in_turn.ok()) << in_turn.error().message;
  EXPECT_TRUE(in_turn->complete);
  EXPECT_EQ(in_turn->runs_ending(record::Verdict::deadlock), 0U);
  EXPECT_EQ(in_turn->potential.size(), 1U);
}

TEST(LockOrder, ComesBackFromItsJson) {
  const std::vector<OrderViolation> orders{
      {{"T1", "A", "x.cc:1", "B", "x.cc:2"}, {"T2", "B", "x.cc:3", "A", "x.cc:4"}}};
  const Result<std::vector<OrderViolation>> read = record::order_violations_of(record::to_json(orders));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, orders);
  EXPECT_FALSE(record::order_violations_of("[[{}]]").ok());
  EXPECT_FALSE(record::order_violations_of("[[").ok());
}

}  // namespace
}  // namespace lockstep
