// postgres_cluster_test.cc: a private cluster never outlives its owner, however that ends, and never harms others.
#include "engine/stores/postgres/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::postgres {
namespace {

namespace fs = std::filesystem;
using postgres_testing::eventually;
using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

bool runs(pid_t pid) { return pid > 0 && ::kill(pid, 0) == 0; }
bool accepts(const std::string& dsn) { return ::PQping(dsn.c_str()) == PQPING_OK; }

/// The System V segment that the server's pid file names.
int shared_memory_of(const std::string& folder) {
  std::ifstream file(folder + "/data/postmaster.pid");
  std::string line;
  for (int number = 1; number <= 7; ++number) std::getline(file, line);
  return std::atoi(line.substr(line.rfind(' ') + 1).c_str());
}
bool shared_memory_exists(int id) {
  shmid_ds segment{};
  return ::shmctl(id, IPC_STAT, &segment) == 0;
}
/// The server's children are attached until they notice that it is gone.
bool is_detached(int id) {
  shmid_ds segment{};
  return ::shmctl(id, IPC_STAT, &segment) != 0 || segment.shm_nattch == 0;
}

/// An environment variable for the length of a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

/// A folder for the length of a test.
struct TemporaryFolder {
  TemporaryFolder() {
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    ::chmod(path.c_str(), 0755);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path = "/tmp/lockstep-test-XXXXXX";
};

/// The parent of a process of ours.
pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  char state = 0;
  int parent = 0;
  const auto end = text.rfind(')');
  if (end == std::string::npos || std::sscanf(text.c_str() + end + 1, " %c %d", &state, &parent) != 2) return 0;
  return parent;
}

/// A program that owns a cluster, as a child process in a process group of its own.
class Owner {
 public:
  explicit Owner(const std::function<void()>& before = [] {}) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the test program itself may be killed
      ::close(ends[0]);
      before();
      auto cluster = start_private_cluster();
      const std::string text =
          cluster ? (*cluster)->folder() + " " + std::to_string((*cluster)->server_pid()) + "\n" : "\n";
      [[maybe_unused]] const auto written = ::write(ends[1], text.data(), text.size());
      for (;;) ::pause();
    }
    ::close(ends[1]);
    pipe_ = ends[0];
    std::string text;
    for (char c = 0; ::read(pipe_, &c, 1) == 1 && c != '\n';) text += c;
    const auto gap = text.find(' ');
    EXPECT_NE(gap, std::string::npos) << "the owner has no cluster";
    if (gap == std::string::npos) return;
    folder = text.substr(0, gap);
    server = std::atoi(text.c_str() + gap);
    supervisor = parent_of(server);
  }
  ~Owner() {
    end(SIGKILL);
    ::close(pipe_);
    if (testing::Test::HasFailure() && runs(server)) ::kill(server, SIGKILL);  // what the test found must not stay
  }
  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(-pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  /// True when nobody else holds what the owner wrote to: its end is seen at once by whoever reads from it.
  bool is_output_closed() {
    char c = 0;
    return ::read(pipe_, &c, 1) == 0;
  }
  bool is_swept() const { return !fs::exists(folder) && !runs(server); }

  std::string folder;
  pid_t server = 0;
  pid_t supervisor = 0;

 private:
  pid_t pid_ = 0;
  int pipe_ = -1;
};

