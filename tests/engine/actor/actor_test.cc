// actor_test.cc: how an actor waits, with an operation and an executor that do just what a test wants.
#include "engine/actor/actor.h"

#include <gmock/gmock.h>

#include "engine/actor/run_state.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

/// Granted at the very moment when its first wait is given up: the wake-up of that grant comes while it is cancelled.
/// Like a session of kv it then has to wait for something else before it is done.
class GrantedWhileGivenUp final : public AwaitableOperation {
 public:
  void await_resume() const noexcept {}
  bool attempt() override { return ++attempts == 3; }
  void cancel(Fault) override { wake(); }
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override { return {.verb = "take", .object = {}, .detail = {}}; }

  int attempts = 0;

 private:
  Waiting waiting_;
};

/// Lets the first wait pass its deadline; a later one ends when it is woken, which the executor does itself.
class OneDeadline final : public Executor {
 public:
  std::string_view name() const noexcept override { return "one deadline"; }
  bool controlled() const noexcept override { return false; }
  bool parks_threads() const noexcept override { return true; }
  bool turn(Actor&) override { return true; }
  bool wait(Actor&, Operation& operation) override {
    armed.push_back(operation.arm());
    if (armed.size() == 1) {
      operation.expire(Fault::lock_timeout);
    } else {
      operation.wake();
    }
    return true;
  }
  void finished(Actor&) noexcept override {}
  bool park(Actor&, Operation&, Nanos) override { return true; }
  void ready(Actor&) noexcept override {}
  void interrupt(Actor&) noexcept override {}
  void go(Actor&) override {}
  void run_free(std::span<const std::unique_ptr<Actor>>) override {}

  std::vector<bool> armed;  ///< of every wait: it had not been woken before it began
};

Task<> take(GrantedWhileGivenUp* operation) { co_await *operation; }

TEST(Actor, AWakeUpThatComesWhileAWaitIsGivenUpDoesNotEndTheNextWait) {
  RunState run(/*virtual_time=*/true, /*recording=*/false, std::chrono::seconds(1), nullptr);
  OneDeadline executor;
  Actor actor(0, "T1", run, executor);
  GrantedWhileGivenUp operation;
  actor.set_body(take(&operation));
  actor.start();
  EXPECT_TRUE(actor.has_finished());
  EXPECT_EQ(operation.attempts, 3);
  EXPECT_THAT(executor.armed, ElementsAre(true, true));
}

}  // namespace
}  // namespace lockstep
