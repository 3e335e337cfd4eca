// conductor_test.cc: what the conductor does between two steps, with operations that do just what a test wants.
#include "engine/schedule/conductor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <deque>
#include <utility>

#include "engine/actor/pause.h"
#include "engine/executors/executors.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Log = std::vector<std::string>;

/// Writes a word down, in one step.
class Say final : public AwaitableOperation {
 public:
  Say(Log& log, std::string word) : log_(log), word_(std::move(word)) {}
  void await_resume() const noexcept {}
  bool attempt() override {
    log_.push_back(word_);
    return true;
  }
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override { return {.verb = "say", .object = word_, .detail = {}}; }

 private:
  Log& log_;
  const std::string word_;
  Waiting waiting_;
};

/// A way that is closed until somebody opens it; `keeper` is the actor that is said to hold it.
struct Door {
  int keeper = -1;
  bool open = false;
  std::vector<Operation*> queue = {};

  void open_it() {
    open = true;
    for (Operation* const operation : queue) operation->wake();
    queue.clear();
  }
};

/// Goes through a door; waits while it is closed, for a time on the run's clock.
class Pass final : public AwaitableOperation {
 public:
  explicit Pass(Door& door, Nanos span = kNever) : door_(door), span_(span) {}
  void await_resume() const noexcept {}
  bool attempt() override {
    if (door_.open || error) return true;
    if (!queued_ && span_ != kNever) waiting_.deadline = actor().run.clock().after(span_);
    if (!queued_) door_.queue.push_back(this);
    queued_ = true;
    return false;
  }
  void cancel(Fault why) override {
    std::erase(door_.queue, this);
    error = Error{why, {}, "the door stayed closed"};
  }
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {{.actor = door_.keeper, .object = "door", .what = "closed"}}; }
  bool would_wait() const override { return !door_.open && span_ == kNever; }
  Description describe() const override { return {.verb = "pass", .object = "door", .detail = {}}; }

 private:
  Door& door_;
  const Nanos span_;
  Waiting waiting_;
  bool queued_ = false;
};

/// Opens doors in one step, in the order given.
class Open final : public AwaitableOperation {
 public:
  explicit Open(std::vector<Door*> doors) : doors_(std::move(doors)) {}
  void await_resume() const noexcept {}
  bool attempt() override {
    for (Door* const door : doors_) door->open_it();
    return true;
  }
  void cancel(Fault) override {}
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override { return {}; }
  Description describe() const override { return {.verb = "open", .object = "door", .detail = {}}; }

 private:
  const std::vector<Door*> doors_;
  Waiting waiting_;
};

/// A server whose answer is on its way, or held up by another actor. The answer is there when its timer has run off.
struct Server {
  explicit Server(Nanos answers_after) : takes(answers_after), fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) {}
  ~Server() { ::close(fd); }
  void answer_after(Nanos span) const {
    const itimerspec once{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = span.count()}};
    EXPECT_EQ(::timerfd_settime(fd, 0, &once, nullptr), 0);
  }
  bool take_answer() const {
    std::uint64_t times = 0;
    return ::read(fd, &times, sizeof times) == sizeof times;
  }

  const Nanos takes;  ///< kNever: nothing comes until another actor lets go
  const int fd;
};

/// Asks the server; `holder` is the actor that the server names as the one that holds the answer up.
class Ask final : public AwaitableOperation {
 public:
  Ask(Server& server, int holder) : server_(server), holder_(holder) {
    waiting_.fd = server.fd;
    waiting_.events = POLLIN;
    waiting_.external = true;
  }
  void await_resume() const noexcept {}
  bool attempt() override {
    if (!std::exchange(asked_, true) && server_.takes != kNever) server_.answer_after(server_.takes);
    return error.has_value() || server_.take_answer();
  }
  void cancel(Fault why) override { error = Error{why, {}, "no answer"}; }
  const Waiting& waiting() const override { return waiting_; }
  std::vector<Blocker> blockers() override {
    if (holder_ < 0) return {};
    return {{.actor = holder_, .object = "row", .what = "locked"}};
  }
  Description describe() const override { return {.verb = "ask", .object = "server", .detail = {}}; }

 private:
  const Server& server_;
  const int holder_;
  Waiting waiting_;
  bool asked_ = false;
};

