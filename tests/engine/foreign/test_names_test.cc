// test_names_test.cc: what --gtest_list_tests prints, read.
#include "engine/foreign/test_names.h"

#include <gmock/gmock.h>

namespace lockstep::foreign {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(TestNames, AListIsRead) {
  EXPECT_THAT(tests_listed_in("Running main() from gtest_main.cc\n"
                              "Accounts.\n"
                              "  InOrder\n"
                              "  DISABLED_Crosswise\n"
                              "Sizes/Pool.\r\n"
                              "  Ends/0  # GetParam() = 3\r\n"
                              "  Ends/1  # GetParam() = \"a b\"\n"
                              "Typed/0.  # TypeParam = int\n"
                              "  Holds\n"
                              "DISABLED_Old.\n"
                              "  Works"),
              ElementsAre("Accounts.InOrder", "Sizes/Pool.Ends/0", "Sizes/Pool.Ends/1", "Typed/0.Holds"));
  EXPECT_THAT(tests_listed_in("usage: server PORT\n  -v  says more\n"), IsEmpty());
  EXPECT_THAT(tests_listed_in(""), IsEmpty());
}

TEST(TestNames, AProgramOfTestsIsAsked) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "it asks itself, and a program with ThreadSanitizer is refused";
#endif
  const Result<ProgramCall> own = call_of({"/proc/self/exe", "--gtest_filter=TestNames.A*"});
  ASSERT_TRUE(own.ok());
  const Result<std::vector<std::string>> tests = tests_of(*own);
  ASSERT_TRUE(tests.ok()) << tests.error().message;
  EXPECT_THAT(*tests, ElementsAre("TestNames.AListIsRead", "TestNames.AProgramOfTestsIsAsked"));
  EXPECT_EQ(call_of_test(*own, "A.B").words.back(), "--gtest_filter=A.B");
  const Result<ProgramCall> other = call_of({"true"});
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(tests_of(*other).error().message, "true lists no tests: it is to be made with GoogleTest");
}

}  // namespace
}  // namespace lockstep::foreign
