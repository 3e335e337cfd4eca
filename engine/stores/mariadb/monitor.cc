// monitor.cc: questions to the server beside the sessions.
#include "engine/stores/mariadb/monitor.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>

#include "engine/stores/mariadb/errors.h"

namespace lockstep::mariadb {
namespace {

using namespace std::chrono_literals;

constexpr auto kEndMax = 5s;

/// Who listens at the other end of a socket in the file system.
int peer_of(MYSQL* connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  sockaddr_storage address{};
  socklen_t address_size = sizeof address;
  const int socket = ::mysql_get_socket(connection);
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &address_size) != 0) return 0;
  if (address.ss_family != AF_UNIX) return 0;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

}  // namespace

MariaMonitor::MariaMonitor(Connection connection, std::string where)
    : where_(std::move(where)), server_pid_(peer_of(connection.get())), connection_(std::move(connection)) {}

Result<std::unique_ptr<MariaMonitor>> MariaMonitor::open(const MariaDsn& dsn, Nanos connect_max) {
  auto connection = connect(dsn, MariaCalls::wait, connect_max);
  if (!connection) return connection.error();
  return std::unique_ptr<MariaMonitor>(new MariaMonitor(std::move(connection).value(), dsn.where()));
}

Result<Table> MariaMonitor::query(const std::string& sql) {
  const MutexLock lock(mutex_);
  if (connection_ == nullptr) {
    return Error{Fault::unavailable, {}, fmt::format("the connection to MariaDB at {} is lost", where_)};
  }
  auto answer = ask(connection_.get(), sql);
  if (answer) return std::move(answer->rows);
  Error error = answer.error();
  if (is_loss(static_cast<unsigned>(std::strtoul(error.code.c_str(), nullptr, 10)))) {
    connection_.reset();
    error.fault = Fault::unavailable;
    error.message = fmt::format("MariaDB at {}: {}", where_, error.message);
  }
  return error;
}

std::string MariaMonitor::value_of(const std::string& sql) {
  const auto rows = query(sql);
  if (!rows || rows->empty() || rows->front().empty()) return {};
  return rows->front().front().value_or("");
}

std::string MariaMonitor::status() {
  const auto rows = query("show engine innodb status");
  if (!rows || rows->empty() || rows->front().size() < 3) return {};
  return rows->front()[2].value_or("");
}

std::string MariaMonitor::state_of(std::uint64_t thread) {
  return value_of(fmt::format("select state from information_schema.processlist where id = {}", thread));
}

void MariaMonitor::kill_query(std::uint64_t thread) { (void)query(fmt::format("kill query {}", thread)); }

void MariaMonitor::kill_connection(std::uint64_t thread) {
  const auto sent = query(fmt::format("kill {}", thread));
  const auto deadline = std::chrono::steady_clock::now() + kEndMax;
  // The server gives a connection's locks back before it takes it off the list.
  while (sent && std::chrono::steady_clock::now() < deadline) {
    const auto left = query(fmt::format("select 1 from information_schema.processlist where id = {}", thread));
    if (!left || left->empty()) return;
    (void)query("do sleep(0.002)");
  }
}

}  // namespace lockstep::mariadb