Task<> says(Log* log, std::vector<std::string> words) {
  for (const std::string& word : words) co_await Say(*log, word);
}

Task<> passes(Door* door, Log* log, std::string word) {
  co_await Pass(*door);
  log->push_back(word);
}

Task<> passes_in_time(Door* door, Nanos span) { co_await Pass(*door, span); }

Task<> opens(std::vector<Door*> doors, Log* log, std::string word) {
  co_await Open(doors);
  co_await Say(*log, word);
}

Task<> pauses(Nanos span, Log* log, std::string word) {
  co_await pause(span);
  log->push_back(word);
}

Task<> asks(Server* server, int holder, Log* log, std::string word) {
  co_await Ask(*server, holder);
  log->push_back(word);
}

Task<> lets_go(Server* server, Log* log, std::string word) {
  co_await Say(*log, word);
  server->answer_after(Nanos(1));
}

/// Takes the choices that a test lists, and keeps what it was told.
class Listed : public Schedule {
 public:
  explicit Listed(std::deque<Choice> choices) : choices_(std::move(choices)) {}
  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    seen.push_back(candidates);
    if (choices_.empty()) return Error{Fault::invalid, {}, "the list is at its end"};
    const Choice next = choices_.front();
    choices_.pop_front();
    return next;
  }
  void overruled() override { ++times_overruled; }
  void nothing_left() override { ++times_nothing_left; }

  std::vector<std::vector<Candidate>> seen;
  int times_overruled = 0;
  int times_nothing_left = 0;

 private:
  std::deque<Choice> choices_;
};

/// As a search: actors that would only wait are left alone, and deadlines pass by choice.
class LooksAhead final : public Listed {
 public:
  using Listed::Listed;
  bool looks_ahead() const noexcept override { return true; }
};

/// Lets T1 go whatever the schedule says.
class AlwaysTheFirst final : public RunObserver {
 public:
  void begin(const char*) override {}
  void cycle_closed(RunState&, const std::vector<int>&) override {}
  int look(RunState&, std::uint32_t, const Choice*) override { return 0; }
};

struct Settings {
  bool virtual_time = true;
  Nanos limit = std::chrono::seconds(20);
  const StopSource* stop = nullptr;
};

/// Actors T1, T2 … under a schedule, on one of the executors.
class Conducted {
 public:
  Conducted(const std::string& executor_name, Schedule& schedule, Settings settings = {})
      : run(settings.virtual_time, /*recording=*/true, settings.limit, settings.stop),
        conductor(run, schedule, Nanos(0)),
        executor(executor_name == "threads" ? make_threads_executor(run, &conductor)
                                            : make_coroutines_executor(run, &conductor, 1)) {}

  Conducted& actor(Task<> body) {
    const int index = static_cast<int>(run.actors.size());
    run.actors.push_back(std::make_unique<Actor>(index, "T" + std::to_string(index + 1), run, *executor));
    run.actors.back()->set_body(std::move(body));
    return *this;
  }
  Result<void> conduct() {
    run.start_clock();
    return conductor.conduct(*executor);
  }
  /// The actors that were let go, from 1; below 0 where a deadline passed.
  std::vector<int> taken() const {
    std::vector<int> list;
    for (const Choice& choice : conductor.taken())
      list.push_back(choice.timeout ? -1 - choice.actor : choice.actor + 1);
    return list;
  }
  std::vector<std::optional<Fault>> endings() const {
    std::vector<std::optional<Fault>> faults;
    for (const auto& actor : run.actors) {
      EXPECT_TRUE(actor->has_finished()) << actor->name;
      faults.push_back(actor->ending() ? std::optional(actor->ending()->fault) : std::nullopt);
    }
    return faults;
  }

  RunState run;
  Conductor conductor;
  std::unique_ptr<Executor> executor;
};

std::unique_ptr<Schedule> order(std::string_view text, bool strict = true) {
  return *scripted(text, {"T1", "T2", "T3"}, strict);
}

class ConductorOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Each, ConductorOn, testing::Values("threads", "coroutines"),
                         [](const auto& info) { return info.param; });

