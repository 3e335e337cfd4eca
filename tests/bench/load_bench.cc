// load_bench.cc: what the path of `lockstep compare` costs on PostgreSQL: a workload on the load engine, with the
// sessions on threads and on coroutines, beside pgbench, which sends the same statements to a table of the same form.
//
//   build/release/tests/load_bench                         a private server, 8 and 32 sessions
//   build/release/tests/load_bench --sessions 8 --rounds 5 --seconds 2 --workloads select,update
//
// The drivers take turns within each round, each in a process of its own. `ratio` is the median over the rounds of a
// driver's transactions a second as a share of pgbench's in the same round, `CPU` the driver's processor time for each
// transaction: pgbench's own as a whole, ours in the measured time. Each has a table that was made for it.
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <optional>

#include "engine/load/round.h"
#include "engine/stores/postgres/cluster.h"
#include "tests/bench/children.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kRows = 10'000;
constexpr const char* kTable = "load_bench_kv";

struct Plan {
  std::string dsn, workload, driver;
  int sessions = 1;
  double seconds = 1;
};

// -- the load engine --

Task<> select_one(Context& c) {
  const std::string row = std::to_string(c.choose());
  co_await c.db.begin();
  (void)co_await c.db.read(row);
  co_await c.db.commit();
}

Task<> update_one(Context& c) {
  const std::string row = std::to_string(c.choose());
  co_await c.db.begin();
  (void)co_await c.db.add(row, 1);
  co_await c.db.commit();
}

State numbers(const Shape& shape) {
  State rows;
  for (std::uint64_t i = 0; i < shape.rows; ++i) rows.emplace_back(std::to_string(i), "0");
  return rows;
}

int run_engine(const Plan& plan) {
  load::RoundRequest request;
  request.store = "postgres";
  request.protocol = "read-committed";
  request.pattern = plan.workload;
  request.executor = plan.driver;
  request.dsn = plan.dsn;
  request.shape.rows = kRows;
  request.sessions = plan.sessions;
  request.workers = 1;
  request.warmup = std::chrono::milliseconds(100);
  request.measured = Nanos(static_cast<std::int64_t>(plan.seconds * 1e9));
  const Scenario workload = scenario("pgbench's")
                                .rows(kRows, numbers)
                                .pattern("select", "a point select")
                                .session(select_one)
                                .pattern("update", "adds to a row")
                                .session(update_one);
  const auto result = load::run_round(workload, request, nullptr);
  if (!result.ok()) return std::fprintf(stderr, "%s\n", result.error().message.c_str()), 1;
  if (!result->note.empty()) return std::fprintf(stderr, "%s\n", result->note.c_str()), 1;
  std::printf("%.0f %.6f %.6f\n", static_cast<double>(result->committed), result->seconds, result->cpu_s);
  return 0;
}

// -- pgbench --

/// The statements that the engine sends (engine/stores/postgres/statements.cc).
std::string script_of(const std::string& workload) {
  const std::string statement =
      workload == "select" ? fmt::format("select v from {} where k = :k", kTable)
                           : fmt::format("update {} set v = (v::bigint + 1)::text where k = :k returning v", kTable);
  return fmt::format("\\set k random(0, {})\nbegin isolation level read committed;\n{};\ncommit;\n", kRows - 1,
                     statement);
}

struct Measured {
  double per_second = 0, cpu_us = 0;
};

Measured measure_pgbench(const Plan& plan) {
  const std::string file = fmt::format("/tmp/load_bench_{}.sql", ::getpid());
  std::FILE* const script = std::fopen(file.c_str(), "w");
  if (script == nullptr) return {};
  const std::string text = script_of(plan.workload);
  std::fwrite(text.data(), 1, text.size(), script);
  std::fclose(script);
  double cpu = 0;
  (void)run_child(
      {"psql", "-q", "-c",
       fmt::format(
           "set client_min_messages = warning; drop table if exists {0}; create table {0} (k text "
           "collate \"C\" primary key, v text) with (fillfactor = 25); insert into {0} select i::text, '0' from "
           "generate_series(0, {1}) i",
           kTable, kRows - 1),
       plan.dsn},
      cpu);
  const std::string output =
      run_child({"pgbench", "-n", "-M", "prepared", "-f", file, "-c", std::to_string(plan.sessions), "-j", "1", "-T",
                 fmt::format("{:.0f}", std::max(plan.seconds, 1.0)), plan.dsn},
                cpu);
  std::remove(file.c_str());
  const SaidByPgbench said = said_by_pgbench(output);
  return {said.per_second, cpu * 1e6 / std::max(said.transactions, 1.0)};
}