class PostgresCluster : public testing::Test {
 protected:
  void SetUp() override {
    if (!postgres_testing::has_server_programs()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed";
  }

  /// Its own, so that another test's start does not sweep up what this one wants to see swept.
  const TemporaryFolder base_;
  const Variable tmpdir_{"TMPDIR", base_.path};
};

TEST_F(PostgresCluster, AnswersWhileItLivesAndIsGoneAfterwards) {
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  const std::string folder = (*cluster)->folder(), dsn = (*cluster)->dsn();
  const pid_t server = (*cluster)->server_pid();
  EXPECT_TRUE(accepts(dsn));
  EXPECT_TRUE(runs(server));
  EXPECT_TRUE((*cluster)->alive());
  cluster->reset();
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_FALSE(runs(server));
}

TEST_F(PostgresCluster, IsNotRunByRootAndIsClosedToOthers) {
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  struct stat data{};
  struct stat socket{};
  ASSERT_EQ(::stat(((*cluster)->folder() + "/data").c_str(), &data), 0);
  ASSERT_EQ(::stat(((*cluster)->folder() + "/s").c_str(), &socket), 0);
  EXPECT_NE(data.st_uid, 0U);
  EXPECT_EQ(data.st_mode & 077U, 0U);
  EXPECT_EQ(socket.st_mode & 077U, 0U);
}

TEST_F(PostgresCluster, SurvivesTheSweepOfStaleOnes) {
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_THAT(remove_stale_clusters(), Not(Contains((*cluster)->folder())));
  EXPECT_TRUE(accepts((*cluster)->dsn()));
}

TEST_F(PostgresCluster, EndsWhenItsOwnerIsKilled) {
  Owner owner;
  ASSERT_TRUE(runs(owner.server));
  owner.end(SIGKILL);
  EXPECT_TRUE(owner.is_output_closed());
  EXPECT_TRUE(eventually([&] { return owner.is_swept(); }));
}

TEST_F(PostgresCluster, EndsWhenItsOwnerIsInterrupted) {
  Owner owner;
  owner.end(SIGINT);  // to the whole group, as a terminal does
  EXPECT_TRUE(eventually([&] { return owner.is_swept(); }));
}

TEST_F(PostgresCluster, OutlivesAnInterruptThatItsOwnerHandles) {
  Owner owner([] { ::signal(SIGINT, SIG_IGN); });
  EXPECT_NE(::getpgid(owner.server), owner.pid());
  EXPECT_NE(::getsid(owner.server), ::getsid(owner.pid()));
  ::kill(-owner.pid(), SIGINT);
  EXPECT_TRUE(accepts("host='" + owner.folder + "/s' port=5432 user=postgres dbname=postgres"));
  owner.end(SIGKILL);
  EXPECT_TRUE(eventually([&] { return owner.is_swept(); }));
}

TEST_F(PostgresCluster, EndsWhenOwnerAndSupervisorAreKilledAndIsSweptUpAtTheNextStart) {
  Owner owner;
  ASSERT_TRUE(runs(owner.supervisor));
  ::kill(owner.supervisor, SIGKILL);
  owner.end(SIGKILL);
  EXPECT_TRUE(eventually([&] { return !runs(owner.server); })) << "the kernel stops the server with its supervisor";
  ASSERT_TRUE(fs::exists(owner.folder));
  auto next = start_private_cluster();
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_FALSE(fs::exists(owner.folder));
}

TEST_F(PostgresCluster, IsStoppedAtTheNextStartWhenItRunsOnWithoutAnybody) {
  Owner owner;
  ::kill(owner.server, SIGSTOP);  // so that it cannot obey when its supervisor dies
  ::kill(owner.supervisor, SIGKILL);
  owner.end(SIGKILL);
  ASSERT_TRUE(runs(owner.server));
  // The lock is free once the kernel has taken the supervisor down. A sweep may find what others have left, too.
  EXPECT_TRUE(eventually([&] {
    const std::vector<std::string> removed = remove_stale_clusters();
    return std::find(removed.begin(), removed.end(), owner.folder) != removed.end();
  }));
  EXPECT_TRUE(eventually([&] { return owner.is_swept(); }));
}

/// A folder that looks like that of a dead owner, whose pid file names a living process that has nothing to do with it.
class StaleFolder {
 public:
  StaleFolder() : path(std::string(std::getenv("TMPDIR")) + "/lockstep-pg-XXXXXX") {
    innocent = ::fork();
    if (innocent == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) ::pause();
    }
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    fs::create_directories(path + "/data");
    fs::create_directories(path + "/s");
    std::ofstream(path + "/owner");
    std::ofstream(path + "/data/postmaster.pid") << innocent << "\n" << path << "/data\n";
  }
  ~StaleFolder() {
    ::kill(innocent, SIGKILL);
    ::waitpid(innocent, nullptr, 0);
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  bool innocent_lives() const { return ::waitpid(innocent, nullptr, WNOHANG) == 0; }

  std::string path;
  pid_t innocent = 0;
};

TEST_F(PostgresCluster, SweepSparesAProcessThatGotTheServersNumber) {
  StaleFolder stale;
  EXPECT_THAT(remove_stale_clusters(), Contains(stale.path));
  EXPECT_FALSE(fs::exists(stale.path));
  EXPECT_TRUE(stale.innocent_lives());
}

TEST_F(PostgresCluster, SweepTouchesNothingWhenSomebodyElseListensInTheFolder) {
  StaleFolder stale;
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, (stale.path + "/s/.s.PGSQL.5432").c_str());
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  EXPECT_THAT(remove_stale_clusters(), Not(Contains(stale.path)));
  EXPECT_TRUE(fs::exists(stale.path));
  EXPECT_TRUE(stale.innocent_lives());
  ::close(listener);
}

