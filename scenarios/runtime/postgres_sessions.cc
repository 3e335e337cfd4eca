// Sessions on PostgreSQL: the same transfers by a thread for each connection, and by tasks on one event loop. First 1
// to 500 connections, then ten thousand sessions over a hundred. A process of the server costs some 2 MB and a place
// among its connections. However cheap a session is on our side, it cannot have a connection of its own for long.
#include <fmt/format.h>

#include "engine/actor/actor.h"
#include "engine/stores/postgres/tasks/pool.h"
#include "scenarios/catalogue.h"
#include "scenarios/runtime/database_transfers.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;
using database_transfers::ServerFigures;
using database_transfers::ServerLoad;

struct Ledger {
  std::int64_t accounts = 0;
  std::uint64_t failed = 0;
};

void count(const Context& c, Ledger& ledger, const std::string& row, const ServerFigures& loaded) {
  ledger.failed += loaded.failed;
  if (loaded.lost == 0) return;
  c.note(fmt::format("{}: {} transfers lost with their connections, {} of them with an unknown outcome", row,
                     loaded.lost, loaded.unknown));
}

/// A thread for each connection, then a task for each.
Result<void> compare(const Context& c, postgres::Common& server, const ServerLoad& load, Ledger& ledger) {
  const std::string row = fmt::format("{} connections", load.connections);
  const ServerFigures threads = database_transfers::on_threads(server, load);
  if (threads.error) return *threads.error;
  const ServerFigures tasks = database_transfers::on_tasks(server, load);
  if (tasks.error) return *tasks.error;
  count(c, ledger, row, threads);
  count(c, ledger, row, tasks);
  c.figure(row, "threads", threads.per_second(), "/s");
  c.figure(row, "coroutines", tasks.per_second(), "/s");
  c.figure(row, "ratio", tasks.per_second() / std::max(threads.per_second(), 1.0), "x");
  c.figure(row, "threads CPU", threads.cpu_us_each(), "us");
  c.figure(row, "coroutines CPU", tasks.cpu_us_each(), "us");
  return {};
}

/// Many sessions share few connections.
Result<void> share(const Context& c, postgres::Common& server, const ServerLoad& load, Ledger& ledger) {
  const std::string row = fmt::format("{} sessions over {}", load.sessions, load.connections);
  const ServerFigures tasks = database_transfers::on_tasks(server, load);
  if (tasks.error) return *tasks.error;
  count(c, ledger, row, tasks);
  c.figure(row, "coroutines", tasks.per_second(), "/s");
  c.figure(row, "coroutines CPU", tasks.cpu_us_each(), "us");
  c.figure(row, "longest wait", tasks.longest_wait_ms, "ms");
  c.figure(row, "least served", static_cast<double>(tasks.fewest), "transfers");
  c.figure(row, "most served", static_cast<double>(tasks.most), "transfers");
  return {};
}

Task<> transfer_all(Context& c) {
  auto& ledger = c.world<Ledger>();
  postgres::Common* const server = postgres::common_of(c.actor->session.get());
  if (server == nullptr) co_await fail(Fault::unsupported, "the scenario needs PostgreSQL");

  std::vector<int> connections = {3};
  ServerLoad shared{.sessions = 24, .connections = 3, .transfers_each = 2};
  if (c.measures) {
    connections = {1, 8, 32, 100, 500};
    shared = {.sessions = 10'000, .connections = 100, .span = 2s};
  }
  // Whether the server admits them is said before the load begins; what it does not admit is left out.
  const int most = connections.back();
  const Result<database_transfers::Room> room = database_transfers::room_for(most, *server);
  if (!room.ok()) co_await fail(room.error());
  if (!room->refusal.empty()) c.note(room->refusal + "; what is more is left out");
  std::erase_if(connections, [&room](int each) { return each > room->left; });
  shared.connections = std::min(shared.connections, room->left);
  if (connections.empty()) co_await fail(Fault::unavailable, "the server admits no more connections");

  ledger.accounts = std::int64_t{2} * std::max(shared.sessions, connections.back());
  const Result<void> filled = database_transfers::fill(*server, ledger.accounts / 2);
  if (!filled.ok()) co_await fail(filled.error());
  for (const int each : connections) {
    ServerLoad load{.sessions = each, .connections = each, .transfers_each = 2};
    if (c.measures) load.span = 500ms;
    const Result<void> compared = compare(c, *server, load, ledger);
    if (!compared.ok()) co_await fail(compared.error());
  }
  const Result<void> ended = share(c, *server, shared, ledger);
  if (!ended.ok()) co_await fail(ended.error());
  c.note("every session of both kinds has moved its money");
}

}  // namespace

Scenario runtime_postgres_sessions() {
  return scenario("Connections, threads and coroutines on PostgreSQL")
      .story(
          "Sessions move money between two accounts of their own on PostgreSQL, four requests a transfer. First every "
          "connection has a thread that blocks in libpqxx, then all of them are tasks on one event loop. At the end "
          "many sessions share few connections: first come, first served. Run it to see the figures.")
      .with<Ledger>()

      .own_code_at_most(std::chrono::minutes(1))
      .pattern("both", "threads, then coroutines, then a pool")
      .actor("bank", transfer_all)
      .expect("postgres", "*: clean")
      .why(
          "What the server does costs the same either way. A thread that waits for it is two trips into the kernel and "
          "a stack; a task that waits is an entry of a list, and sessions without a connection cost the server "
          "nothing.")

      .holds("money is conserved", [](const Final& end) { return end.total() == 1'000 * end.world<Ledger>().accounts; })
      .holds("no transfer fails", [](const Final& end) { return end.world<Ledger>().failed == 0; });
}

}  // namespace lockstep::scenarios
