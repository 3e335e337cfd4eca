// kill_test.cc: a process that is killed with SIGKILL in the middle of its load, again and again on the same folder.
//
// The child moves money between accounts and counts its commits, several threads at once; what is acknowledged to a
// thread goes down a pipe before its next transaction begins. After the kill the parent opens the folder: every
// thread's counter must be what was acknowledged or the one after it, and no money may be missing or made.
//
// LOCKSTEP_KILLS=N sets how many kills there are per protocol; LOCKSTEP_SEED the seed.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "kv/sync_facade.h"

namespace lockstep::kv::testing {
namespace {

constexpr int kThreads = 4;
constexpr int kAccounts = 20;

/// What goes down the pipe; short enough to be written in one piece.
struct Acknowledged {
  int thread = 0;
  int number = 0;
};

int from_environment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

std::string account(unsigned number) { return fmt::format("account/{:02}", number); }

Options options_for(const std::string& protocol, const std::string& path) {
  Options options;
  options.protocol = protocol;
  options.path = path;
  options.log_limits.segment_bytes = 64 * 1024;  // so that kills also hit new segments and checkpoints
  options.log_limits.checkpoint_bytes = 128 * 1024;
  return options;
}

Result<int> number_in(SyncTransaction& txn, const std::string& key) {
  std::string value;
  const Result<bool> found = txn.read_for_update(key, value);
  if (!found.ok()) return found.error();
  return *found ? std::stoi(value) : 0;
}

/// One transfer with the thread's counter; a fault says why not.
Result<void> transfer(Store& store, int thread, int number, std::mt19937& random) {
  SyncTransaction txn(store.begin({.claims_all = true}));
  const unsigned a = random() % kAccounts, b = (a + 1 + random() % (kAccounts - 1)) % kAccounts;
  const int amount = static_cast<int>(random() % 10);
  for (const auto& [key, change] : {std::pair(account(std::min(a, b)), a < b ? -amount : amount),
                                    std::pair(account(std::max(a, b)), a < b ? amount : -amount)}) {
    const Result<int> balance = number_in(txn, key);
    if (!balance.ok()) return balance.error();
    if (Result<void> done = txn.write(key, std::to_string(*balance + change)); !done.ok()) return done;
  }
  const std::string pad(random() % 300, 'p');
  if (Result<void> done = txn.write(fmt::format("pad/{}/{}", thread, number % 50), pad); !done.ok()) return done;
  if (number % 3 == 0)
    if (Result<bool> done = txn.erase(fmt::format("pad/{}/{}", thread, (number + 7) % 50)); !done.ok())
      return done.error();
  if (Result<void> done = txn.write(fmt::format("counter/{}", thread), std::to_string(number)); !done.ok()) return done;
  return txn.commit();
}

[[noreturn]] void child(const std::string& protocol, const std::string& path, int pipe, unsigned seed) {
  Result<std::unique_ptr<Store>> store = Store::open(options_for(protocol, path));
  if (!store.ok()) {
    fmt::print(stderr, "child: {}\n", store.error().message);
    ::_exit(2);
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random(seed + static_cast<unsigned>(t));
      int number = 0;
      {
        SyncTransaction txn((*store)->begin({.claims_all = true}));
        std::string value;
        const Result<bool> found = txn.read(fmt::format("counter/{}", t), value);
        if (found.ok() && *found) number = std::stoi(value);
      }
      while (true) {
        const Result<void> done = transfer(**store, t, number + 1, random);
        if (!done.ok()) {
          if (is_retry_safe(done.fault())) continue;
          fmt::print(stderr, "child: {}\n", done.error().message);
          ::_exit(3);
        }
        const Acknowledged acknowledged{t, ++number};
        if (::write(pipe, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(4);
      }
    });
  for (std::thread& thread : threads) thread.join();
  ::_exit(5);
}

class Killed : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    // Beside the build, not in /tmp: that may be in memory, and then nothing is synced.
    folder_ = fmt::format("{}/kill-{}-{}", std::filesystem::current_path().string(), GetParam(), ::getpid());
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(folder_);
  }

  /// Starts a child, reads what it acknowledges, kills it at some moment after `after` of them.
  void run_and_kill(unsigned seed, int after) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) child(GetParam(), folder_, ends[1], seed);
    ::close(ends[1]);
    Acknowledged got;
    for (int i = 0; ::read(ends[0], &got, sizeof got) == sizeof got; ++i) {
      acknowledged_[static_cast<std::size_t>(got.thread)] = got.number;
      if (i == after) ::kill(pid, SIGKILL);  // what is in the pipe by now was acknowledged as well
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
  }

  void check() {
    Result<std::unique_ptr<Store>> store = Store::open(options_for("occ", folder_));
    ASSERT_TRUE(store.ok()) << store.error().message;
    SyncTransaction txn((*store)->begin());
    int sum = 0;  // accounts begin with nothing and may go below it
    for (unsigned i = 0; i < kAccounts; ++i) {
      const Result<int> balance = number_in(txn, account(i));
      ASSERT_TRUE(balance.ok());
      sum += *balance;
    }
    ASSERT_EQ(sum, 0) << "money is not conserved";
    for (int t = 0; t < kThreads; ++t) {
      const Result<int> number = number_in(txn, fmt::format("counter/{}", t));
      ASSERT_TRUE(number.ok());
      const int acknowledged = acknowledged_[static_cast<std::size_t>(t)];
      ASSERT_GE(*number, acknowledged) << "thread " << t << " has lost an acknowledged commit";
      ASSERT_LE(*number, acknowledged + 1) << "thread " << t;
      acknowledged_[static_cast<std::size_t>(t)] = *number;
    }
  }

  std::string folder_;
  std::array<int, kThreads> acknowledged_{};
};

TEST_P(Killed, LosesNothingThatWasAcknowledged) {
  const int kills = from_environment("LOCKSTEP_KILLS", 12);
  const unsigned seed =
      static_cast<unsigned>(from_environment("LOCKSTEP_SEED", static_cast<int>(std::random_device()())));
  SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}, folder {}", seed, folder_));
  std::mt19937 random(seed);
  for (int round = 0; round < kills; ++round) {
    SCOPED_TRACE(fmt::format("kill {}", round));
    ASSERT_NO_FATAL_FAILURE(run_and_kill(static_cast<unsigned>(random()), static_cast<int>(random() % 200)));
    ASSERT_NO_FATAL_FAILURE(check());
  }
  int commits = 0;
  for (const int number : acknowledged_) commits += number;
  fmt::print("[          ] {} kills, {} commits, seed {}\n", kills, commits, seed);
}

INSTANTIATE_TEST_SUITE_P(Protocols, Killed, ::testing::Values("2pl-detect", "occ", "snapshot"), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace lockstep::kv::testing