TEST_F(PostgresCluster, SweepSparesAFolderWhoseOwnerHoldsTheLock) {
  StaleFolder folder;
  const int lock = ::open((folder.path + "/owner").c_str(), O_RDWR);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  EXPECT_THAT(remove_stale_clusters(), Not(Contains(folder.path)));
  ::close(lock);
  EXPECT_THAT(remove_stale_clusters(), Contains(folder.path));
}

TEST_F(PostgresCluster, SweepTakesAFolderThatItsOwnerNeverLocked) {
  StaleFolder stale;
  fs::remove(stale.path + "/owner");
  EXPECT_THAT(remove_stale_clusters(), Contains(stale.path));
}

TEST_F(PostgresCluster, KnowsThatItsServerHasDied) {
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  const std::string folder = (*cluster)->folder();
  const int segment = shared_memory_of(folder);
  EXPECT_TRUE(shared_memory_exists(segment));
  ::kill((*cluster)->server_pid(), SIGKILL);
  EXPECT_TRUE(eventually([&] { return !(*cluster)->alive(); }));
  EXPECT_TRUE(fs::exists(folder + "/log"));
  EXPECT_TRUE(eventually([&] { return is_detached(segment); }));
  cluster->reset();
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_FALSE(shared_memory_exists(segment));
}

TEST_F(PostgresCluster, LetGoStopsItWithoutWaiting) {
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  const std::string folder = (*cluster)->folder();
  (*cluster)->let_go();
  EXPECT_TRUE(eventually([&] { return !fs::exists(folder); }));
}

TEST_F(PostgresCluster, SaysWhyTheServerDoesNotStart) {
  auto cluster = start_private_cluster({.settings = {"shared_buffers=nonsense"}});
  ASSERT_FALSE(cluster);
  EXPECT_EQ(cluster.fault(), Fault::unavailable);
  EXPECT_THAT(cluster.error().message, HasSubstr("shared_buffers"));
}

TEST_F(PostgresCluster, SaysHowToGetAServerWhenThereIsNone) {
  const Variable folder("LOCKSTEP_PG_BIN", "/nonexistent");
  const auto cluster = start_private_cluster();
  ASSERT_FALSE(cluster);
  EXPECT_EQ(cluster.fault(), Fault::unavailable);
  EXPECT_THAT(cluster.error().message, HasSubstr("/nonexistent"));
}

