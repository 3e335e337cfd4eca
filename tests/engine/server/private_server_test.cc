// private_server_test.cc: what every private server has alike, shown with one that is no database: a shell that sleeps.
// What a real server needs is tested in the folder of its store.
#include "engine/server/private_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

namespace lockstep::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

int g_leftovers = 0;

const ServerKind& sleeper() {
  // Of this process alone: a start sweeps up what others of the name have left.
  static const std::string name = "sleeper-" + std::to_string(::getpid());
  static const ServerKind kind{.title = "Sleeper",
                               .name = name.c_str(),
                               .users = {"nobody"},
                               .socket = "/s/socket",
                               .pid_file = "/data/pid",
                               .stop_signal = SIGTERM,
                               .remove_leftovers = [](const std::string&) noexcept { ++g_leftovers; }};
  return kind;
}

class Sleeper final : public ServerRecipe {
 public:
  explicit Sleeper(std::string script) : script_(std::move(script)) {}
  const ServerKind& kind() const noexcept override { return sleeper(); }
  Result<bool> make_data(const ServerFolder&, const ServerUser&, int attempt) override {
    attempts = attempt;
    return attempt < attempts_most;
  }
  std::vector<std::string> arguments(const ServerFolder&) const override { return {"/bin/sh", "-c", script_}; }
  std::string dsn(const ServerFolder& folder) const override { return folder.path(); }
  bool accepts(const std::string& dsn) const override { return fs::exists(dsn + "/data/pid"); }

  int attempts = 0;
  int attempts_most = 1;

 private:
  const std::string script_;
};

constexpr const char* kSleeps = "echo $$ > data/made && mv data/made data/pid && exec sleep 600";

bool runs(int pid) { return pid > 0 && ::kill(pid, 0) == 0; }

template <class Condition>
bool eventually(Condition condition) {
  for (const auto deadline = std::chrono::steady_clock::now() + 20s; !condition();) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);  // between two looks
  }
  return true;
}

TEST(PrivateServer, IsGoneWithItsFolderWhenItsOwnerEndsIt) {
  Sleeper recipe(kSleeps);
  g_leftovers = 0;
  auto server = PrivateServer::start(recipe, 20s);
  ASSERT_TRUE(server.ok()) << server.error().message;
  const std::string folder = (*server)->folder();
  const int pid = (*server)->server_pid();
  EXPECT_TRUE((*server)->alive());
  EXPECT_TRUE(runs(pid));
  EXPECT_EQ((*server)->dsn(), folder);
  EXPECT_THAT(folder, HasSubstr(std::string("/") + sleeper().name + "-"));
  struct stat status{};
  ASSERT_EQ(::stat((folder + "/s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U) << "others may reach the socket";
  server->reset();
  EXPECT_FALSE(runs(pid));
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_EQ(g_leftovers, 1);
}

TEST(PrivateServer, ThatDoesNotStartSaysWhy) {
  Sleeper recipe("echo no room >&2; exit 1");
  const auto server = PrivateServer::start(recipe, 20s);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.fault(), Fault::unavailable);
  EXPECT_EQ(server.error().message, "the private Sleeper did not start:\nno room");
}

TEST(PrivateServer, ThatNeverAcceptsIsGivenUp) {
  Sleeper recipe("exec sleep 600");
  const auto server = PrivateServer::start(recipe, 50ms);
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(server.error().message, HasSubstr("the private Sleeper did not accept connections within 50 ms"));
}

TEST(PrivateServer, IsTriedAgainWhereItsRecipeSaysThatThisMayHelp) {
  Sleeper recipe("exit 1");
  recipe.attempts_most = 3;
  EXPECT_FALSE(PrivateServer::start(recipe, 20s).ok());
  EXPECT_EQ(recipe.attempts, 3);
}

TEST(SharedServer, IsMadeOnceAndAgainWhenItHasDied) {
  SharedServer shared([] {
    Sleeper recipe(kSleeps);
    return PrivateServer::start(recipe, 20s);
  });
  EXPECT_FALSE(shared.exists());
  const auto first = shared.dsn();
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_TRUE(shared.exists());
  EXPECT_EQ(*shared.dsn(), *first);
  ::kill(server_pid_in(sleeper(), *first), SIGKILL);
  EXPECT_TRUE(eventually([&] { return *shared.dsn() != *first; })) << "a dead server is handed out";
  const std::string second = *shared.dsn();
  shared.end();
  EXPECT_FALSE(shared.exists());
  EXPECT_FALSE(fs::exists(second));
}

}  // namespace
}  // namespace lockstep::server