TEST_P(ConductorOn, TakesStepsInTheOrderOfTheScheduleAndKeepsIt) {
  Log log;
  const auto schedule = order("T2 T1 T1 T2");
  Conducted conducted(GetParam(), *schedule);
  conducted.actor(says(&log, {"a1", "a2"})).actor(says(&log, {"b1", "b2"}));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, ElementsAre("b1", "a1", "a2", "b2"));
  EXPECT_THAT(conducted.taken(), ElementsAre(2, 1, 1, 2));
  EXPECT_THAT(conducted.endings(), Each(std::nullopt));
  EXPECT_EQ(conducted.run.ending(), record::Ending::complete);
  EXPECT_EQ(conducted.run.elapsed(), std::chrono::microseconds(40)) << "0.01 ms a step";
}

TEST_P(ConductorOn, LetsWokenActorsRunInTheOrderOfTheWakeUpsBeforeTheNextChoice) {
  Log log;
  Door one, two;
  const auto schedule = order("T1 T2 T3 T3");
  Conducted conducted(GetParam(), *schedule);
  conducted.actor(passes(&one, &log, "through one")).actor(passes(&two, &log, "through two"));
  conducted.actor(opens({&two, &one}, &log, "opened"));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, ElementsAre("through two", "through one", "opened"));
  EXPECT_THAT(conducted.taken(), ElementsAre(1, 2, 3, 3)) << "to go on after a wake-up is no step";
}

TEST_P(ConductorOn, TellsTheScheduleWhoCanGo) {
  Log log;
  Door door;
  Listed schedule({{0}, {1}, {2}, {2}});
  Conducted conducted(GetParam(), schedule);
  conducted.actor(passes(&door, &log, "through")).actor(says(&log, {"b"})).actor(opens({&door}, &log, "opened"));
  ASSERT_TRUE(conducted.conduct().ok());
  ASSERT_THAT(schedule.seen, SizeIs(4));
  const auto enabled_at = [&](std::size_t step) {
    std::vector<bool> enabled;
    for (const Candidate& each : schedule.seen[step]) enabled.push_back(each.enabled);
    return enabled;
  };
  EXPECT_THAT(enabled_at(0), ElementsAre(true, true, true));
  EXPECT_THAT(enabled_at(1), ElementsAre(false, true, true)) << "T1 waits";
  EXPECT_THAT(enabled_at(2), ElementsAre(false, false, true)) << "T2 has ended";
  EXPECT_TRUE(schedule.seen[2][1].finished);
  EXPECT_FALSE(schedule.seen[2][0].finished);
}

TEST_P(ConductorOn, JumpsToTheEarliestDeadlineWhenNobodyCanGo) {
  Log log;
  const auto schedule = order("T1 T2");
  Conducted conducted(GetParam(), *schedule);
  conducted.actor(pauses(milliseconds(900), &log, "late")).actor(pauses(milliseconds(300), &log, "early"));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, ElementsAre("early", "late"));
  EXPECT_EQ(conducted.run.elapsed(), milliseconds(900) + std::chrono::microseconds(10))
      << "T1's pause began after its step";
}

TEST_P(ConductorOn, EndsARunWhoseNextDeadlineLiesBeyondItsLimit) {
  Log log;
  const auto schedule = order("T1");
  Conducted conducted(GetParam(), *schedule, {.limit = std::chrono::seconds(1)});
  conducted.actor(pauses(std::chrono::hours(10), &log, "never"));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, IsEmpty());
  EXPECT_EQ(conducted.run.ending(), record::Ending::stuck);
  EXPECT_THAT(conducted.endings(), ElementsAre(Fault::hung));
}

TEST_P(ConductorOn, EndsARunInWhichNobodyCanGoOnAndNamesTheCycle) {
  Log log;
  Door of_first{.keeper = 0}, of_second{.keeper = 1};
  Listed schedule({{0}, {1}});
  Conducted conducted(GetParam(), schedule);
  conducted.actor(passes(&of_second, &log, "T1")).actor(passes(&of_first, &log, "T2"));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_EQ(conducted.run.ending(), record::Ending::stuck);
  EXPECT_THAT(conducted.run.cycles_at_end(), ElementsAre(ElementsAre(0, 1)));
  EXPECT_THAT(conducted.endings(), ElementsAre(Fault::hung, Fault::hung));
  EXPECT_EQ(schedule.times_nothing_left, 1);
}

