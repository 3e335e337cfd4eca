// protocol.cc: the table of protocols.
#include "engine/stores/sqlite/protocol.h"

#include <algorithm>
#include <iterator>

namespace lockstep::sqlite {
namespace {

struct Row {
  std::string_view name;
  Protocol protocol;
  std::string_view summary;
};

constexpr Row kProtocols[] = {
    {"deferred-wal",
     {BeginMode::deferred, Journal::wal},
     "WAL, locks taken at first use: a stale snapshot that wants to write gets BUSY_SNAPSHOT"},
    {"immediate-wal",
     {BeginMode::immediate, Journal::wal},
     "WAL, the write lock taken at begin: writers queue, readers go on"},
    {"exclusive-wal", {BeginMode::exclusive, Journal::wal}, "WAL, BEGIN EXCLUSIVE: there the same as immediate"},
    {"deferred",
     {BeginMode::deferred, Journal::rollback},
     "rollback journal, locks taken at first use: a reader makes a commit wait, a second writer gets BUSY"},
    {"immediate",
     {BeginMode::immediate, Journal::rollback},
     "rollback journal, RESERVED taken at begin: writers queue, transactions never upgrade"},
    {"exclusive",
     {BeginMode::exclusive, Journal::rollback},
     "rollback journal, EXCLUSIVE taken at begin: one transaction at a time"},
};

}  // namespace

const char* begin_statement(BeginMode mode) noexcept {
  switch (mode) {
    case BeginMode::immediate:
      return "BEGIN IMMEDIATE";
    case BeginMode::exclusive:
      return "BEGIN EXCLUSIVE";
    case BeginMode::deferred:
      break;
  }
  return "BEGIN DEFERRED";
}

std::vector<std::pair<std::string, std::string>> protocol_list() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const Row& row : kProtocols) list.emplace_back(row.name, row.summary);
  return list;
}

std::optional<Protocol> protocol_named(std::string_view name) noexcept {
  const auto* row =
      std::find_if(std::begin(kProtocols), std::end(kProtocols), [name](const Row& r) { return r.name == name; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->protocol);
}

}  // namespace lockstep::sqlite
