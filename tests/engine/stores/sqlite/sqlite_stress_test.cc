// sqlite_stress_test.cc: real threads, real time, one file: transfers between accounts. Waiters park until the registry
// wakes them; a wake-up that is lost shows as a time-out, and money that is lost as a wrong total.
#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <thread>

#include "tests/engine/stores/sqlite/sqlite_store.h"

namespace lockstep::sqlite {
namespace {

constexpr int kThreads = 4;
constexpr int kTransfers = 60;
constexpr int kAccounts = 5;
constexpr auto kPatience = std::chrono::seconds(60);

struct Tally {
  int committed = 0;
  std::map<Fault, int> faults;
};

std::string account(int number) { return "account/" + std::to_string(number); }

/// One transfer; the fault that it ended with, or nullopt.
std::optional<Fault> transfer(Session& session, const std::string& from, const std::string& to, int amount,
                              bool read_first) {
  const auto run = [&session](Request request) -> std::optional<Fault> {
    Call call(session, request);
    if (!call.finish(nullptr, kPatience)) ADD_FAILURE() << "nobody wakes " << name_of(request.verb);
    if (!call.pending.error) return std::nullopt;
    EXPECT_FALSE(is_environment(call.fault())) << call.text();
    return call.fault();
  };
  std::optional<Fault> fault = run({.verb = Verb::begin});
  if (!fault && read_first) fault = run({.verb = Verb::read, .key = from});
  if (!fault) fault = run({.verb = Verb::add, .key = from, .delta = -amount});
  if (!fault) fault = run({.verb = Verb::add, .key = to, .delta = amount});
  if (!fault) fault = run({.verb = Verb::commit});
  if (fault && session.in_transaction()) {
    EXPECT_EQ(run({.verb = Verb::abort}), std::nullopt);
  }
  EXPECT_FALSE(session.in_transaction());
  return fault;
}

class SqliteStress : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Protocols, SqliteStress, ::testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const ProtocolTraits& each : backend_sqlite().protocols) names.push_back(each.name);
                           return names;
                         }()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(SqliteStress, ConservesMoney) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  BackendOptions options;
  options.protocol = GetParam();
  options.lock_timeout = std::chrono::seconds(30);
  auto backend = std::move(backend_sqlite().open(options)).value();
  State rows;
  for (int i = 0; i < kAccounts; ++i) rows.emplace_back(account(i), "1000");
  ASSERT_TRUE(backend->set_up(rows, {}).ok());

  std::array<Tally, kThreads> tallies;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&backend, &tally = tallies[i], i, seed] {
        auto opened = backend->open_session(i, "T" + std::to_string(i + 1));
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        const std::unique_ptr<Session> session = std::move(opened).value();
        std::mt19937 random(seed + static_cast<unsigned>(i));
        for (int done = 0; done < kTransfers;) {
          const int from = static_cast<int>(random() % kAccounts);
          const int to = (from + 1 + static_cast<int>(random() % (kAccounts - 1))) % kAccounts;
          const auto fault =
              transfer(*session, account(from), account(to), static_cast<int>(random() % 10), random() % 2 == 0);
          if (!fault) {
            ++done;
            ++tally.committed;
          } else {
            EXPECT_TRUE(*fault == Fault::busy || *fault == Fault::busy_snapshot) << name_of(*fault);
            ++tally.faults[*fault];
          }
          if (::testing::Test::HasFailure()) return;
        }
      });
    }
  }
  std::int64_t total = 0;
  for (const auto& [key, value] : backend->final_state().value()) total += std::stoll(value);
  EXPECT_EQ(total, kAccounts * 1000);
  Tally all;
  for (const Tally& tally : tallies) {
    all.committed += tally.committed;
    for (const auto& [fault, count] : tally.faults) all.faults[fault] += count;
  }
  EXPECT_EQ(all.committed, kThreads * kTransfers);
  if (GetParam().starts_with("immediate") || GetParam().starts_with("exclusive")) {
    EXPECT_TRUE(all.faults.empty()) << "whoever takes the lock at begin is never refused";
  } else if (!GetParam().ends_with("-wal")) {
    EXPECT_EQ(all.faults[Fault::busy_snapshot], 0) << "there are no snapshots in a rollback journal";
  }
}

}  // namespace
}  // namespace lockstep::sqlite
