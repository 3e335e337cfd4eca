// engines.cc: the engines that --engine names, and which of them this build has.
#include <fmt/format.h>

#include <algorithm>

#include "tests/bench/kv_bench/engine.h"

namespace lockstep::bench {

using Opened = Result<std::unique_ptr<Engine>>;
Opened open_kv(const Contestant&, const Settings&);
Opened open_yardstick(const Contestant&, const Settings&);
Opened open_yardstick_prefetch(const Contestant&, const Settings&);
// CMake says which of these there are.
#ifdef LOCKSTEP_ROCKSDB
Opened open_rocksdb_pessimistic(const Contestant&, const Settings&);
Opened open_rocksdb_optimistic(const Contestant&, const Settings&);
#else
constexpr auto open_rocksdb_pessimistic = nullptr;
constexpr auto open_rocksdb_optimistic = nullptr;
#endif
#ifdef LOCKSTEP_LMDB
Opened open_lmdb(const Contestant&, const Settings&);
#else
constexpr auto open_lmdb = nullptr;
#endif
#ifdef LOCKSTEP_SQLITE
Opened open_sqlite(const Contestant&, const Settings&);
#else
constexpr auto open_sqlite = nullptr;
#endif

std::span<const EngineEntry> engines() noexcept {
  static constexpr EngineEntry entries[] = {
      {"kv", "the in-house store; --protocol chooses how it locks", "", open_kv},
      {"yardstick", "a minimal Silo on a hash table: what is possible", "", open_yardstick},
      {"yardstick-prefetch", "the same, prefetching the records of a transaction", "", open_yardstick_prefetch},
      {"rocksdb-pessimistic", "RocksDB's TransactionDB, with deadlock detection", "librocksdb-dev",
       open_rocksdb_pessimistic},
      {"rocksdb-optimistic", "RocksDB's OptimisticTransactionDB", "librocksdb-dev", open_rocksdb_optimistic},
      {"lmdb", "LMDB: one writer at a time, copy on write", "liblmdb-dev", open_lmdb},
      {"sqlite", "SQLite, write-ahead log", "libsqlite3-dev", open_sqlite},
  };
  return entries;
}

Opened open_engine(const Contestant& contestant, const Settings& settings) {
  const auto all = engines();
  const auto entry =
      std::find_if(all.begin(), all.end(), [&](const EngineEntry& e) { return e.name == contestant.engine; });
  if (entry == all.end())
    return Error{Fault::invalid, {}, fmt::format("no engine \"{}\" (kv_bench --help lists them)", contestant.engine)};
  if (!entry->open)
    return Error{Fault::unsupported,
                 {},
                 fmt::format("{} is not compiled in; install {} and configure again", entry->name, entry->package)};
  if (contestant.engine != "kv" && !contestant.protocol.empty())
    return Error{Fault::invalid, {}, fmt::format("{} has no protocols to choose from", entry->name)};
  return entry->open(contestant, settings);
}

}  // namespace lockstep::bench