TEST_P(ConductorOn, StopsTheActorsWhenTheScheduleCannotBeFollowed) {
  Log log;
  Door door;
  const auto schedule = order("T1 T1");
  Conducted conducted(GetParam(), *schedule);
  conducted.actor(passes(&door, &log, "T1")).actor(says(&log, {"b"}));
  const Result<void> refused = conducted.conduct();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault(), Fault::invalid);
  EXPECT_THAT(log, IsEmpty()) << "T2 stood before its step";
  EXPECT_THAT(conducted.endings(), ElementsAre(Fault::cancelled, Fault::cancelled));
}

TEST_P(ConductorOn, StopsTheActorsWhenAskedTo) {
  Log log;
  StopSource stop;
  stop.request();
  const auto schedule = order("T1");
  Conducted conducted(GetParam(), *schedule, {.stop = &stop});
  conducted.actor(says(&log, {"a"}));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, IsEmpty());
  EXPECT_EQ(conducted.run.ending(), record::Ending::interrupted);
  EXPECT_THAT(conducted.endings(), ElementsAre(Fault::cancelled));
}

TEST_P(ConductorOn, LetsADeadlinePassByTheChoiceOfASearch) {
  Log log;
  Door closed;
  LooksAhead schedule({{0}, {0, true}, {1}});
  Conducted conducted(GetParam(), schedule);
  conducted.actor(passes_in_time(&closed, milliseconds(50))).actor(says(&log, {"b"}));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(conducted.taken(), ElementsAre(1, -1, 2));
  ASSERT_THAT(schedule.seen, SizeIs(3));
  EXPECT_FALSE(schedule.seen[0][0].may_time_out);
  EXPECT_TRUE(schedule.seen[1][0].may_time_out);
  EXPECT_THAT(conducted.endings(), ElementsAre(Fault::lock_timeout, std::nullopt));
  EXPECT_EQ(conducted.run.elapsed(), milliseconds(50) + 2 * std::chrono::microseconds(10));
}

TEST_P(ConductorOn, LeavesActorsAloneThatWouldOnlyWaitUntilNoOtherIsLeft) {
  Log log;
  Door closed;
  LooksAhead schedule({Choice{1}});
  Conducted conducted(GetParam(), schedule);
  conducted.actor(passes(&closed, &log, "T1")).actor(says(&log, {"b"}));
  ASSERT_TRUE(conducted.conduct().ok());
  ASSERT_THAT(schedule.seen, SizeIs(1)) << "with T1 alone left there is nothing to choose";
  EXPECT_TRUE(schedule.seen[0][0].would_wait);
  EXPECT_FALSE(schedule.seen[0][1].would_wait);
  EXPECT_THAT(conducted.taken(), ElementsAre(2, 1)) << "T1 waits at the end, so that the graph shows it";
  EXPECT_EQ(schedule.times_nothing_left, 1);
  EXPECT_EQ(conducted.run.ending(), record::Ending::stuck);
}

TEST_P(ConductorOn, TakesWhatADebuggerChoosesInsteadAndTellsTheSchedule) {
  Log log;
  AlwaysTheFirst debugger;
  Listed schedule({{1}, {1}});
  Conducted conducted(GetParam(), schedule);
  conducted.run.observer = &debugger;
  conducted.actor(says(&log, {"a"})).actor(says(&log, {"b"}));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(conducted.taken(), ElementsAre(1, 2)) << "T1 had ended before the second step";
  EXPECT_EQ(schedule.times_overruled, 1);
}

TEST_P(ConductorOn, GoesOnBesideAServerThatAnotherActorHoldsUp) {
  Log log;
  Server server(kNever);
  const auto schedule = order("T1 T2");
  Conducted conducted(GetParam(), *schedule, {.virtual_time = false});
  conducted.actor(asks(&server, 1, &log, "answered")).actor(lets_go(&server, &log, "let go"));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, ElementsAre("let go", "answered"));
  EXPECT_THAT(conducted.endings(), Each(std::nullopt));
}

TEST_P(ConductorOn, ChoosesNothingWhileAnAnswerIsOnItsWay) {
  Log log;
  Server server(milliseconds(5));
  const auto schedule = order("T1 T2");
  Conducted conducted(GetParam(), *schedule, {.virtual_time = false});
  conducted.actor(asks(&server, -1, &log, "answered")).actor(says(&log, {"b"}));
  ASSERT_TRUE(conducted.conduct().ok());
  EXPECT_THAT(log, ElementsAre("answered", "b"));
}

}  // namespace
}  // namespace lockstep
