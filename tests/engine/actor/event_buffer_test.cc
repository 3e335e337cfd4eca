// event_buffer_test.cc: a run that nobody steers: each actor writes to a buffer of its own, and the story is in order
// all the same; long ones are thinned by whole transactions, and say so.
#include "engine/actor/event_buffer.h"

#include <gmock/gmock.h>

#include <map>

#include "engine/record/sites.h"
#include "engine/run/run.h"

namespace lockstep {
namespace {

using record::Event;
using record::EventKind;
using testing::HasSubstr;
using testing::Not;

constexpr int kEach = 600;

Task<> adds_again_and_again(Context& c, std::string row) {
  for (int i = 0; i < kEach; ++i) {
    co_await c.db.begin();
    (void)co_await c.db.add(row, 1);
    co_await c.db.commit();
  }
}

Scenario adding(const char* first, const char* second) {
  return scenario("adding")
      .given({{"A", 0}, {"B", 0}})
      .pattern("plain", "")
      .actor("T1", adds_again_and_again, first)
      .actor("T2", adds_again_and_again, second)
      .expect("kv", "*: clean")
      .holds("nothing is lost", [](const Final& end) { return end.total() == 2 * kEach; });
}

record::Run run_freely(const Scenario& made, const char* executor, std::uint32_t every) {
  auto result = run(made, {.executor = executor, .schedule = "free", .record_every = every});
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return result.ok() ? std::move(*result) : record::Run();
}

/// Numbers without gaps, times that do not go back, every operation a request that is answered.
void expect_a_story(const record::Run& run) {
  std::map<std::uint32_t, const Event*> asked;
  std::uint32_t steps = 0;
  const Event* before = nullptr;
  for (const Event& event : run.events) {
    EXPECT_EQ(event.seq, before == nullptr ? 1U : before->seq + 1);
    if (before != nullptr) {
      EXPECT_GE(event.at_ns, before->at_ns);
    }
    before = &event;
    if (event.step == 0) continue;
    switch (event.kind) {
      case EventKind::request:
        EXPECT_EQ(event.step, ++steps) << "operations are numbered as they are asked for";
        EXPECT_TRUE(asked.emplace(event.step, &event).second);
        break;
      case EventKind::wait:
      case EventKind::grant:
      case EventKind::fault: {
        const auto request = asked.find(event.step);
        ASSERT_NE(request, asked.end()) << event.verb << " was never asked for";
        EXPECT_EQ(request->second->actor, event.actor);
        EXPECT_EQ(request->second->verb, event.verb);
        if (event.kind != EventKind::wait) asked.erase(request);
        break;
      }
      default:
        break;
    }
  }
  EXPECT_TRUE(asked.empty()) << asked.size() << " operations have no answer";
}

int commits_on_record(const record::Run& run) {
  int commits = 0;
  for (const Event& event : run.events) commits += event.kind == EventKind::grant && event.verb == "commit" ? 1 : 0;
  return commits;
}

TEST(EventBuffer, AStoryOfSeveralActorsIsInOrder) {
  for (const char* executor : {"threads", "coroutines"}) {
    SCOPED_TRACE(executor);
    const record::Run apart = run_freely(adding("A", "B"), executor, 1);
    expect_a_story(apart);
    EXPECT_EQ(commits_on_record(apart), 2 * kEach);
    for (const Event& event : apart.events) EXPECT_THAT(event.detail, Not(HasSubstr("on record")));
    // The same row: waits are written down, by whoever finds out.
    const record::Run together = run_freely(adding("A", "A"), executor, 1);
    expect_a_story(together);
    EXPECT_THAT(together.documents.at(record::kSitesDocument), HasSubstr("event_buffer_test.cc"));
  }
}

TEST(EventBuffer, WhoRunsManyTransactionsIsThinnedByWholeOnesAndTheRunSaysSo) {
  // Nobody waits, and so the first 500 are on record, then those with the numbers 512, 528 … 592.
  const record::Run run = run_freely(adding("A", "B"), "threads", 16);
  expect_a_story(run);
  EXPECT_EQ(run.outcomes.committed, 2u * kEach) << "what is counted is not thinned";
  EXPECT_EQ(commits_on_record(run), 2 * 506);
  EXPECT_EQ(run.events.back().kind, EventKind::note);
  EXPECT_THAT(run.events.back().detail, HasSubstr("1012 of 1200 transactions are on record (84.3 %)"));
  // With waits: a transaction whose begin or whose turn had to wait is whole or not there at all.
  expect_a_story(run_freely(adding("A", "A"), "coroutines", 16));
}

}  // namespace
}  // namespace lockstep
