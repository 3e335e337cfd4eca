// join_test.cc: waits for an actor's end, for what is done once, and for jobs of a pool.
#include "engine/sync/join.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/explore/explore.h"
#include "engine/sync/once.h"
#include "engine/sync/pool.h"
#include "engine/sync/std_names.h"
#include "tests/engine/sync/sync_runs.h"

namespace lockstep::sync {
namespace {

using record::Verdict;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// The two complete searches must count and judge alike.
Exploration searched_alike(const Scenario& scenario) {
  const auto search = [&scenario](Strategy strategy) {
    Result<Exploration> found = explore(scenario, {.strategy = strategy, .fewest_preemptions = false});
    EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
    return found.ok() ? std::move(*found) : Exploration{};
  };
  const Exploration all = search(Strategy::unreduced), reduced = search(Strategy::exhaustive);
  EXPECT_TRUE(all.complete);
  EXPECT_TRUE(reduced.complete);
  EXPECT_EQ(reduced.interleavings, all.interleavings);
  for (const Verdict verdict : {Verdict::clean, Verdict::deadlock, Verdict::hung, Verdict::anomaly})
    EXPECT_EQ(reduced.share_ending(verdict), all.share_ending(verdict)) << record::name_of(verdict);
  return reduced;
}

// -- join --

struct Framework {
  Mutex threads{"threads"};
  int seen = -1, written = 0;
};

Task<> bundle(Context& c) {
  auto& f = c.world<Framework>();
  const Guard guard = co_await f.threads.lock();
  f.written = 1;
}

Task<> shuts_down(Context& c, bool lets_go) {
  auto& f = c.world<Framework>();
  Guard guard = co_await f.threads.lock();
  if (lets_go) co_await guard.unlock();
  co_await join("bundle");
  f.seen = f.written;
}

Scenario framework(bool lets_go) {
  return scenario("a framework joins its thread")
      .with<Framework>()
      .pattern("plain", "")
      .actor("shutdown", shuts_down, lets_go)
      .actor("bundle", bundle)
      .expect("none", "*: clean")
      .holds("what the thread did is seen", [](const Final& end) { return end.world<Framework>().seen == 1; });
}

TEST(Join, WaitsForTheEnd) {
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(framework(true), place, "shutdown shutdown shutdown bundle");
    EXPECT_EQ(run.verdict, Verdict::clean) << testing::story(run);
    if (place.free) continue;
    EXPECT_THAT(testing::told(run), Contains("shutdown wait join bundle [still runs] >bundle"));
  }
  EXPECT_EQ(searched_alike(framework(true)).share_ending(Verdict::clean), 1);
}

TEST(Join, UnderALockThatTheOtherOneNeedsIsACircle) {
  for (const testing::Place& place : testing::all_places()) {
    if (place.free) continue;
    const record::Run run = testing::run_at(framework(false), place, "shutdown shutdown bundle");
    EXPECT_EQ(run.verdict, Verdict::deadlock) << testing::story(run);
    EXPECT_THAT(run.cycles, ElementsAre(ElementsAre("shutdown", "bundle")));
  }
  const Exploration found = searched_alike(framework(false));
  EXPECT_GT(found.share_ending(Verdict::deadlock), 0);
  EXPECT_GT(found.share_ending(Verdict::clean), 0);
}

Task<> joins(Context&, std::string whom) { co_await join(whom); }

Scenario one_who_joins(const std::string& whom) {
  return scenario("one who joins").pattern("plain", "").actor("T1", joins, whom).expect("none", "*: clean");
}

TEST(Join, OfOneselfIsACircleOfOne) {
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(one_who_joins("T1"), place);
    EXPECT_EQ(run.verdict, Verdict::deadlock) << testing::story(run);
    EXPECT_THAT(run.cycles, ElementsAre(ElementsAre("T1")));
  }
}

TEST(Join, OfNobodyIsAMistake) {
  const record::Run run = testing::run_at(one_who_joins("T2"), {"threads", false});
  EXPECT_EQ(testing::ending_of(run, "T1"), "invalid");
  EXPECT_THAT(testing::story(run), HasSubstr("no actor \"T2\""));
}

// -- once --

struct Client {
  Once connected{"connected"};
  int times = 0, failures = 0;
};

Task<> connects(Context& c, bool fails_first) {
  Client& client = c.world<Client>();
  if (fails_first && client.failures++ == 0) co_await fail(Fault::refused, "nobody listens");
  ++client.times;
}

Task<> calls(Context& c, bool fails_first) { co_await c.world<Client>().connected.call(connects(c, fails_first)); }

Scenario three_who_call(bool fails_first) {
  return scenario("three connect once")
      .with<Client>()
      .pattern("plain", "")
      .actor("T1", calls, fails_first)
      .actor("T2", calls, fails_first)
      .expect("none", "*: clean")
      .holds("it is done once", [](const Final& end) { return end.world<Client>().times == 1; });
}

TEST(OnceCall, IsDoneByOne) {
  for (const testing::Place& place : testing::all_places())
    EXPECT_EQ(testing::run_at(three_who_call(false), place).verdict, Verdict::clean);
  EXPECT_EQ(searched_alike(three_who_call(false)).share_ending(Verdict::clean), 1);
}

