// monitor.cc: questions to the server's lock table.
#include "engine/stores/postgres/monitor.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

namespace lockstep::postgres {
namespace {

using namespace std::chrono_literals;

constexpr Nanos kQueryMax = 30s;
constexpr Nanos kLookMax = 2s;
constexpr Nanos kEndMax = 5s;

/// Asked often, so planned once.
const char* const kPrepare =
    // Cheap, since it is also asked while no session is blocked. A serializable read-only deferrable transaction waits
    // for a safe snapshot, not for a lock.
    "prepare ls_blockers (int) as select distinct unnest(pg_catalog.pg_blocking_pids($1) ||"
    " pg_catalog.pg_safe_snapshot_blocking_pids($1)) order by 1;"
    // The lock waited for, and the row that the process queues for. A process that waits for a row's lock holds the
    // "tuple" lock, and waits for the transaction that changed the row.
    "prepare ls_locks (int) as select granted, locktype, mode, transactionid::text, relation::regclass::text,"
    " '(' || page || ',' || tuple || ')', classid::bigint, objid::bigint, objsubid,"
    " null, case when classid = to_regclass('kv') then 'kv' end"
    " from pg_catalog.pg_locks where pid = $1 and (not granted or locktype = 'tuple') order by granted limit 2";

std::string text(const std::optional<std::string>& column) { return column.value_or(""); }

}  // namespace

std::string advisory_key(std::span<const std::optional<std::string>, 5> row) {
  const auto high = std::strtoull(text(row[0]).c_str(), nullptr, 10);
  const auto low = std::strtoull(text(row[1]).c_str(), nullptr, 10);
  if (text(row[2]) == "2") {
    const std::string first = row[4].value_or(std::to_string(static_cast<std::int32_t>(high)));
    return fmt::format("advisory ({}, {})", first, static_cast<std::int32_t>(low));
  }
  return fmt::format("advisory {}", static_cast<std::int64_t>(high << 32U | low));
}

Monitor::Monitor(Connection connection)
    : where_(describe(connection.get())),
      server_version_(::PQserverVersion(connection.get())),
      pid_(::PQbackendPID(connection.get())),
      connection_(std::move(connection)) {}

Result<std::unique_ptr<Monitor>> Monitor::open(const Dsn& dsn, Nanos connect_max) {
  auto connection = connect(dsn, "lockstep", connect_max);
  if (!connection) return connection.error();
  return std::unique_ptr<Monitor>(new Monitor(std::move(connection).value()));
}

Result<Table> Monitor::query_within(const std::string& sql, std::span<const std::optional<std::string>> parameters,
                                    Nanos limit) {
  if (connection_ == nullptr) {
    return Error{Fault::unavailable, {}, fmt::format("the connection to PostgreSQL at {} is lost", where_)};
  }
  auto answer = ask(connection_.get(), sql, parameters, limit);
  if (answer) return table_of(answer->get());
  Error error = answer.error();
  if (error.code.empty() || ::PQstatus(connection_.get()) != CONNECTION_OK) {
    connection_.reset();
    error.fault = Fault::unavailable;
    error.message = fmt::format("PostgreSQL at {}: {}", where_, error.message);
  }
  return error;
}

Result<Table> Monitor::query(const std::string& sql, std::span<const std::optional<std::string>> parameters) {
  const MutexLock lock(mutex_);
  return query_within(sql, parameters, kQueryMax);
}

void Monitor::name_row(ServerWait& wait, const std::string& relation, const std::string& ctid) {
  wait.object = fmt::format("{} {}", relation, ctid);
  wait.relation = relation;
  wait.row = ctid;
  if (relation != "kv") return;
  // The version that is being changed still has its place and its key.
  const std::array parameters = {std::optional(ctid)};
  const auto key = query_within("select k from kv where ctid = $1::tid", parameters, kLookMax);
  if (key && !key->empty() && (*key)[0][0]) wait.object = wait.row = *(*key)[0][0];
}

Result<Table> Monitor::look(const char* statement, int pid) {
  if (!is_prepared_) {
    if (auto prepared = query_within(kPrepare, {}, kLookMax); !prepared) return prepared;
    is_prepared_ = true;
  }
  return query_within(fmt::format("execute {} ({})", statement, pid), {}, kLookMax);
}

ServerWait Monitor::wait_of(int pid, Detail detail) {
  ServerWait wait;
  const MutexLock lock(mutex_);
  const auto blockers = look("ls_blockers", pid);
  if (!blockers) return wait;
  for (const auto& row : *blockers) wait.blockers.push_back(std::atoi(text(row[0]).c_str()));
  if (wait.blockers.empty() || detail == Detail::blockers) return wait;
  const auto locks = look("ls_locks", pid);
  if (!locks) return wait;
  for (const auto& row : *locks) {
    const bool awaited = text(row[0]) == "f";
    const std::string kind = text(row[1]);
    if (awaited) {
      wait.kind = kind;
      wait.mode = text(row[2]);
      wait.transaction = text(row[3]);
    }
    if (kind == "tuple" && detail == Detail::row) {
      name_row(wait, text(row[4]), text(row[5]));
    } else if (kind == "advisory") {
      wait.object = advisory_key(std::span<const std::optional<std::string>, 5>(&row[6], 5));
    } else if (row[4]) {
      wait.object = wait.relation = *row[4];
    }
  }
  return wait;
}

std::string Monitor::prepared_before(int pid) {
  const MutexLock lock(mutex_);
  const auto found =
      query_within(fmt::format("select p.gid from pg_catalog.pg_locks l join pg_catalog.pg_prepared_xacts p"
                               " on p.transaction = l.transactionid where l.pid = {} and not l.granted",
                               pid),
                   {}, kLookMax);
  return found && !found->empty() ? text((*found)[0][0]) : std::string();
}

bool Monitor::is_blocked_by(int pid, const std::vector<int>& others) {
  const MutexLock lock(mutex_);
  const auto answer = query_within(
      fmt::format("select pg_catalog.pg_isolation_test_session_is_blocked({}, '{{{}}}')", pid, fmt::join(others, ",")),
      {}, kLookMax);
  return answer && !answer->empty() && text((*answer)[0][0]) == "t";
}

bool Monitor::cancel(int pid) {
  const MutexLock lock(mutex_);
  const std::array parameters = {std::optional(std::to_string(pid))};
  const auto sent = query_within("select pg_catalog.pg_cancel_backend($1::int)", parameters, kLookMax);
  return sent && !sent->empty() && text((*sent)[0][0]) == "t";
}

void Monitor::terminate(int pid) {
  const MutexLock lock(mutex_);
  const std::array parameters = {std::optional(std::to_string(pid))};
  const auto sent = query_within("select pg_catalog.pg_terminate_backend($1::int)", parameters, kLookMax);
  const auto deadline = std::chrono::steady_clock::now() + kEndMax;
  // A process that is gone from pg_stat_activity has given back its locks: the server removes the entry last.
  while (sent && std::chrono::steady_clock::now() < deadline) {
    const auto left =
        query_within("select 1 from pg_catalog.pg_stat_activity where pid = $1::int", parameters, kLookMax);
    if (!left || left->empty()) return;
    (void)query_within("select pg_catalog.pg_sleep(0.002)", {}, kLookMax);
  }
}

}  // namespace lockstep::postgres
