// database_transfers.h: the same transfers on PostgreSQL by threads that block and by tasks on one loop.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/runtime/runtime.h"
#include "engine/stores/postgres/session.h"
#include "engine/stores/postgres/tasks/pool.h"
#include "kv/base/mutex.h"
#include "scenarios/runtime/measured.h"

namespace lockstep::scenarios::database_transfers {

using runtime::PgConnection;
using runtime::PgPool;
using runtime::PgRows;

/// Every session moves money between two accounts of its own, one transfer after the other.
struct ServerLoad {
  int sessions = 1;
  int connections = 1;  ///< at most one for each session; threads have one each
  int transfers_each = 1;
  Nanos span{0};  ///< how long; 0 = until each has made `transfers_each`
};

struct ServerFigures {
  std::uint64_t committed = 0;
  std::uint64_t failed = 0;   ///< with a fault that should not be
  std::uint64_t lost = 0;     ///< with their connection
  std::uint64_t unknown = 0;  ///< of those: perhaps committed
  double seconds = 0;
  double cpu_seconds = 0;                       ///< of this process
  double longest_wait_ms = 0;                   ///< for a connection
  std::uint64_t fewest = UINT64_MAX, most = 0;  ///< transfers of one session
  std::optional<Error> error{};                 ///< it could not begin

  double per_second() const { return seconds > 0 ? static_cast<double>(committed) / seconds : 0; }
  double cpu_us_each() const { return committed > 0 ? cpu_seconds * 1e6 / static_cast<double>(committed) : 0; }

