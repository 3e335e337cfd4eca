// mend_test.cc: `lockstep mend` as people meet it.
#include <gmock/gmock.h>

#include <fstream>

#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class Mend : public testing::Test {
 protected:
  Ended mends(const std::string& text, std::vector<std::string> more = {}) {
    const std::string path = folder_.path() + "/case.spec";
    std::ofstream(path) << text;
    std::vector<std::string> words = {"mend", path};
    words.insert(words.end(), more.begin(), more.end());
    return lockstep(words);
  }
  ScratchFolder folder_;
};

constexpr const char* kCrossed =
    "given A = 100, B = 100\nT1: begin\nT1: add A -10\nT2: begin\nT2: add B -20\nT1: add B 10\nT2: add A 20\n"
    "T1: commit\nT2: commit\n";

TEST_F(Mend, ShowsWhatHelpsInEveryOrder) {
  const Ended ended = mends(kCrossed, {"--protocol", "2pl-detect", "--budget", "2000"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, ContainsRegex("✗ as it is +2pl-detect +[0-9]+ clean, [0-9]+ deadlock"));
  EXPECT_THAT(ended.out, ContainsRegex("✓ in-order +2pl-detect +[0-9]+ clean\n"));
  EXPECT_THAT(ended.out, ContainsRegex("↻ retry +2pl-detect"));
  EXPECT_THAT(ended.out, HasSubstr("   + T2: add A 20\n"));
}

TEST_F(Mend, TriesTheOtherLevels) {
  const Ended ended = mends(kCrossed, {"--budget", "2000"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, ContainsRegex("✓ retry +serial"));
  EXPECT_THAT(ended.out, HasSubstr(" --protocol serial\n"));
}

TEST_F(Mend, SaysThatNothingHelps) {
  const Ended ended = mends("given A = 1\nT1: begin\nT1: write A = 2\nT1: commit\nholds \"A stays\" A = 1\n",
                            {"--protocol", "2pl-detect"});
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("None of these is free of bad ends"));
}

TEST_F(Mend, HasNothingToDoWhereAllIsWell) {
  const Ended ended = mends("given A = 1\nT1: begin\nT1: write A = 2\nT1: commit\n", {"--protocol", "2pl-detect"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("there is nothing to mend"));
}

TEST_F(Mend, RefusesWhatIsNoScript) {
  EXPECT_EQ(lockstep({"mend", "deadlock/two-lock"}).code, 2);
  EXPECT_EQ(mends("T1 begin\n").code, 2);
  const Ended named = mends("session s1\nstep a { select 1 }\npermutation a\n", {"--store", "sqlite"});
  EXPECT_EQ(named.code, 2);
  EXPECT_THAT(named.err, HasSubstr("permutations of named steps cannot be rewritten"));
}

}  // namespace
}  // namespace lockstep::cli
