// output_file_test.cc: a file that was asked for is whole, or as it was before; and who cannot have it is told at once.
#include "cli/args/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "tests/cli/child.h"

namespace lockstep::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NewFiles : public testing::Test {
 protected:
  std::string path(const std::string& name = "graph.dot") const { return folder_.path() + "/" + name; }
  std::string read(const std::string& name = "graph.dot") const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void put(const std::string& text) const { std::ofstream(path()) << text; }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  const ScratchFolder folder_;
};

TEST_F(NewFiles, TakeTheirPlaceWhenTheyAreWhole) {
  put("old");
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  {
    OutputFile file(path());
    ASSERT_TRUE(file.ready().ok());
    EXPECT_EQ(read(), "old");
    EXPECT_TRUE(file.keep("new").ok());
  }
  EXPECT_EQ(read(), "new");
  EXPECT_THAT(names(), ElementsAre("graph.dot"));
  struct stat status{};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST_F(NewFiles, LeaveWhatIsThereWhenNothingComesOfThem) {
  {
    const OutputFile file(path());
  }
  EXPECT_THAT(names(), IsEmpty());
  put("old");
  {
    const OutputFile file(path());
  }
  EXPECT_EQ(read(), "old");
  EXPECT_THAT(names(), ElementsAre("graph.dot"));
}

TEST_F(NewFiles, LeaveASymbolicLinkOne) {
  put("old");
  std::filesystem::create_symlink("graph.dot", path("link"));
  OutputFile file(path("link"));
  EXPECT_TRUE(file.keep("new").ok());
  EXPECT_EQ(read(), "new");
  EXPECT_THAT(names(), ElementsAre("graph.dot", "link"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
}

TEST_F(NewFiles, AreRefusedAtOnce) {
  const Result<void> folder = OutputFile(folder_.path()).ready();
  ASSERT_FALSE(folder.ok());
  EXPECT_THAT(folder.error().message, HasSubstr(folder_.path() + " cannot be written: Is a directory"));
  EXPECT_FALSE(OutputFile(path("none/graph.dot")).ready().ok());
  EXPECT_TRUE(OutputFile("/dev/null").keep("text").ok()) << "written in place";
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

// A search of every interleaving, one by one, takes hours: whoever is told after it would not be told here.
TEST_F(NewFiles, AreRefusedBeforeASearchBegins) {
  for (const char* option : {"--graph", "--save-schedule"}) {
    const Ended nowhere = Child({"explore", "threads/dining-philosophers", "--strategy", "unreduced", "--no-record",
                                 option, path("none/x")})
                              .wait();
    EXPECT_TRUE(nowhere.in_time);
    EXPECT_EQ(nowhere.code, 2);
    EXPECT_THAT(nowhere.err, HasSubstr(path("none/x") + " cannot be written: No such file or directory"));
  }
}

TEST_F(NewFiles, AreAsTheyWereAfterASearchThatIsInterrupted) {
  put("old");
  Child child({"explore", "threads/dining-philosophers", "--strategy", "unreduced", "--no-record", "--graph", path()});
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (names().size() < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  child.send(SIGINT);
  const Ended ended = child.wait();
  EXPECT_EQ(ended.code, 130) << ended.err;
  EXPECT_EQ(read(), "old");
  EXPECT_THAT(names(), ElementsAre("graph.dot"));
}

TEST_F(NewFiles, AreAsTheyWereAfterASearchThatFails) {
  put("old");
  const Ended failed = Child({"explore", "isolation/write-skew", "--store", "postgres", "--dsn", "host=/nonexistent",
                              "--no-record", "--graph", path()})
                           .wait();
  EXPECT_EQ(failed.code, 3) << failed.err;
  EXPECT_EQ(read(), "old");
  EXPECT_THAT(names(), ElementsAre("graph.dot"));
}

}  // namespace
}  // namespace lockstep::cli