  /// A session has ended.
  void add(std::uint64_t made) {
    committed += made;
    fewest = std::min(fewest, made);
    most = std::max(most, made);
  }
  /// A transfer has failed. True: another may be tried.
  bool goes_on_after(const Error& why) {
    if (is_retry_safe(why.fault)) return true;
    if (!is_environment(why.fault)) return ++failed, false;
    ++lost;
    if (why.fault == Fault::outcome_unknown) ++unknown;
    return true;
  }
};

inline bool goes_on(const ServerLoad& load, bool over, std::uint64_t made) {
  return load.span > Nanos(0) ? !over : made < static_cast<std::uint64_t>(load.transfers_each);
}

inline std::string account(int session, char side) { return std::string(1, side) + std::to_string(session); }

// -- tasks on one loop --

namespace tasks {

/// As sessions of the store do it (engine/stores/postgres/statements.h).
inline constexpr runtime::PgStatement kStatements[] = {
    {.name = "add", .sql = "update kv set v = (v::bigint + $2)::text where k = $1 returning v"}};

inline runtime::PgOptions options_of(const postgres::Common& server) {
  return {.dsn = server.dsn,
          .application = "lockstep session",
          .setup = server.session_setup,
          .statements = kStatements,
          .connect_max = server.connect_max};
}

struct Run {
  const postgres::Common& server;
  const ServerLoad& load;
  ServerFigures loaded{};
  PgPool* pool = nullptr;
  std::string begin{};
  bool over = false;
};

inline Task<> transfer(const Run* run, PgConnection* connection, int session) {
  const std::string from = account(session, 'a'), to = account(session, 'b');
  const Result<PgRows> begun = co_await connection->query(run->begin);
  if (!begun.ok()) co_await fail(begun.error());
  const Result<PgRows> taken = co_await connection->execute(kStatements[0], from, -1);
  if (!taken.ok()) co_await fail(taken.error());
  const Result<PgRows> given = co_await connection->execute(kStatements[0], to, 1);
  if (!given.ok()) co_await fail(given.error());
  const Result<PgRows> committed = co_await connection->query("commit");
  if (!committed.ok()) co_await fail(committed.error());
}

inline Task<> session(Run* run, int number) {
  std::uint64_t made = 0;
  while (goes_on(run->load, run->over, made)) {
    const Nanos asked = now();
    const Result<PgPool::Lease> lease = co_await run->pool->acquire();
    run->loaded.longest_wait_ms =
        std::max(run->loaded.longest_wait_ms, static_cast<double>((now() - asked).count()) / 1e6);
    if (!lease.ok()) {  // the pool has given up: there is no server any more
      (void)run->loaded.goes_on_after(lease.error());
      break;
    }
    const Result<void> moved = co_await tried(transfer(run, &**lease, number));
    if (moved.ok()) {
      ++made;
    } else if (!run->loaded.goes_on_after(moved.error())) {
      break;
    }
  }
  run->loaded.add(made);
}

inline Task<> sessions(runtime::Group& group, Run* run) {
  for (int i = 0; i < run->load.sessions; ++i) {
    group.spawn(session(run, i), {"session", static_cast<std::uint32_t>(i + 1)});
  }
  if (run->load.span > Nanos(0)) co_await runtime::sleep_for(run->load.span);
  run->over = true;
}

inline Task<> all(Run* run) {
  runtime::Strand& self = co_await runtime::this_strand();
  PgPool pool(self.loop(), {.connection = options_of(run->server), .connections_max = run->load.connections});
  run->pool = &pool;
  run->begin = "begin isolation level " + run->server.isolation;
  co_await pool.open();
  const Nanos began = now();
  const double cpu = cpu_seconds();
  co_await runtime::with_group(sessions, run);
  run->loaded.seconds = static_cast<double>((now() - began).count()) / 1e9;
  run->loaded.cpu_seconds = cpu_seconds() - cpu;
}

inline Task<> open(PgConnection* connection) {
  const Result<void> opened = co_await connection->open();
  if (!opened.ok()) co_await fail(opened.error());
}

inline Task<> fill(const postgres::Common* server, std::int64_t sessions) {
  runtime::Strand& self = co_await runtime::this_strand();
  const runtime::PgOptions options = options_of(*server);
  PgConnection connection(self.loop(), options);
  co_await open(&connection);
  const std::string insert = fmt::format(
      "insert into kv (k, v) select side || i, '1000' from generate_series(0, {}) i, unnest(array['a', 'b']) side",
      sessions - 1);
  const Result<PgRows> filled = co_await connection.query(insert);
  if (!filled.ok()) co_await fail(filled.error());
}

}  // namespace tasks

/// A task for each session, all of them on one loop, over a pool.
inline ServerFigures on_tasks(const postgres::Common& server, const ServerLoad& load) {
  tasks::Run run{.server = server, .load = load};
  const Result<void> ended = runtime::run(tasks::all(&run));
  if (!ended.ok()) run.loaded.error = ended.error();
  return run.loaded;
}

/// Accounts "a0", "b0" … of 1,000 each, two for each session.
inline Result<void> fill(const postgres::Common& server, std::int64_t sessions) {
  return runtime::run(tasks::fill(&server, sessions));
}

/// How many connections the server admits beside those that it has.
struct Room {
  int left = 0;
  std::string refusal{};  ///< why it does not admit as many as are needed; empty when it does
};

namespace tasks {
inline Task<Room> room_for(int needed, const postgres::Common* server) {
  runtime::Strand& self = co_await runtime::this_strand();
  const runtime::PgOptions options = options_of(*server);
  PgConnection connection(self.loop(), options);
  co_await open(&connection);
  const Result<void> admitted = co_await tried(runtime::need_connections(connection, needed));
  if (!admitted.ok() && admitted.fault() != Fault::invalid) co_await fail(admitted.error());
  const runtime::PgRoom room = co_await runtime::connection_room(connection);
  Room found{.left = room.left()};
  if (!admitted.ok()) found.refusal = admitted.error().message;
  co_return found;
}
}  // namespace tasks

inline Result<Room> room_for(int needed, const postgres::Common& server) {
  return runtime::run(tasks::room_for(needed, &server));
}

// -- threads --

namespace threads {

struct Run {
  postgres::Common& server;
  const ServerLoad& load;
  std::atomic<int> ready{0};  ///< connected, or failed to
  std::atomic<bool> begin{false}, over{false};
  Mutex mutex{};
  ServerFigures loaded LOCKSTEP_GUARDED_BY(mutex){};
};

/// The session blocks, so nobody is ever woken.
struct Nobody final : Waiter {
  void wake() noexcept override {}
};

inline std::optional<Error> ask(Session& session, const Request& request) {
  Nobody nobody;
  Pending pending;
  pending.request = request;
  while (!session.attempt(pending, nobody)) {
  }
  return pending.error;
}

inline std::optional<Error> transfer(Session& session, const std::string& from, const std::string& to) {
  for (const Request& request : {Request{.verb = Verb::begin}, Request{.verb = Verb::add, .key = from, .delta = -1},
                                 Request{.verb = Verb::add, .key = to, .delta = 1}, Request{.verb = Verb::commit}}) {
    std::optional<Error> failed = ask(session, request);
    if (!failed) continue;
    if (session.in_transaction()) (void)ask(session, {.verb = Verb::abort});
    return failed;
  }
  return std::nullopt;
}

/// A session of the store outside the run's actors.
inline Result<std::unique_ptr<Session>> connect(Run& run, int number) {
  return postgres::open_blocking_session(run.server, -1, fmt::format("session {}", number + 1));
}

inline void session(Run& run, int number) {
  Result<std::unique_ptr<Session>> session = connect(run, number);
  run.ready.fetch_add(1, std::memory_order_relaxed);
  run.begin.wait(false);
  const std::string from = account(number, 'a'), to = account(number, 'b');
  ServerFigures mine;
  std::uint64_t made = 0;
  while (session.ok() && goes_on(run.load, run.over.load(std::memory_order_relaxed), made)) {
    const std::optional<Error> failed = transfer(**session, from, to);
    if (!failed) {
      ++made;
    } else if (!mine.goes_on_after(*failed)) {
      break;
    } else if (is_environment(failed->fault)) {
      session = connect(run, number);
    }
  }
  const MutexLock lock(run.mutex);
  run.loaded.add(made);
  run.loaded.failed += mine.failed;
  run.loaded.lost += mine.lost;
  run.loaded.unknown += mine.unknown;
  if (!session.ok() && made == 0 && !run.loaded.error) run.loaded.error = session.error();
}

}  // namespace threads

/// A thread and a connection (libpqxx) for each session.
inline ServerFigures on_threads(postgres::Common& server, const ServerLoad& load) {
  threads::Run run{.server = server, .load = load};
  std::vector<std::thread> sessions;
  std::optional<Error> refused;
  try {
    for (int i = 0; i < load.sessions; ++i) sessions.emplace_back([&run, i] { threads::session(run, i); });
  } catch (const std::system_error&) {
    refused = Error{Fault::unavailable, {}, fmt::format("the system allows {} threads", sessions.size())};
  }
  while (run.ready.load(std::memory_order_relaxed) < static_cast<int>(sessions.size())) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Nanos began = now();
  const double cpu = cpu_seconds();
  run.begin = true;
  run.begin.notify_all();
  if (load.span > Nanos(0)) std::this_thread::sleep_for(load.span);
  run.over = true;
  for (std::thread& each : sessions) each.join();
  const MutexLock lock(run.mutex);
  run.loaded.seconds = static_cast<double>((now() - began).count()) / 1e9;
  run.loaded.cpu_seconds = cpu_seconds() - cpu;
  if (refused) run.loaded.error = std::move(refused);
  return run.loaded;
}

}  // namespace lockstep::scenarios::database_transfers
