// search_bench.cc: what an exhaustive search takes: philosophers around a table, transfers in a ring on kv, and actors
// that touch nothing in common.
//
//   build/release/tests/search_bench
//
// One line a program: the runs, those that were cut short because they repeated another one, the interleavings that
// they stand for (-1: too many to be counted), and the wall time. The search is one thread's.
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "engine/explore/explore.h"
#include "engine/sync/sync.h"

namespace lockstep {
namespace {

constexpr int kForks = 10;

struct Table {
  std::array<std::unique_ptr<sync::Mutex>, kForks> forks;
  Table() {
    for (int i = 0; i < kForks; ++i)
      forks[static_cast<std::size_t>(i)] = std::make_unique<sync::Mutex>(fmt::format("fork {}", i));
  }
};

Task<> eat(Context& c, int seat, int seats) {
  Table& table = c.world<Table>();
  sync::Guard left = co_await table.forks[static_cast<std::size_t>(seat)]->lock();
  sync::Guard right = co_await table.forks[static_cast<std::size_t>((seat + 1) % seats)]->lock();
  co_await right.unlock();
  co_await left.unlock();
}

Task<> transfer(Context& c, std::string from, std::string to) {
  co_await c.db.begin();
  co_await c.db.add(from, -1);
  co_await c.db.add(to, 1);
  co_await c.db.commit();
}

Task<> fill(Context& c, int actor, int rows) {
  co_await c.db.begin();
  for (int row = 0; row < rows; ++row) {
    const std::string key = fmt::format("{}/{:02}", actor, row);
    co_await c.db.write(key, 1);
  }
  co_await c.db.commit();
}

void measure(const std::string& name, Scenario scenario, const std::string& store, const std::string& protocol) {
  scenario.name = name;
  ExploreRequest request{.run = {.store = store, .protocol = protocol}, .fewest_preemptions = false};
  request.run.retries = 0;
  const auto begun = std::chrono::steady_clock::now();
  const Result<Exploration> explored = explore(scenario, request);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  if (!explored) return fmt::print("{}: {}\n", name, explored.error().message);
  fmt::print("{:28} {:6} runs + {} cut, {:.6g} interleavings, {}, {:.3f} s\n", name, explored->runs, explored->pruned,
             explored->interleavings, explored->complete ? "complete" : "not complete", took.count());
}

void measure_all() {
  for (const int seats : {5, 9, kForks}) {
    Scenario dinner = scenario("philosophers").with<Table>().pattern("plain", "the left fork first");
    for (int seat = 0; seat < seats; ++seat)
      dinner = std::move(dinner).actor(fmt::format("P{}", seat), eat, seat, seats);
    measure(fmt::format("{} philosophers", seats), std::move(dinner).expect("none", "*: clean"), "none", {});
  }
  const std::array<std::string, 4> accounts{"A", "B", "C", "D"};
  for (const char* const protocol : {"2pl-detect", "occ"}) {
    Scenario ring =
        scenario("transfers in a ring").given({{"A", 1}, {"B", 1}, {"C", 1}, {"D", 1}}).pattern("plain", "");
    for (std::size_t i = 0; i < accounts.size(); ++i)
      ring = std::move(ring).actor(fmt::format("T{}", i), transfer, accounts[i], accounts[(i + 1) % accounts.size()]);
    measure(fmt::format("4 transfers, {}", protocol), std::move(ring).expect("kv", "*: clean"), "kv", protocol);
  }
  Scenario apart = scenario("rows of their own").pattern("plain", "");
  std::vector<Given> rows;
  for (int actor = 0; actor < 3; ++actor) {
    for (int row = 0; row < 64; ++row) rows.emplace_back(fmt::format("{}/{:02}", actor, row), 0);
    apart = std::move(apart).actor(fmt::format("T{}", actor), fill, actor, 64);
  }
  measure("3 actors, 64 rows each", std::move(apart).given(std::move(rows)).expect("kv", "*: clean"), "kv",
          "2pl-detect");
}

}  // namespace
}  // namespace lockstep

int main() { lockstep::measure_all(); }
