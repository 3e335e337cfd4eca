// pg_bench.cc: what driving PostgreSQL costs: tasks on one event loop (engine/stores/postgres/tasks) beside pgbench,
// whose transactions these are, and beside a thread with libpqxx for each client.
//
//   build/release/tests/pg_bench                                   a private server, select-only and simple-update
//   build/release/tests/pg_bench --clients 8,32 --rounds 3 --seconds 2 --workloads select --drivers pgbench,coroutines
//
// The drivers take turns within each round, each in a process of its own, whose processor time the kernel reports when
// it ends. `ratio` is the median over the rounds of a driver's transactions a second as a share of pgbench's in the
// same round. The server is the same all the while; its own processor time is nobody's.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <thread>
#include <vector>

#include "engine/runtime/runtime.h"
#include "engine/stores/postgres/cluster.h"
#include "engine/stores/postgres/tasks/pipeline.h"
#include "engine/stores/postgres/tasks/pool.h"
#include "kv/base/random.h"
#include "tests/bench/children.h"

namespace lockstep {
namespace {

using runtime::Group;
using runtime::PgConnection;
using runtime::PgPipeline;
using runtime::PgPool;
using runtime::PgRows;
using runtime::PgStatement;
using std::chrono::steady_clock;

constexpr int kScale = 10;  // 1,000,000 accounts
constexpr int kPipeline = 10;
constexpr int kConnectionsMax = 520;

// The statements of pgbench's built-in scripts (PostgreSQL manual, pgbench).
constexpr PgStatement kStatements[] = {
    {.name = "balance", .sql = "SELECT abalance FROM pgbench_accounts WHERE aid = $1", .only_reads = true},
    {.name = "begin", .sql = "BEGIN"},
    {.name = "add", .sql = "UPDATE pgbench_accounts SET abalance = abalance + $2 WHERE aid = $1"},
    {.name = "note",
     .sql = "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)"},
    {.name = "end", .sql = "END"},
};
constexpr const PgStatement &kBalance = kStatements[0], &kBegin = kStatements[1], &kAdd = kStatements[2],
                            &kNote = kStatements[3], &kEnd = kStatements[4];

struct Plan {
  std::string dsn;
  std::string workload;  ///< "select", "update"
  std::string driver;
  int clients = 1;
  double seconds = 1;
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed, 0) {}
  int up_to(int most) { return 1 + static_cast<int>(random_() % static_cast<std::uint64_t>(most)); }
  int account() { return up_to(100'000 * kScale); }

 private:
  Random random_;
};

// -- tasks on one loop --

struct Shared {
  const Plan& plan;
  PgPool* pool = nullptr;
  bool over = false;
  std::uint64_t done = 0;
  double seconds = 0;
};

Task<> select_client(Shared* shared, PgConnection* connection, Dice dice) {
  while (!shared->over) {
    const Result<PgRows> rows = co_await connection->execute(kBalance, dice.account());
    if (!rows.ok()) co_await fail(rows.error());
    ++shared->done;
  }
}

Task<> update_client(Shared* shared, PgConnection* connection, Dice dice) {
  while (!shared->over) {
    const int account = dice.account(), branch = dice.up_to(kScale), teller = dice.up_to(10 * kScale);
    const int delta = dice.up_to(10'001) - 5'001;
    const Result<PgRows> begun = co_await connection->execute(kBegin);
    const Result<PgRows> added = co_await connection->execute(kAdd, account, delta);
    const Result<PgRows> read = co_await connection->execute(kBalance, account);
    const Result<PgRows> noted = co_await connection->execute(kNote, teller, branch, account, delta);
    const Result<PgRows> ended = co_await connection->execute(kEnd);
    for (const Result<PgRows>* each : {&begun, &added, &read, &noted, &ended}) {
      if (!each->ok()) co_await fail(each->error());
    }
    ++shared->done;
  }
}

Task<> pipeline_client(Shared* shared, PgConnection* connection, Dice dice) {
  PgPipeline pipeline(*connection);
  while (!shared->over) {
    pipeline.clear();
    for (int i = 0; i < kPipeline; ++i) pipeline.add(kBalance, dice.account());
    const Result<std::span<const PgRows>> rows = co_await pipeline.run();
    if (!rows.ok()) co_await fail(rows.error());
    shared->done += kPipeline;
  }
}

Task<> client(Shared* shared, std::uint64_t number) {
  const Result<PgPool::Lease> lease = co_await shared->pool->acquire();
  if (!lease.ok()) co_await fail(lease.error());
  PgConnection* const connection = &**lease;
  if (shared->plan.driver == "pipeline") {
    co_await pipeline_client(shared, connection, Dice(number));
  } else if (shared->plan.workload == "select") {
    co_await select_client(shared, connection, Dice(number));
  } else {
    co_await update_client(shared, connection, Dice(number));
  }
}

Task<> clients(Group& group, Shared* shared) {
  const auto began = steady_clock::now();
  for (int i = 0; i < shared->plan.clients; ++i) group.spawn(client(shared, static_cast<std::uint64_t>(i + 1)));
  co_await runtime::sleep_for(Nanos(static_cast<std::int64_t>(shared->plan.seconds * 1e9)));
  shared->over = true;
  shared->seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
}

Task<> drive(Shared* shared) {
  auto dsn = postgres::Dsn::parse(shared->plan.dsn);
  if (!dsn.ok()) co_await fail(dsn.error());
  runtime::Strand& self = co_await runtime::this_strand();
  PgPool pool(self.loop(), {.connection = {.dsn = std::move(dsn).value(), .statements = kStatements},
                            .connections_max = shared->plan.clients});
  shared->pool = &pool;
  co_await pool.open();
  co_await runtime::with_group(clients, shared);
}

int run_coroutines(const Plan& plan) {
  Shared shared{.plan = plan};
  const Result<void> ended = runtime::run(drive(&shared));
  if (!ended.ok()) return std::fprintf(stderr, "%s\n", ended.error().message.c_str()), 1;
  std::printf("%.0f %.6f\n", static_cast<double>(shared.done), shared.seconds);
  return 0;
}

// -- threads with libpqxx --

std::uint64_t pqxx_client(const Plan& plan, Dice dice, std::atomic<int>& ready, std::atomic<bool>& begin,
                          const std::atomic<bool>& over) {
  pqxx::connection connection(plan.dsn);
  for (const PgStatement& each : {kBalance, kAdd, kNote}) connection.prepare(each.name, each.sql);
  ++ready;
  begin.wait(false);
  std::uint64_t done = 0;
  for (; !over.load(std::memory_order_relaxed); ++done) {
    const int account = dice.account();
    if (plan.workload == "select") {
      pqxx::nontransaction txn(connection);
      (void)txn.exec_prepared(kBalance.name, account);
      continue;
    }
    const int branch = dice.up_to(kScale), teller = dice.up_to(10 * kScale), delta = dice.up_to(10'001) - 5'001;
    pqxx::work txn(connection);
    (void)txn.exec_prepared(kAdd.name, account, delta);
    (void)txn.exec_prepared(kBalance.name, account);
    (void)txn.exec_prepared(kNote.name, teller, branch, account, delta);
    txn.commit();
  }
  return done;
}

int run_pqxx(const Plan& plan) {
  std::atomic<int> ready{0};
  std::atomic<bool> begin{false}, over{false};
  std::atomic<std::uint64_t> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < plan.clients; ++i) {
    threads.emplace_back(
        [&, i] { done += pqxx_client(plan, Dice(static_cast<std::uint64_t>(i + 1)), ready, begin, over); });
  }
  while (ready < plan.clients) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto began = steady_clock::now();
  begin = true;
  begin.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(plan.seconds));
  over = true;
  const double seconds = std::chrono::duration<double>(steady_clock::now() - began).count();
  for (std::thread& thread : threads) thread.join();
  std::printf("%.0f %.6f\n", static_cast<double>(done.load()), seconds);
  return 0;
}

// -- one driver in a process of its own --

struct Measured {
  double per_second = 0;
  double cpu_us = 0;  ///< of the driver for each transaction
};

Measured measure_pgbench(const Plan& plan) {
  double cpu = 0;
  const std::string output = run_child(
      {"pgbench", "-n", "-M", "prepared", plan.workload == "select" ? "-S" : "-N", "-c", std::to_string(plan.clients),
       "-j", "1", "-T", fmt::format("{:.0f}", std::max(plan.seconds, 1.0)), plan.dsn},
      cpu);
  const SaidByPgbench said = said_by_pgbench(output);
  return {said.per_second, cpu * 1e6 / std::max(said.transactions, 1.0)};
}

Measured measure(const Plan& plan) {
  if (plan.driver == "pgbench") return measure_pgbench(plan);
  double cpu = 0;
  const std::string output = run_child({"/proc/self/exe", "--drive", plan.driver, plan.workload,
                                        std::to_string(plan.clients), fmt::format("{}", plan.seconds), plan.dsn},
                                       cpu);
  char* rest = nullptr;
  const double done = std::strtod(output.c_str(), &rest);
  const double seconds = std::strtod(rest, nullptr);
  return {done / std::max(seconds, 1e-9), cpu * 1e6 / std::max(done, 1.0)};
}

int drive_here(char** argv) {
  const Plan plan{.dsn = argv[6],
                  .workload = argv[3],
                  .driver = argv[2],
                  .clients = std::atoi(argv[4]),
                  .seconds = std::atof(argv[5])};
  return plan.driver == "pqxx" ? run_pqxx(plan) : run_coroutines(plan);
}

// -- rounds --

struct Options {
  std::vector<std::string> clients{"8", "32", "100", "500"};
  std::vector<std::string> workloads{"select", "update"};
  std::vector<std::string> drivers{"pgbench", "coroutines", "pqxx", "pipeline"};
  int rounds = 3;
  double seconds = 2;
};

void compare(const Options& options, const std::string& dsn, const std::string& workload, int clients) {
  std::map<std::string, std::vector<double>> ratios, rates, costs;
  for (int round = 0; round < options.rounds; ++round) {
    double peer = 0;
    for (const std::string& driver : options.drivers) {
      if (driver == "pipeline" && workload != "select") continue;
      const Measured measured =
          measure({.dsn = dsn, .workload = workload, .driver = driver, .clients = clients, .seconds = options.seconds});
      if (driver == "pgbench") peer = measured.per_second;
      rates[driver].push_back(measured.per_second);
      costs[driver].push_back(measured.cpu_us);
      if (peer > 0) ratios[driver].push_back(measured.per_second / peer);
    }
  }
  for (const std::string& driver : options.drivers) {
    if (rates[driver].empty()) continue;
    fmt::print("{:8} {:>7}  {:12} {:>9.0f}/s  {:>6.2f}  {:>8.1f} us\n", workload, clients, driver,
               median(rates[driver]), median(ratios[driver]), median(costs[driver]));
  }
  std::fflush(stdout);
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  const auto take = [&options](const std::string& name, const char* value) {
    if (name == "--clients") {
      options.clients = split(value);
    } else if (name == "--workloads") {
      options.workloads = split(value);
    } else if (name == "--drivers") {
      options.drivers = split(value);
    } else if (name == "--rounds") {
      options.rounds = std::max(std::atoi(value), 1);
    } else if (name == "--seconds") {
      options.seconds = std::atof(value);
    } else {
      return false;
    }
    return true;
  };
  if (!take_options(argc, argv, take)) return std::nullopt;
  return options;
}

int run_all(int argc, char** argv) {
  const std::optional<Options> options = parse(argc, argv);
  if (!options) {
    std::fputs(
        "usage: pg_bench [--clients 8,32,100,500] [--workloads select,update] [--rounds 3] [--seconds 2]\n"
        "                [--drivers pgbench,coroutines,pqxx,pipeline]\n",
        stderr);
    return 2;
  }
  auto cluster = postgres::start_private_cluster(
      {.settings = {fmt::format("max_connections={}", kConnectionsMax), "shared_buffers=256MB", "autovacuum=off"}});
  if (!cluster.ok()) return std::fprintf(stderr, "%s\n", cluster.error().message.c_str()), 3;
  const std::string dsn = (*cluster)->dsn();
  double cpu = 0;
  (void)run_child({"pgbench", "-i", "-q", "-s", std::to_string(kScale), dsn}, cpu);
  fmt::print("{:8} {:>7}  {:12} {:>11}  {:>6}  {:>11}\n", "workload", "clients", "driver", "transactions", "ratio",
             "driver CPU");
  for (const std::string& workload : options->workloads) {
    for (const std::string& clients : options->clients) compare(*options, dsn, workload, std::atoi(clients.c_str()));
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  if (argc == 7 && std::strcmp(argv[1], "--drive") == 0) return lockstep::drive_here(argv);
  return lockstep::run_all(argc, argv);
}
