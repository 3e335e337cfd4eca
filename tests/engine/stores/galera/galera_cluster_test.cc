// galera_cluster_test.cc: a private cluster never outlives its owner, and what is wrong with a DSN is said.
#include "engine/stores/galera/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "engine/stores/galera/dsn.h"
#include "tests/engine/stores/eventually.h"

namespace lockstep::galera {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing_support::eventually;

bool runs(pid_t pid) { return pid > 0 && ::kill(pid, 0) == 0; }

/// A process that owns a cluster: what it wrote is each node's folder and process.
struct OwnerOfCluster {
  OwnerOfCluster() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[0]);
      auto started = PrivateNodes::start(mariadb::MariaDurable::no);
      std::string text;
      for (int i = 0; started && i < kNodes; ++i) {
        server::PrivateServer& node = (*started)->node(i);
        text += node.folder() + " " + std::to_string(node.server_pid()) + " ";
      }
      text += "\n";
      [[maybe_unused]] const auto written = ::write(ends[1], text.data(), text.size());
      for (;;) ::pause();
    }
    ::close(ends[1]);
    std::string text;
    for (char c = 0; ::read(ends[0], &c, 1) == 1 && c != '\n';) text += c;
    ::close(ends[0]);
    std::istringstream words(text);
    std::string folder;
    for (pid_t server = 0; words >> folder >> server;) {
      folders.push_back(folder);
      servers.push_back(server);
    }
  }
  ~OwnerOfCluster() { kill(); }
  void kill() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = 0;
  }
  pid_t pid = 0;
  std::vector<std::string> folders;
  std::vector<pid_t> servers;
};

TEST(GaleraCluster, EndsWhenItsOwnerIsKilled) {
  if (const auto here = find_provider(); !here) GTEST_SKIP() << "skipped: " << here.error().message;
  OwnerOfCluster owner;
  ASSERT_EQ(owner.servers.size(), static_cast<std::size_t>(kNodes));
  EXPECT_TRUE(std::all_of(owner.servers.begin(), owner.servers.end(), runs));
  owner.kill();
  EXPECT_TRUE(eventually([&] {
    return std::none_of(owner.servers.begin(), owner.servers.end(), runs) &&
           std::none_of(owner.folders.begin(), owner.folders.end(), [](const auto& each) { return fs::exists(each); });
  }));
}

TEST(GaleraCluster, SaysWhatToInstall) {
  ::setenv("LOCKSTEP_GALERA_PROVIDER", "/nowhere/libgalera_smm.so", 1);
  const auto found = find_provider();
  const auto started = PrivateNodes::start(mariadb::MariaDurable::no);
  ::unsetenv("LOCKSTEP_GALERA_PROVIDER");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.fault(), Fault::unavailable);
  EXPECT_THAT(found.error().message, HasSubstr("/nowhere/libgalera_smm.so"));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.fault(), Fault::unavailable);
}

TEST(GaleraDsn, HasOneLoginForAllHosts) {
  const auto nodes = dsns_of_nodes("galera://bob:s%40cret@db1:3307,db2,[::1]:3309/");
  ASSERT_TRUE(nodes) << nodes.error().message;
  EXPECT_THAT(*nodes, ElementsAre("mysql://bob:s%40cret@db1:3307", "mysql://bob:s%40cret@db2",
                                  "mysql://bob:s%40cret@[::1]:3309"));
  EXPECT_EQ(without_password("galera://bob:s%40cret@db1:3307,db2"), "galera://bob@db1:3307,db2");
  EXPECT_EQ(without_password("galera://db1,db2"), "galera://db1,db2");
}

TEST(GaleraDsn, ThatIsNoneIsSaidWithoutItsText) {
  for (const char* text :
       {"", "mysql://bob:secret@db1,db2", "galera://", "galera://bob:secret@", "galera://bob:secret@,",
        "galera://bob:secret@db1,,db2", "galera://bob:secret@db1:x", "galera://bob:secret@db1,"}) {
    const auto nodes = dsns_of_nodes(text);
    ASSERT_FALSE(nodes) << text;
    EXPECT_EQ(nodes.fault(), Fault::invalid);
    EXPECT_THAT(nodes.error().message, Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace lockstep::galera
