// each_test_test.cc: `lockstep explore --each-test` on a GoogleTest program: this one, of which the tests EachTestOf
// are explored.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/child.h"
#include "tests/engine/temporary_folder.h"

namespace lockstep::cli {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

constexpr const char* kIsExplored = "EACH_TEST_IS_EXPLORED";

void take_both(std::mutex& first, std::mutex& second) {
  const std::lock_guard<std::mutex> one(first);
  const std::lock_guard<std::mutex> other(second);
}

class EachTestOf : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv(kIsExplored) == nullptr) GTEST_SKIP() << "skipped: to be explored by the tests EachTest";
  }
  std::mutex a_, b_;
};

TEST_F(EachTestOf, OneOrder) {
  std::thread one([&] { take_both(a_, b_); }), other([&] { take_both(a_, b_); });
  one.join();
  other.join();
}

TEST_F(EachTestOf, Crosswise) {
  std::thread one([&] { take_both(a_, b_); }), other([&] { take_both(b_, a_); });
  one.join();
  other.join();
}

TEST_F(EachTestOf, DISABLED_Endless) {
  for (;;) std::this_thread::yield();
}

Ended explored(const std::vector<std::string>& options, const std::string& filter = "EachTestOf.*") {
  std::vector<std::string> words{"explore", "--each-test"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--", std::filesystem::read_symlink("/proc/self/exe"), "--gtest_filter=" + filter});
  return lockstep(words, {{kIsExplored, "1"}});
}

TEST(EachTest, HasALineForEach) {
  const TemporaryFolder folder;
  const std::string junit = folder.path() + "/each.xml";
  const Ended ended = explored({"--out", folder.path() + "/runs", "--junit", junit});
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("EachTestOf.OneOrder   "));
  EXPECT_THAT(ended.out, ContainsRegex("OneOrder +[0-9]+ runs, all orders: none ends badly\n"));
  EXPECT_THAT(ended.out, ContainsRegex("Crosswise +[0-9]+ runs, all orders: deadlock T1 → T2 → T1; lockstep debug "
                                       "[0-9a-f]+\n2 tests: 1 ends badly in some order\n"));
  std::ifstream file(junit);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("tests=\"2\""));
  EXPECT_THAT(text, HasSubstr("failures=\"1\""));
  EXPECT_THAT(text, HasSubstr("name=\"EachTestOf.Crosswise\""));
}

TEST(EachTest, GivesALineOfJsonForEach) {
  const Ended ended = explored({"--no-record", "--json"});
  EXPECT_EQ(ended.code, 1) << ended.err;
  std::istringstream lines(ended.out);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json each = nlohmann::json::parse(line);
    names.push_back(each.at("scenario"));
    EXPECT_TRUE(each.at("complete").get<bool>());
    EXPECT_EQ(each.at("deadlocks") != 0, names.back() == "EachTestOf.Crosswise");
  }
  EXPECT_THAT(names, testing::ElementsAre("EachTestOf.OneOrder", "EachTestOf.Crosswise"));
}

TEST(EachTest, SaysWhatItCannotDo) {
  EXPECT_EQ(explored({"--no-record"}, "EachTestOf.OneOrder").code, 0);
  const Ended none = explored({"--no-record"}, "No.Such");
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("lists no tests: it is to be made with GoogleTest"));
  EXPECT_EQ(explored({"--save-schedule", "one.jsonl"}).code, 2);
  EXPECT_EQ(lockstep({"explore", "threads/two-lock", "--each-test"}).code, 2);
}

}  // namespace
}  // namespace lockstep::cli
