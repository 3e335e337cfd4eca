// lmdb_peer.cc: LMDB: any number of readers of a snapshot, one writer at a time, so that nothing ever aborts.
//
// --durability none: no sync, written through the map; async: no sync; sync: synced at commit.
#include <lmdb.h>

#include <filesystem>

#include "tests/bench/kv_bench/engine_over.h"

namespace lockstep::bench {
namespace {

struct LmdbStore {
  std::unique_ptr<MDB_env, decltype(&mdb_env_close)> env{nullptr, mdb_env_close};
  MDB_dbi table = 0;
};

MDB_val val_of(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

class LmdbSession {
 public:
  static constexpr bool kOrdered = true;

  LmdbSession(LmdbStore& store, const Settings&) : store_(store) {}
  ~LmdbSession() { abort(); }
  LmdbSession(const LmdbSession&) = delete;
  LmdbSession& operator=(const LmdbSession&) = delete;

  /// Waits while another one writes.
  void begin(const Intent& intent) {
    began_ = mdb_txn_begin(store_.env.get(), nullptr, intent.read_only ? MDB_RDONLY : 0, &txn_);
  }
  Failure read(std::string_view key, std::string& value) {
    if (began_ != 0) return failure_of(began_);
    MDB_val wanted = val_of(key);
    MDB_val found{};
    const int code = mdb_get(txn_, store_.table, &wanted, &found);
    value.assign(code == 0 ? view(found) : std::string_view());
    return code == MDB_NOTFOUND ? Failure() : failure_of(code);
  }
  Failure read_for_update(std::string_view key, std::string& value) { return read(key, value); }
  Failure write(std::string_view key, std::string_view value) { return put(key, value, 0); }
  Failure insert(std::string_view key, std::string_view value) { return put(key, value, MDB_NOOVERWRITE); }
  Failure scan(std::string_view from, std::string_view to, std::size_t limit, std::vector<kv::Row>& rows) {
    if (began_ != 0) return failure_of(began_);
    rows.clear();
    MDB_cursor* cursor = nullptr;
    int code = mdb_cursor_open(txn_, store_.table, &cursor);
    MDB_val key = val_of(from);
    MDB_val value{};
    for (auto move = MDB_SET_RANGE; code == 0 && rows.size() < limit; move = MDB_NEXT) {
      code = mdb_cursor_get(cursor, &key, &value, move);
      if (code != 0 || (!to.empty() && view(key) >= to)) break;
      rows.push_back({std::string(view(key)), std::string(view(value))});
    }
    if (cursor) mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? Failure() : failure_of(code);
  }
  Failure commit() {
    if (began_ != 0) return failure_of(began_);
    return failure_of(mdb_txn_commit(std::exchange(txn_, nullptr)));
  }
  void abort() {
    if (txn_) mdb_txn_abort(std::exchange(txn_, nullptr));
  }
  const std::string& why() const { return why_; }

 private:
  Failure put(std::string_view key, std::string_view value, unsigned flags) {
    if (began_ != 0) return failure_of(began_);
    MDB_val at = val_of(key);
    MDB_val bytes = val_of(value);
    const int code = mdb_put(txn_, store_.table, &at, &bytes, flags);
    return code == MDB_KEYEXIST ? Failure(Fault::constraint) : failure_of(code);
  }

  Failure failure_of(int code) {
    if (code == 0) return std::nullopt;
    why_ = mdb_strerror(code);
    return code == MDB_MAP_FULL ? Fault::disk_full : Fault::io;
  }

  LmdbStore& store_;
  MDB_txn* txn_ = nullptr;
  int began_ = 0;
  std::string why_;
};

int open_table(LmdbStore& store) {
  MDB_txn* txn = nullptr;
  if (const int code = mdb_txn_begin(store.env.get(), nullptr, 0, &txn); code != 0) return code;
  if (const int code = mdb_dbi_open(txn, nullptr, 0, &store.table); code != 0) return mdb_txn_abort(txn), code;
  return mdb_txn_commit(txn);
}

}  // namespace

Result<std::unique_ptr<Engine>> open_lmdb(const Contestant&, const Settings& settings) {
  const std::string path = settings.dir + "/lmdb";
  std::error_code ignored;
  std::filesystem::create_directory(path, ignored);
  LmdbStore store;
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  store.env.reset(env);
  if (code == 0) code = mdb_env_set_mapsize(env, std::size_t{32} << 30);  // address space, not memory
  if (code == 0) code = mdb_env_set_maxreaders(env, settings.threads + 1);
  const unsigned flags = settings.durability == Durability::sync    ? 0
                         : settings.durability == Durability::async ? MDB_NOSYNC
                                                                    : MDB_NOSYNC | MDB_WRITEMAP;
  if (code == 0) code = mdb_env_open(env, path.c_str(), flags, 0600);
  if (code == 0) code = open_table(store);
  if (code != 0) return Error{Fault::io, {}, mdb_strerror(code)};
  return std::unique_ptr<Engine>(new EngineOver<LmdbStore, LmdbSession>(std::move(store), settings));
}

}  // namespace lockstep::bench