Measured measure(const Plan& plan) {
  if (plan.driver == "pgbench") return measure_pgbench(plan);
  double ignored = 0;
  const std::string output = run_child({"/proc/self/exe", "--drive", plan.driver, plan.workload,
                                        std::to_string(plan.sessions), fmt::format("{}", plan.seconds), plan.dsn},
                                       ignored);
  double done = 0, seconds = 0, cpu = 0;
  if (std::sscanf(output.c_str(), "%lf %lf %lf", &done, &seconds, &cpu) != 3) return {};
  return {done / std::max(seconds, 1e-9), cpu * 1e6 / std::max(done, 1.0)};
}

// -- rounds --

struct Options {
  std::vector<std::string> sessions{"8", "32"};
  std::vector<std::string> workloads{"select", "update"};
  std::vector<std::string> drivers{"pgbench", "threads", "coroutines"};
  int rounds = 5;
  double seconds = 2;
};

void compare(const Options& options, const std::string& dsn, const std::string& workload, int sessions) {
  std::map<std::string, std::vector<double>> ratios, rates, costs;
  for (int round = 0; round < options.rounds; ++round) {
    std::map<std::string, double> rate;
    for (std::size_t i = 0; i < options.drivers.size(); ++i) {
      // Every other round backwards: nobody always runs after the same neighbour.
      const std::string& driver = options.drivers[round % 2 == 0 ? i : options.drivers.size() - 1 - i];
      const Measured measured = measure(
          {.dsn = dsn, .workload = workload, .driver = driver, .sessions = sessions, .seconds = options.seconds});
      rate[driver] = measured.per_second;
      rates[driver].push_back(measured.per_second);
      costs[driver].push_back(measured.cpu_us);
    }
    for (const auto& [driver, per_second] : rate) {
      if (rate["pgbench"] > 0) ratios[driver].push_back(per_second / rate["pgbench"]);
    }
  }
  for (const std::string& driver : options.drivers) {
    fmt::print("{:8} {:>8}  {:12} {:>9.0f}/s  {:>6.2f}  {:>8.1f} us\n", workload, sessions, driver,
               median(rates[driver]), median(ratios[driver]), median(costs[driver]));
  }
  std::fflush(stdout);
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  const auto take = [&options](const std::string& name, const char* value) {
    if (name == "--sessions") {
      options.sessions = split(value);
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
        "usage: load_bench [--sessions 8,32] [--workloads select,update] [--drivers pgbench,threads,coroutines]\n"
        "                  [--rounds 5] [--seconds 2]\n",
        stderr);
    return 2;
  }
  ::setenv("PGOPTIONS", "-c enable_seqscan=off", 1);  // as the engine's sessions have it
  auto cluster = postgres::start_private_cluster({.settings = {"shared_buffers=256MB", "autovacuum=off"}});
  if (!cluster.ok()) return std::fprintf(stderr, "%s\n", cluster.error().message.c_str()), 3;
  fmt::print("{:8} {:>8}  {:12} {:>11}  {:>6}  {:>11}\n", "workload", "sessions", "driver", "committed", "ratio",
             "CPU");
  for (const std::string& workload : options->workloads) {
    for (const std::string& sessions : options->sessions) {
      compare(*options, (*cluster)->dsn(), workload, std::atoi(sessions.c_str()));
    }
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  if (argc == 7 && std::strcmp(argv[1], "--drive") == 0) {
    return lockstep::run_engine({.dsn = argv[6],
                                 .workload = argv[3],
                                 .driver = argv[2],
                                 .sessions = std::atoi(argv[4]),
                                 .seconds = std::atof(argv[5])});
  }
  return lockstep::run_all(argc, argv);
}
