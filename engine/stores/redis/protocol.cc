// protocol.cc: the table of protocols.
#include "engine/stores/redis/protocol.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace lockstep::redis {
namespace {

struct WatchRow {
  std::string_view name;
  RedisWatch watch;
  std::string_view summary;
  check::Level promised;
};

constexpr WatchRow kProtocols[] = {
    {"watch-reads", RedisWatch::what_is_read_too,
     "WATCH on every key that is read or written: EXEC gives nil once another session has changed one",
     check::Level::serializable},
    // Reads come one after the other, and nothing says at the end that they still hold.
    {"watch-writes", RedisWatch::what_is_written,
     "WATCH on the keys that are written, or read for update: no lost update, but write skew",
     check::Level::read_committed},
    // A command that fails inside EXEC leaves the others carried out, though the commit has failed. (Under WATCH none
    // can fail: what it depends on was read, and has not changed.)
    {"multi", RedisWatch::nothing, "MULTI and EXEC without WATCH: the writes come at one moment, whatever was read",
     check::Level::read_uncommitted},
};

/// Nobody ever waits for another session, so no cycle can form.
ProtocolTraits traits_of(const WatchRow& row) {
  return {.name = std::string(row.name),
          .summary = std::string(row.summary),
          .isolation = row.promised,
          .deadlocks = DeadlockBreaking::none,
          .scope = ConflictScope::store,
          .begin_order_matters = false,
          .reads_snapshot = false,
          .holds = HoldsUntilEnd::nothing,
          .model = std::nullopt,
          .on_trial = true};
}

}  // namespace

std::vector<ProtocolTraits> protocol_list() {
  std::vector<ProtocolTraits> list;
  for (const WatchRow& row : kProtocols) list.push_back(traits_of(row));
  return list;
}

std::optional<RedisWatch> watch_named(std::string_view protocol) {
  const auto* row = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                 [protocol](const WatchRow& each) { return each.name == protocol; });
  return row == std::end(kProtocols) ? std::nullopt : std::optional(row->watch);
}

}  // namespace lockstep::redis