TEST_F(PostgresCluster, LiesInTmpdirUnlessASocketsPathWouldNotFit) {
  const TemporaryFolder base;
  {
    const Variable tmpdir("TMPDIR", base.path);
    auto cluster = start_private_cluster();
    ASSERT_TRUE(cluster) << cluster.error().message;
    EXPECT_THAT((*cluster)->folder(), HasSubstr(base.path));
  }
  const std::string deep = base.path + "/" + std::string(80, 'x');
  fs::create_directories(deep);
  const Variable tmpdir("TMPDIR", deep);
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_THAT((*cluster)->folder(), Not(HasSubstr(deep)));
}

TEST_F(PostgresCluster, AvoidsATmpdirThatTheServersUserCannotEnter) {
  if (::geteuid() != 0) GTEST_SKIP() << "skipped: only root runs the server as another user";
  const TemporaryFolder base;
  ::chmod(base.path.c_str(), 0700);
  const Variable tmpdir("TMPDIR", base.path);
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  EXPECT_THAT((*cluster)->folder(), Not(HasSubstr(base.path)));
}

TEST_F(PostgresCluster, StartsFromATemplateAndAlsoWithoutOrWithADamagedOne) {
  const TemporaryFolder cache;
  const Variable place("XDG_CACHE_HOME", cache.path);
  for (const char* state : {"empty", "filled", "damaged", "mended"}) {
    SCOPED_TRACE(state);
    auto cluster = start_private_cluster();
    ASSERT_TRUE(cluster) << cluster.error().message;
    EXPECT_TRUE(accepts((*cluster)->dsn()));
    ASSERT_EQ(std::distance(fs::directory_iterator(cache.path + "/lockstep"), fs::directory_iterator()), 1);
    const fs::path stored = fs::directory_iterator(cache.path + "/lockstep")->path();
    if (std::string_view(state) == "filled") fs::resize_file(stored / "global" / "pg_control", 100);
    if (std::string_view(state) == "mended") {
      EXPECT_GT(fs::file_size(stored / "global" / "pg_control"), 100U);
    }
  }
}

TEST_F(PostgresCluster, StartsWithoutACache) {
  const TemporaryFolder folder;
  std::ofstream(folder.path + "/file");
  const Variable place("XDG_CACHE_HOME", folder.path + "/file");  // cannot be made a folder, even by root
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
}

TEST_F(PostgresCluster, DoesNotTakeATemplateThatOthersMayWrite) {
  const TemporaryFolder cache;
  const Variable place("XDG_CACHE_HOME", cache.path);
  ASSERT_TRUE(start_private_cluster());
  const fs::path stored = fs::directory_iterator(cache.path + "/lockstep")->path();
  std::ofstream(stored / "postgresql.auto.conf") << "# planted\n";
  ::chmod(stored.c_str(), 0777);
  auto cluster = start_private_cluster();
  ASSERT_TRUE(cluster) << cluster.error().message;
  std::ifstream file((*cluster)->folder() + "/data/postgresql.auto.conf");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, Not(HasSubstr("planted")));
}

TEST_F(PostgresCluster, IsSharedByTheProcessAndStartedAgainWhenItDied) {
  end_private_cluster();
  const auto first = private_cluster_dsn();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(has_private_cluster());
  EXPECT_EQ(*first, *private_cluster_dsn());
  const std::string folder = first->substr(6, first->find("/s'") - 6);
  int server = 0;
  std::ifstream(folder + "/data/postmaster.pid") >> server;
  ASSERT_TRUE(runs(server));
  ::kill(server, SIGKILL);
  ASSERT_TRUE(eventually([&] { return !accepts(*first); }));
  ASSERT_TRUE(eventually([&] { return *private_cluster_dsn() != *first; }));
  EXPECT_TRUE(accepts(*private_cluster_dsn()));
  EXPECT_FALSE(fs::exists(folder));
  end_private_cluster();
  EXPECT_FALSE(has_private_cluster());
}

}  // namespace
}  // namespace lockstep::postgres
