// redis_server_test.cc: a private server never outlives its owner, and keeps nothing on the disk.
#include "engine/stores/redis/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/stores/redis/connection.h"
#include "tests/engine/stores/eventually.h"

namespace lockstep::redis {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing_support::eventually;

bool runs(pid_t pid) { return pid > 0 && ::kill(pid, 0) == 0; }

/// A folder for servers of the test's own, and the variable that names it.
class OwnTemporaryFolder {
 public:
  OwnTemporaryFolder() {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    ::chmod(path_.c_str(), 0755);
    if (const char* before = std::getenv("TMPDIR")) before_ = before;
    ::setenv("TMPDIR", path_.c_str(), 1);
  }
  ~OwnTemporaryFolder() {
    before_.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", before_.c_str(), 1);
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  bool is_empty() const { return fs::is_empty(path_); }

 private:
  std::string path_ = "/tmp/lockstep-test-XXXXXX";
  std::string before_;
};

class RedisServer : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto program = find_server_program(); !program) GTEST_SKIP() << "skipped: " << program.error().message;
  }
  const OwnTemporaryFolder folder_;
};

TEST_F(RedisServer, AnswersWhileItLivesAndIsGoneAfterwards) {
  auto server = start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  const std::string folder = (*server)->folder();
  const int pid = (*server)->server_pid();
  EXPECT_TRUE(runs(pid));
  const auto dsn = RedisDsn::parse((*server)->dsn());
  ASSERT_TRUE(dsn) << dsn.error().message;
  auto connection = RedisConnection::open(*dsn, 5s);
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_EQ((*connection)->server_pid(), pid);
  const auto setting = [&](const char* name) {
    return (*connection)->ask({{"CONFIG", "GET", name}})->front().items[1].text;
  };
  EXPECT_EQ(setting("port"), "0");
  EXPECT_EQ(setting("save"), "");
  EXPECT_EQ(setting("appendonly"), "no");
  connection->reset();
  server->reset();
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_FALSE(runs(pid));
  EXPECT_TRUE(folder_.is_empty());
}

TEST_F(RedisServer, IsNotRunByRootAndIsClosedToOthers) {
  auto server = start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  struct stat data{}, socket{}, process{};
  ASSERT_EQ(::stat(((*server)->folder() + "/data").c_str(), &data), 0);
  ASSERT_EQ(::stat(((*server)->folder() + "/s").c_str(), &socket), 0);
  ASSERT_EQ(::stat(("/proc/" + std::to_string((*server)->server_pid())).c_str(), &process), 0);
  EXPECT_NE(process.st_uid, 0U);
  EXPECT_NE(data.st_uid, 0U);
  EXPECT_EQ(data.st_mode & 077U, 0U);
  EXPECT_EQ(socket.st_mode & 077U, 0U) << "whoever reaches the socket may do everything";
}

/// A process that owns a server: what it wrote is the server's folder and process.
struct OwnerOfServer {
  OwnerOfServer() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[0]);
      auto started = start_private_server();
      const std::string text =
          started ? (*started)->folder() + " " + std::to_string((*started)->server_pid()) + "\n" : "\n";
      [[maybe_unused]] const auto written = ::write(ends[1], text.data(), text.size());
      for (;;) ::pause();
    }
    ::close(ends[1]);
    std::string text;
    for (char c = 0; ::read(ends[0], &c, 1) == 1 && c != '\n';) text += c;
    ::close(ends[0]);
    const std::size_t gap = text.find(' ');
    EXPECT_NE(gap, std::string::npos) << "the owner has no server";
    if (gap == std::string::npos) return;
    folder = text.substr(0, gap);
    server = std::atoi(text.c_str() + gap);
  }
  ~OwnerOfServer() { kill(); }
  void kill() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
  std::string folder;
  pid_t pid = 0, server = 0;
};

TEST_F(RedisServer, EndsWhenItsOwnerIsKilled) {
  OwnerOfServer owner;
  ASSERT_TRUE(runs(owner.server));
  owner.kill();
  EXPECT_TRUE(eventually([&] { return !runs(owner.server) && !fs::exists(owner.folder); }));
}

TEST_F(RedisServer, ThatIsLeftOverIsSweptUpAtTheNextStart) {
  auto server = start_private_server();
  ASSERT_TRUE(server) << server.error().message;
  // The sweep goes through /tmp too, where another process may have left something.
  EXPECT_THAT(remove_stale_servers(), Not(testing::Contains((*server)->folder()))) << "its owner lives";
  const std::string folder = (*server)->folder() + "-left";
  // As a killed owner and supervisor leave it: nobody has the lock.
  fs::create_directories(folder + "/data");
  fs::create_directories(folder + "/s");
  std::ofstream(folder + "/owner");
  EXPECT_THAT(remove_stale_servers(), testing::Contains(folder));
  EXPECT_FALSE(fs::exists(folder));
}

TEST(RedisServers, SaysWhatToInstall) {
  ::setenv("LOCKSTEP_REDIS_BIN", "/nowhere", 1);
  const auto program = find_server_program();
  ::unsetenv("LOCKSTEP_REDIS_BIN");
  ASSERT_FALSE(program);
  EXPECT_EQ(program.fault(), Fault::unavailable);
  EXPECT_THAT(program.error().message, HasSubstr("/nowhere"));
}

}  // namespace
}  // namespace lockstep::redis