TEST(OnceCall, IsTriedAgainAfterAFault) {
  const record::Run run = testing::run_at(three_who_call(true), {"threads", false});
  EXPECT_TRUE(run.invariants.at(0).held) << testing::story(run);
  EXPECT_EQ(testing::ending_of(run, "T1"), "refused");
  EXPECT_EQ(testing::ending_of(run, "T2"), "");
}

// -- pool --

struct Server {
  Pool pool{"pool"};
  Mutex mutex{"sum mutex"};
  int sum = 0;
  bool refused = false;
};

Task<> worker(Context& c) { co_await c.world<Server>().pool.work(c); }

Task<> adds(Context& c, int amount) {
  Server& server = c.world<Server>();
  const Guard guard = co_await server.mutex.lock();
  server.sum += amount;
}

Task<> client(Context& c) {
  Server& server = c.world<Server>();
  const Future first = co_await server.pool.submit("first", adds, 1);
  const Future second = co_await server.pool.submit("second", adds, 2);
  co_await first.get();
  co_await second.get();
  co_await server.pool.close();
}

Scenario pool_of(int workers, Task<> (*body)(Context&)) {
  Scenario pool = scenario("a pool").with<Server>().pattern("plain", "").actor("client", body);
  for (int i = 1; i <= workers; ++i) pool = std::move(pool).actor(fmt::format("W{}", i), worker);
  return std::move(pool).expect("none", "*: clean");
}

TEST(PoolOfWorkers, RunsEveryJob) {
  const auto all_done = [](const Final& end) { return end.world<Server>().sum == 3; };
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(pool_of(2, client).holds("both are added", all_done), place);
    EXPECT_EQ(run.verdict, Verdict::clean) << testing::story(run);
  }
  EXPECT_EQ(searched_alike(pool_of(1, client).holds("both are added", all_done)).share_ending(Verdict::clean), 1);
}

Task<> refuses(Context&) { co_await fail(Fault::refused, "not today"); }

Task<> asks_for_what_is_refused(Context& c) {
  Server& server = c.world<Server>();
  const Future job = co_await server.pool.submit("job", refuses);
  co_await server.pool.close();
  co_await job.get();
}

TEST(PoolOfWorkers, TellsTheFaultOfAJobToWhoeverWaitsForIt) {
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(pool_of(1, asks_for_what_is_refused), place);
    EXPECT_EQ(testing::ending_of(run, "client"), "refused") << testing::story(run);
    EXPECT_EQ(testing::ending_of(run, "W1"), "") << "the worker goes on";
  }
}

Task<> inner(Context& c) { co_await adds(c, 1); }

Task<> outer(Context& c) {
  const Future done = co_await c.world<Server>().pool.submit("inner", inner);
  co_await done.get();
}

Task<> submits_outer(Context& c) {
  const Future done = co_await c.world<Server>().pool.submit("outer", outer);
  co_await done.get();
  co_await c.world<Server>().pool.close();
}

TEST(PoolOfWorkers, AJobThatWaitsForItsOwnFullPoolIsACircle) {
  for (const testing::Place& place : testing::all_places()) {
    const record::Run run = testing::run_at(pool_of(1, submits_outer), place);
    EXPECT_EQ(run.verdict, Verdict::deadlock) << testing::story(run);
    EXPECT_THAT(run.cycles, Contains(ElementsAre("W1")));
    EXPECT_EQ(testing::run_at(pool_of(2, submits_outer), place).verdict, Verdict::clean);
  }
  EXPECT_EQ(searched_alike(pool_of(1, submits_outer)).share_ending(Verdict::deadlock), 1);
}

TEST(PoolOfWorkers, TakesNothingWhenItIsClosed) {
  const Scenario late = pool_of(1, [](Context& c) -> Task<> {
    Server& server = c.world<Server>();
    co_await server.pool.close();
    co_await server.pool.submit("late", inner);
  });
  EXPECT_EQ(testing::ending_of(testing::run_at(late, {"threads", false}), "client"), "invalid");
}

// -- names of the standard library --

struct Ported {
  std_names::mutex m{"m"};
  std_names::condition_variable changed{"changed"};
  std_names::once_flag started{"started"};
  std_names::atomic<int> seen{"seen", 0};
  bool ready = false;
};

Task<> starts(Context& c) { co_await c.world<Ported>().seen.fetch_add(1); }

Task<> ported_consumer(Context& c) {
  auto& world = c.world<Ported>();
  co_await std_names::call_once(world.started, starts(c));
  std_names::unique_lock lock = co_await world.m.lock();
  while (!world.ready) co_await world.changed.wait(lock);
}

Task<> ported_producer(Context& c) {
  auto& world = c.world<Ported>();
  {
    const std_names::lock_guard guard = co_await world.m.lock();
    world.ready = true;
  }
  co_await world.changed.notify_one();
  co_await std_names::join("consumer");
}

TEST(StdNames, ReadAsThePortedProgramDoes) {
  const Scenario ported = scenario("a ported program")
                              .with<Ported>()
                              .pattern("plain", "")
                              .actor("consumer", ported_consumer)
                              .actor("producer", ported_producer)
                              .expect("none", "*: clean");
  for (const testing::Place& place : testing::all_places())
    EXPECT_EQ(testing::run_at(ported, place).verdict, Verdict::clean);
  EXPECT_EQ(searched_alike(ported).share_ending(Verdict::clean), 1);
}

}  // namespace
}  // namespace lockstep::sync
