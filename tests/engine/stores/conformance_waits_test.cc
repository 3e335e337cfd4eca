// conformance_waits_test.cc: what several sessions may expect of every store at every protocol. A protocol may let the
// second one wait, refuse it, or let it go on with an older state; it may never show it what is not committed (unless
// it promises no more than that), lose what is, or leave it waiting for nobody.
#include <atomic>
#include <random>
#include <thread>

#include "tests/engine/stores/conformance.h"

namespace lockstep {
namespace {

using ::testing::Not;

class Waits : public Conformance {
 protected:
  Request begin_request() {
    Request request{.verb = Verb::begin};
    request.claims = claims_;
    return request;
  }

  /// The second session begins and writes A until it is answered or waits. True: it waits, at `waiting`.
  bool second_waits(std::unique_ptr<Call>& waiting) {
    for (const Request& request : {begin_request(), Request{.verb = Verb::write, .key = "A", .value = "2"}}) {
      waiting = std::make_unique<Call>(session(1), request);
      if (waiting->blocks()) return true;
      if (!waiting->ok()) return false;
    }
    return false;
  }
};
INSTANTIATE_TEST_SUITE_P(EveryStore, Waits, ::testing::ValuesIn(every_store()), test_name);

TEST_P(Waits, NeverShowWhatIsNotCommitted) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  write(0, "A", "dirty");
  std::string seen = "(nothing)";
  Call begun(session(1), begin_request());
  Call read(session(1), {.verb = Verb::read, .key = "A"});
  const bool waits = begun.blocks() || (begun.ok() && read.blocks());
  if (!waits && read.ok()) seen = read.pending.reply.value.value_or("(none)");
  const bool may_be_dirty = backend_->protocol().isolation == check::Level::read_uncommitted;
  EXPECT_TRUE(seen != "dirty" || may_be_dirty);
  abort(0);
  if (waits) {
    EXPECT_TRUE(begun.finish(clock()));
    if (begun.ok()) {
      EXPECT_TRUE(read.finish(clock()));
      EXPECT_EQ(read.pending.reply.value, "100");
    }
  }
  if (session(1).in_transaction()) abort(1);
}

TEST_P(Waits, NameTheActorWhomTheyWaitFor) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  write(0, "A", "1");
  std::unique_ptr<Call> second;
  if (!second_waits(second)) {
    EXPECT_TRUE(second->ok() || is_retry_safe(second->fault())) << second->text();
    return;
  }
  const auto blockers = second->blockers();
  ASSERT_EQ(blockers.size(), 1u);
  EXPECT_EQ(blockers[0].actor, 0);
  EXPECT_NE(blockers[0].object, "");
  EXPECT_NE(blockers[0].what, "");
  const int wakes = second->waiter.wakes();
  commit(0);
  ASSERT_TRUE(second->finish(clock()));
  EXPECT_LE(second->waiter.wakes(), wakes + 1) << "once for each time it was queued";
  EXPECT_TRUE(second->ok() || is_retry_safe(second->fault())) << second->text();
  if (session(1).in_transaction()) abort(1);
  EXPECT_EQ(committed()[0].second, "1");
}

TEST_P(Waits, EndWhenTheyAreCancelled) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  write(0, "A", "1");
  std::unique_ptr<Call> second;
  if (!second_waits(second)) return;
  ASSERT_TRUE(second->cancel(Fault::cancelled));
  EXPECT_EQ(second->fault(), Fault::cancelled);
  abort(1);
  EXPECT_FALSE(session(1).in_transaction());
  commit(0);
  begin(1);
  EXPECT_EQ(read(1, "A"), "1") << "and the session is of use again";
  commit(1);
}

TEST_P(Waits, EndAtTheLimitOfTheRun) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  open({{"A", "100"}, {"B", "200"}, {"C", "300"}}, false, std::chrono::milliseconds(200));
  begin(0);
  write(0, "A", "1");
  std::unique_ptr<Call> second;
  if (!second_waits(second)) return;
  ASSERT_TRUE(second->finish(clock()));
  EXPECT_THAT(second->fault(), ::testing::AnyOf(Fault::lock_timeout, Fault::busy)) << second->text();
  if (session(1).in_transaction()) abort(1);
  commit(0);
  EXPECT_EQ(committed()[0].second, "1");
}

TEST_P(Waits, EndWhenTheOtherSessionIsDropped) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  session(1);
  begin(0);
  write(0, "A", "lost");
  write(0, "B", "lost");
  sessions_[0].reset();
  begin(1);
  EXPECT_EQ(read(1, "A"), "100") << "dropping a session in mid-transaction rolls it back";
  write(1, "B", "2");
  commit(1);
  EXPECT_EQ(committed(), (State{{"A", "100"}, {"B", "2"}, {"C", "300"}}));
}

TEST_P(Waits, OfADroppedSessionAreForgotten) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  write(0, "A", "1");
  std::unique_ptr<Call> second;
  if (second_waits(second)) {
    ASSERT_TRUE(second->cancel(Fault::cancelled));
  }
  second.reset();
  sessions_[1].reset();
  commit(0);
  EXPECT_EQ(committed()[0].second, "1");
}

/// One increment, tried until it commits. False when it failed for good.
bool increment(Session& session, std::span<const std::string> claims, std::string& why) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < until) {
    std::optional<Fault> fault;
    for (Request request : {Request{.verb = Verb::begin}, Request{.verb = Verb::add, .key = "A", .delta = 1},
                            Request{.verb = Verb::commit}}) {
      if (request.verb == Verb::begin) request.claims = claims;
      Call call(session, request);
      if (!call.finish()) {
        why = std::string(name_of(request.verb)) + " never ends";
        return false;
      }
      if (call.ok()) continue;
      fault = call.fault();
      why = call.text();
      break;
    }
    if (!fault) return true;
    if (!is_retry_safe(*fault)) return false;
    if (session.in_transaction() && !Call(session, {.verb = Verb::abort}).finish()) return false;
    std::this_thread::yield();  // whoever is in the way may be without a processor
  }
  return false;
}

TEST_P(Waits, LoseNoIncrementOfManyThreads) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  constexpr int kThreads = 3;
  constexpr int kIncrements = 20;
  open({{"A", "0"}}, true, std::chrono::seconds(10));
  for (int i = 0; i < kThreads; ++i) session(i);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i] {
        for (int n = 0; n < kIncrements; ++n) {
          std::string why;
          if (!increment(*sessions_[i], claims_, why)) {
            ADD_FAILURE() << "T" << i + 1 << ": " << why;
            return;
          }
        }
      });
    }
  }
  EXPECT_EQ(committed(), (State{{"A", std::to_string(kThreads * kIncrements)}}));
}

}  // namespace
}  // namespace lockstep
