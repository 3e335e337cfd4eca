// generator_test.cc: a sequence is made as far as somebody asks for it, and not one step further.
#include "engine/task/generator.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace lockstep {
namespace {

Generator<int> numbers(int* made) {
  for (int n = 1;; ++n) {
    ++*made;
    co_yield n;
  }
}

Generator<std::string> words(int* destroyed) {
  struct Counts {
    int* count;
    ~Counts() { ++*count; }
  };
  const Counts counts{destroyed};
  co_yield std::string("one");
  co_yield "two";
}

Generator<int> throws_after(int count) {
  for (int i = 0; i < count; ++i) co_yield i;
  throw std::runtime_error("no more");
}

TEST(Generator, MakesNoMoreThanIsAskedFor) {
  int made = 0;
  std::vector<int> seen;
  for (const int n : numbers(&made)) {
    seen.push_back(n);
    if (n == 3) break;
  }
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(made, 3);
}

TEST(Generator, MakesNothingBeforeItIsAsked) {
  int made = 0;
  const Generator<int> unused = numbers(&made);
  EXPECT_EQ(made, 0);
}

TEST(Generator, EndsAndDestroysItsFrameWhereverItStands) {
  int destroyed = 0;
  std::string all;
  for (const std::string& word : words(&destroyed)) all += word;
  EXPECT_EQ(all, "onetwo");
  EXPECT_EQ(destroyed, 1);
  {
    Generator<std::string> half = words(&destroyed);
    EXPECT_EQ(*half.begin(), "one");
  }
  EXPECT_EQ(destroyed, 2);
}

TEST(Generator, HandsAnExceptionToWhoeverAsks) {
  int seen = 0;
  const auto all = [&seen] {
    for (const int n : throws_after(2)) seen += 1 + n * 0;
  };
  EXPECT_THROW(all(), std::runtime_error);
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace lockstep
