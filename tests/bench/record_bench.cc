// record_bench.cc: what it costs that a run writes down its events: the same sessions under the free schedule with
// recording off, with every transaction on record, and thinned as `lockstep run` does, in turn.
//
//   build/release/tests/record_bench                                 kv, and a private PostgreSQL
//   build/release/tests/record_bench --stores kv --executor coroutines --transactions 20000 --rounds 12
//
// `throughput` is the median over the rounds of transactions a second as a share of what the same round did without
// recording. Only the run is timed, not what is done with its events afterwards.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>

#include "engine/run/run.h"
#include "tests/bench/children.h"

namespace lockstep {
namespace {

constexpr int kRows = 1000;

struct Options {
  std::vector<std::string> stores{"kv", "postgres"};
  std::string executor = "threads";
  int sessions = 4;
  int transactions = 0;  ///< of each session; 0: 20,000 on kv, 500 elsewhere
  int rounds = 12;
};

int transactions_each = 0;  // bodies get their arguments by value, and know nothing of options

std::string row(std::uint64_t number) { return fmt::format("account/{:04}", number); }

/// A transfer between two rows, the smaller first.
Task<> transfers(Context& c) {
  for (int i = 0; i < transactions_each; ++i) {
    const std::uint64_t first = c.random() % (kRows - 1);
    const std::string from = row(first), to = row(first + 1 + c.random() % (kRows - 1 - first));
    co_await c.db.begin();
    const std::int64_t a = co_await c.db.read_for_update(from);
    const std::int64_t b = co_await c.db.read_for_update(to);
    co_await c.db.write(from, a - 1);
    co_await c.db.write(to, b + 1);
    co_await c.db.commit();
  }
}

Scenario sessions_of(const Options& options) {
  std::vector<Given> rows;
  for (int i = 0; i < kRows; ++i) rows.push_back({row(static_cast<std::uint64_t>(i)), 100});
  Scenario made = scenario("transfers").given(std::move(rows)).pattern("plain", "");
  for (int i = 0; i < options.sessions; ++i) made = std::move(made).actor(fmt::format("T{}", i + 1), transfers);
  return std::move(made).expect("kv", "*: clean").expect("postgres", "*: clean");
}

struct Mode {
  const char* name;
  bool recording;
  std::uint32_t every;
};
constexpr Mode kModes[] = {{"off", false, 1}, {"all", true, 1}, {"thinned", true, 16}};

/// Of the rounds in turn: nobody always has the same place, or runs after the same neighbour.
constexpr std::size_t kOrders[][std::size(kModes)] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}, {1, 0, 2}};

/// Transactions a second; 0 when it failed.
double measure(const Scenario& scenario, const Options& options, const std::string& store, const Mode& mode,
               std::size_t& events) {
  RunRequest request;
  request.store = store;
  request.executor = options.executor;
  request.schedule = "free";
  request.limit = std::chrono::hours(1);
  request.recording = mode.recording;
  request.record_every = mode.every;
  const auto result = run(scenario, request);
  if (!result.ok()) return std::fprintf(stderr, "%s\n", result.error().message.c_str()), 0;
  events = result->events.size();
  return static_cast<double>(result->outcomes.committed) / result->wall_ms * 1e3;
}

bool compare(const Options& options, const std::string& store) {
  transactions_each = options.transactions > 0 ? options.transactions : store == "kv" ? 20'000 : 500;
  const Scenario scenario = sessions_of(options);
  std::map<std::string, std::vector<double>> rates, shares;
  std::map<std::string, std::size_t> events;
  for (int round = 0; round < options.rounds; ++round) {
    std::map<std::string, double> rate;
    for (std::size_t i = 0; i < std::size(kModes); ++i) {
      const Mode& mode = kModes[kOrders[static_cast<std::size_t>(round) % std::size(kOrders)][i]];
      rate[mode.name] = measure(scenario, options, store, mode, events[mode.name]);
      if (rate[mode.name] == 0) return false;
      rates[mode.name].push_back(rate[mode.name]);
    }
    for (const auto& [name, per_second] : rate) shares[name].push_back(per_second / rate["off"]);
  }
  for (const Mode& mode : kModes) {
    fmt::print("{:9} {:11} {:>8}  {:8} {:>9.0f}/s  {:>5.1f} %  {:>8} events\n", store, options.executor,
               options.sessions, mode.name, median(rates[mode.name]), 100 * median(shares[mode.name]),
               events[mode.name]);
  }
  std::fflush(stdout);
  return true;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  const auto take = [&options](const std::string& name, const char* value) {
    if (name == "--stores") {
      options.stores = split(value);
    } else if (name == "--executor") {
      options.executor = value;
    } else if (name == "--sessions") {
      options.sessions = std::max(std::atoi(value), 1);
    } else if (name == "--transactions") {
      options.transactions = std::atoi(value);
    } else if (name == "--rounds") {
      options.rounds = std::max(std::atoi(value), 1);
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
        "usage: record_bench [--stores kv,postgres] [--executor threads] [--sessions 4] [--transactions N]\n"
        "                    [--rounds 12]\n",
        stderr);
    return 2;
  }
  fmt::print("{:9} {:11} {:>8}  {:8} {:>11}  {:>7}\n", "store", "executor", "sessions", "record", "committed",
             "throughput");
  for (const std::string& store : options->stores) {
    if (!compare(*options, store)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) { return lockstep::run_all(argc, argv); }
