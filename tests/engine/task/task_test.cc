// task_test.cc: tasks give values, end with faults, and never grow the stack.
#include "engine/task/task.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lockstep {
namespace {

/// Starts a task on this stack; its value or its error once it has finished at once.
template <class T>
Result<T> outcome_of(Task<T> task) {
  detail::Promise<T>& promise = task.handle().promise();
  task.handle().resume();
  EXPECT_TRUE(promise.finished_else_notify()) << "the task did not finish at once";
  if (promise.error) return *promise.error;
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return promise.take();
  }
}

struct Noted {
  std::vector<std::string>* notes;
  std::string text;
  ~Noted() { notes->push_back(text); }
};

Task<int> seven() { co_return 7; }

Task<int> twice(int depth) {
  if (depth == 0) {
    const int value = co_await seven();
    co_return value;
  }
  const int below = co_await twice(depth - 1);
  co_return below;
}

Task<int> sum_of(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await seven();
  co_return sum;
}

Task<> refuse(std::vector<std::string>* notes) {
  const Noted inner{notes, "inner frame"};
  co_await fail(Fault::refused, "nothing left");
  notes->push_back("never");
}

Task<> passes_on(std::vector<std::string>* notes) {
  const Noted outer{notes, "outer frame"};
  co_await refuse(notes);
  notes->push_back("never");
}

Task<std::string> asks(std::vector<std::string>* notes) {
  const Result<void> ended = co_await tried(passes_on(notes));
  notes->push_back("asked");
  co_return ended.ok() ? std::string("fine") : ended.error().message;
}

Task<> throws() {
  throw std::runtime_error("from a library");
  co_return;
}

TEST(Task, GivesItsValueThroughEveryLevel) { EXPECT_EQ(*outcome_of(twice(50)), 7); }

// With symmetric transfer g++ 12 grows the stack here without optimisation and under sanitizers.
TEST(Task, CompletesAMillionTimesInALoopWithoutGrowingTheStack) {
  EXPECT_EQ(*outcome_of(sum_of(1'000'000)), 7'000'000);
}

TEST(Task, EndsWithTheFaultOfWhatItAwaitsAndDestroysTheInnermostFrameFirst) {
  std::vector<std::string> notes;
  const Result<void> ended = outcome_of(passes_on(&notes));
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.fault(), Fault::refused);
  EXPECT_EQ(notes, (std::vector<std::string>{"inner frame", "outer frame"}));
}

TEST(Task, GivesTheResultToWhoeverTries) {
  std::vector<std::string> notes;
  EXPECT_EQ(*outcome_of(asks(&notes)), "nothing left");
  EXPECT_EQ(notes, (std::vector<std::string>{"inner frame", "outer frame", "asked"}));
}

TEST(Task, EndsForeignExceptionsAsInternalFaults) {
  const Result<void> ended = outcome_of(throws());
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.fault(), Fault::internal);
  EXPECT_EQ(ended.error().message, "the body was left by an exception: from a library");
}

TEST(Task, DestroysAFrameThatWasNeverStarted) {
  std::vector<std::string> notes;
  {
    const Task<> unused = refuse(&notes);
  }
  EXPECT_TRUE(notes.empty());
}

}  // namespace
}  // namespace lockstep
