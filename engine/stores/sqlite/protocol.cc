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

/// No protocol of another store lets readers and the one writer meet as the file lock does under `deferred`. Where
/// begin takes the right to write, transactions come one after the other.
std::optional<StoreModel> model_of(const Protocol& protocol) {
  if (protocol.begin == BeginMode::deferred) return std::nullopt;
  return StoreModel{.protocol = "serial",
                    .emulated = {.name = "sqlite/immediate",
                                 .closer_is_victim = false,
                                 .operations_see_latest = false,
                                 .begin_takes_store = true,
                                 .failed_commit_aborts = false}};
}

/// No cycle of waits can form. Only two kinds of requests wait: one of a session that holds nothing, and a commit, for
/// sessions that read. A session that reads and wants to write is refused at once and never waits. So no wait leads
/// from a reader to another session.
ProtocolTraits traits_of(const Row& row) {
  return {.name = std::string(row.name),
          .summary = std::string(row.summary),
          .isolation = check::Level::serializable,
          .deadlocks = DeadlockBreaking::at_once,
          .scope = ConflictScope::store,
          .begin_order_matters = true,
          .reads_snapshot = row.protocol.journal == Journal::wal,
          .holds = HoldsUntilEnd::writes,
          .model = model_of(row.protocol),
          .on_trial = false};
}

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

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const Row& row : kProtocols) list.push_back(traits_of(row));
  return list;
}

std::optional<Protocol> protocol_named(std::string_view name) noexcept {
  const auto* row =
      std::find_if(std::begin(kProtocols), std::end(kProtocols), [name](const Row& r) { return r.name == name; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->protocol);
}

}  // namespace lockstep::sqlite
