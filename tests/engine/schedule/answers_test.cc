// answers_test.cc: the order in which the conductor takes the answers of a server, whichever of them comes first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "engine/executors/executors.h"
#include "engine/schedule/conductor.h"

namespace lockstep::answers {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

/// One session's request at a server: who holds it up, and when its answer can be read.
struct Reply {
  Reply() : fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) {}
  ~Reply() { ::close(fd); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  /// The server lets it go on: nobody holds it up any more, and its answer comes after that time.
  void comes_after(Nanos span) { comes_at(std::chrono::steady_clock::now() + span, false); }
  void comes_at(std::chrono::steady_clock::time_point moment, bool with_fault) {
    holder = -1;
    gives_up = with_fault;
    const std::int64_t at = Nanos(moment.time_since_epoch()).count();
    const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = at / 1'000'000'000, .tv_nsec = at % 1'000'000'000}};
    EXPECT_EQ(::timerfd_settime(fd, TFD_TIMER_ABSTIME, &once, nullptr), 0);
  }
  /// Has come; a look does not take it.
  bool is_there() const {
    pollfd look{fd, POLLIN, 0};
    return ::poll(&look, 1, 0) > 0;
  }

  const int fd;
  int holder = -1;
  bool gives_up = false;
  std::function<void()> once_asked = {};  ///< set off by the first question who holds it up
};

/// Waits for a reply; what it sets off happens when it is sent.
class Request final : public AwaitableOperation {
 public:
  Request(Reply& reply, std::function<void()> sets_off = {}) : reply_(reply), sets_off_(std::move(sets_off)) {
    waiting_.fd = reply.fd;
    waiting_.events = POLLIN;
    waiting_.external = true;
  }
  void await_resume() const noexcept {}
  bool attempt() override {
    if (!std::exchange(sent_, true) && sets_off_) sets_off_();
    if (error || !reply_.is_there()) return error.has_value();
    if (reply_.gives_up) error = Error{Fault::deadlock, {}, "gave up"};
    return true;
  }
  void cancel(Fault why) override { error = Error{why, {}, "no answer"}; }
  const Waiting& waiting() const override { return waiting_; }
  Arrival arrival() override {
    const bool there = reply_.is_there();
    return {.complete = there, .gave_up = there && reply_.gives_up};
  }
  std::vector<Blocker> blockers() override {
    const int holder = reply_.holder;
    if (const auto sets_off = std::exchange(reply_.once_asked, {})) sets_off();
    if (holder < 0) return {};
    return {{.actor = holder, .object = "row", .what = "locked"}};
  }
  bool cycle_is_broken_by_store() const override { return true; }
  Description describe() const override { return {.verb = "ask", .object = "row", .detail = {}}; }

 private:
  Reply& reply_;
  const std::function<void()> sets_off_;
  Waiting waiting_;
  bool sent_ = false;
};

Task<> asks(Reply* reply, std::function<void()> sets_off) { co_await Request(*reply, std::move(sets_off)); }

/// "T1 grant", "T2 fault" … in the order of the events.
std::vector<std::string> answers_of(const std::string& executor_name, std::string_view order,
                                    std::vector<std::pair<Reply*, std::function<void()>>> requests) {
  auto schedule = scripted(order, {"T1", "T2", "T3"}, true);
  EXPECT_TRUE(schedule.ok());
  RunState run(/*virtual_time=*/false, /*recording=*/true, std::chrono::seconds(20), nullptr);
  Conductor conductor(run, **schedule, Nanos(0));
  const std::unique_ptr<Executor> executor = executor_name == "threads" ? make_threads_executor(run, &conductor)
                                                                        : make_coroutines_executor(run, &conductor, 1);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto actor = std::make_unique<Actor>(static_cast<int>(i), "T" + std::to_string(i + 1), run, *executor);
    actor->set_body(asks(requests[i].first, requests[i].second));
    run.actors.push_back(std::move(actor));
  }
  run.start_clock();
  EXPECT_TRUE(conductor.conduct(*executor).ok());
  EXPECT_EQ(run.ending(), record::Ending::complete);
  std::vector<std::string> answers;
  for (const record::Event& event : run.take_events()) {
    if (event.kind != record::EventKind::grant && event.kind != record::EventKind::fault) continue;
    answers.push_back(run.actors[static_cast<std::size_t>(event.actor)]->name + " " +
                      std::string(record::name_of(event.kind)));
  }
  return answers;
}

class AnswersOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Each, AnswersOn, testing::Values("threads", "coroutines"),
                         [](const auto& info) { return info.param; });

TEST_P(AnswersOn, OfTheActorThatWasLaunchedLastComeFirst) {
  Reply waits, commits;
  waits.holder = 1;
  // The server tells the one that waited before the one that let it go.
  const auto lets_go = [&] {
    waits.comes_after(Nanos(0));
    commits.comes_after(milliseconds(4));
  };
  EXPECT_THAT(answers_of(GetParam(), "T1 T2", {{&waits, {}}, {&commits, lets_go}}),
              ElementsAre("T2 grant", "T1 grant"));
}

TEST_P(AnswersOn, OfThoseThatWaitedComeInTheOrderInWhichTheyBegan) {
  Reply first, second, commits;
  first.holder = second.holder = 2;
  const auto lets_go = [&] {
    second.comes_after(Nanos(0));
    first.comes_after(milliseconds(4));
    commits.comes_after(Nanos(0));
  };
  EXPECT_THAT(answers_of(GetParam(), "T1 T2 T3", {{&first, {}}, {&second, {}}, {&commits, lets_go}}),
              ElementsAre("T3 grant", "T1 grant", "T2 grant"));
}

TEST_P(AnswersOn, OfAnActorComeAfterThoseOfTheOneThatHeldItUp) {
  Reply behind, before, commits;
  behind.holder = 1;
  before.holder = 2;
  // T1 waits for T2, which waits for T3: a statement that commits by itself lets T1 go on as it ends.
  const auto lets_go = [&] {
    commits.comes_after(Nanos(0));
    before.comes_after(milliseconds(4));
    behind.comes_after(Nanos(0));
  };
  EXPECT_THAT(answers_of(GetParam(), "T1 T2 T3", {{&behind, {}}, {&before, {}}, {&commits, lets_go}}),
              ElementsAre("T3 grant", "T2 grant", "T1 grant"));
}

TEST_P(AnswersOn, OfTheOneThatGivesUpComeBeforeWhatThatSetFree) {
  for (const bool older_gives_up : {true, false}) {
    Reply one, two;
    one.holder = 1;
    two.holder = 0;
    // Once both are known to wait for each other. The one set free is told at once, and so is the other.
    two.once_asked = [&] {
      const auto moment = std::chrono::steady_clock::now() + milliseconds(30);
      one.comes_at(moment, older_gives_up);
      two.comes_at(moment, !older_gives_up);
      one.holder = 1;
      two.holder = 0;
    };
    const auto answers = answers_of(GetParam(), "T1 T2", {{&one, {}}, {&two, {}}});
    EXPECT_THAT(answers, older_gives_up ? ElementsAre("T1 fault", "T2 grant") : ElementsAre("T2 fault", "T1 grant"));
  }
}

}  // namespace
}  // namespace lockstep::answers
