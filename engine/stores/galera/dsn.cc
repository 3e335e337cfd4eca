// dsn.cc: takes the list of hosts apart; each of them is then a DSN of MariaDB.
#include "engine/stores/galera/dsn.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/stores/mariadb/connection.h"

namespace lockstep::galera {
namespace {

constexpr std::string_view kScheme = "galera://";

Error not_a_dsn(std::string_view why) {
  return {Fault::invalid,
          {},
          fmt::format("not a DSN of a Galera cluster ({}): galera://USER:PASSWORD@HOST:PORT,HOST:PORT", why)};
}

}  // namespace

Result<std::vector<std::string>> dsns_of_nodes(const std::string& text) {
  if (!text.starts_with(kScheme)) return not_a_dsn("it does not begin with galera://");
  std::string_view hosts = std::string_view(text).substr(kScheme.size());
  hosts = hosts.substr(0, hosts.find('/'));
  std::string_view login;
  if (const std::size_t at = hosts.rfind('@'); at != std::string_view::npos) {
    login = hosts.substr(0, at + 1);
    hosts.remove_prefix(at + 1);
  }
  std::vector<std::string> nodes;
  for (std::size_t begin = 0; begin <= hosts.size();) {
    const std::size_t end = std::min(hosts.find(',', begin), hosts.size());
    const std::string_view host = hosts.substr(begin, end - begin);
    if (host.empty()) return not_a_dsn("a host has no name");
    nodes.push_back(fmt::format("mysql://{}{}", login, host));
    if (const auto parsed = mariadb::MariaDsn::parse(nodes.back()); !parsed) return parsed.error();
    begin = end + 1;
  }
  return nodes;
}

std::string without_password(const std::string& text) {
  const auto nodes = dsns_of_nodes(text);
  if (!nodes) return {};
  std::string shown;
  for (const std::string& node : *nodes) {
    // "mysql://user@host:port": the login is that of the first.
    std::string_view rest = std::string_view(node);
    const std::string plain = mariadb::MariaDsn::parse(std::string(rest))->without_password();
    rest = std::string_view(plain).substr(std::string_view("mysql://").size());
    if (!shown.empty()) rest = rest.substr(rest.find('@') == std::string_view::npos ? 0 : rest.find('@') + 1);
    shown += fmt::format("{}{}", shown.empty() ? kScheme : ",", rest);
  }
  return shown;
}

}  // namespace lockstep::galera
