// store.h: the in-house transactional key-value store, as its users see it.
//
// A store holds ordered string keys under one locking protocol, chosen when it is opened. It never blocks a thread: an
// operation that must wait queues its waiter and answers "pending". The thread that grants, kills or times the wait out
// wakes the waiter. The caller then makes the same call again. A thin facade that parks the caller is in
// kv/sync_facade.h.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/clock.h"
#include "kv/base/conflict_scope.h"
#include "kv/base/holds.h"
#include "kv/base/result.h"
#include "kv/base/waiter.h"
#include "kv/durability.h"

namespace lockstep::kv {

using KeyView = std::string_view;
using TxnId = std::uint64_t;

/// One attempt at an operation: nullopt = pending, otherwise the answer. Pending: the waiter is queued and will be
/// woken exactly once; then make the same call with the same arguments again.
template <class T>
using Attempt = std::optional<Result<T>>;

enum class LockMode : std::uint8_t { shared, update, exclusive };

/// "shared", "update", "exclusive".
std::string_view name_of(LockMode mode) noexcept;

/// One edge of the waits-for graph: `waiter` waits for `holder` because of `key`. A transaction that waits in front of
/// the waiter in the queue of the key counts as a holder too: it will be served first.
struct WaitEdge {
  TxnId waiter = 0;
  TxnId holder = 0;
  std::string key;  ///< empty: the end of the key space, after the last key
  LockMode wanted = LockMode::exclusive;
  LockMode held = LockMode::exclusive;  ///< what the holder holds, or wants when it waits in front
  bool range = false;                   ///< the conflict is about the gap before the key, not about its row
  bool avoidance = false;    ///< the key is free: the banker waits because the holder's claims make it unsafe
  bool whole_store = false;  ///< the conflict is about the store as a whole (`serial`); `key` is empty
};

/// One lock that is held or waited for.
struct LockInfo {
  std::string key;           ///< empty: the end of the key space, after the last key
  bool range = false;        ///< the lock also covers the gap before the key (up to its predecessor)
  bool gap_only = false;     ///< the lock covers only that gap, not the row
  bool whole_store = false;  ///< the lock covers every key (`serial`); `key` is empty
  TxnId txn = 0;
  LockMode mode = LockMode::exclusive;
  bool granted = false;
};

/// What the index has around a range of keys, vacant rows that are still locked included.
struct Neighbourhood {
  std::optional<std::string> below;  ///< the last key before the range
  std::optional<std::string> above;  ///< the first key behind it
  bool has_row = false;              ///< the first key of the range has a row that is not vacant
};

/// A deadlock that the store found and broke.
struct DeadlockReport {
  std::vector<WaitEdge> cycle;      ///< edge i ends at the waiter of edge i+1; the last ends at the first
  std::vector<std::string> labels;  ///< of the waiter of each edge
  TxnId victim = 0;
  std::string why;  ///< the victim policy, such as "youngest"
};

/// The victim of a deadlock. A retry that names its first attempt is spared while another member of the cycle is not
/// one. Among retries the victim is the one with the youngest first attempt. So nobody is the victim for ever, except
/// by `closer`.
enum class VictimPolicy : std::uint8_t {
  youngest,    ///< began last (first attempts count, also for retries)
  oldest,      ///< began first
  least_work,  ///< has or wants the fewest locks; of equals the youngest
  closer,      ///< its wait closes the cycle, retry or not: as in databases where each waiter looks for itself
};

/// "youngest", "oldest", "least work", "closed the cycle".
std::string_view name_of(VictimPolicy policy) noexcept;

/// What has happened in a store since it was opened.
struct Counters {
  static constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::certification_failure) + 1;
  std::uint64_t begun = 0;
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;                      ///< by their callers
  std::array<std::uint64_t, kFaults> given_up{};  ///< by the store, by fault
  std::uint64_t waits = 0;                        ///< operations that were pending; counted when the transaction ends

  std::uint64_t given_up_for(Fault fault) const noexcept { return given_up[static_cast<std::size_t>(fault)]; }
};

/// Told what the store decides by itself. Called in the thread of the operation that caused it, with no lock of the
/// store held that an introspection call would need. Must not call an operation on a transaction. Outlives the store.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Before the cycle is broken: introspection still shows every edge of it.
  virtual void on_deadlock(const DeadlockReport& report) = 0;
};

class FileSystem;

struct Options {
  std::string protocol = "2pl-detect";       ///< a name from protocols()
  std::string path = {};                     ///< the data folder, made when it is not there; empty = in memory only
  Durability durability = Durability::sync;  ///< with a path
  LogLimits log_limits = {};
  FileSystem* files = nullptr;   ///< outlives the store; nullptr = the real one
  Nanos lock_timeout = kNever;   ///< longest wait for one lock; kNever = no limit. `2pl-timeout` defaults to 50 ms
  const Clock* clock = nullptr;  ///< outlives the store; nullptr = a real clock
  VictimPolicy victim = VictimPolicy::youngest;  ///< where deadlocks are broken: `2pl-detect`, `snapshot`, `ssi`
  Observer* observer = nullptr;                  ///< outlives the store; nullptr = nobody
};

/// What a transaction asks for. Neither level shows dirty data, and under neither is a dirty row overwritten.
enum class Isolation : std::uint8_t {
  /// What the protocol promises: serializable, except for `snapshot`.
  protocol,
  /// Less, where the protocol can give less: every operation by itself sees committed rows. Two may see different
  /// moments (lost updates, non-repeatable reads, phantoms happen). Under 2pl-* a plain read gives its lock back at
  /// once, and a scan locks no gaps. Under `snapshot` and `ssi` every operation has a snapshot of its own, and a write
  /// goes on top of what was committed while it waited. `2pl-banker`, `occ` and `serial` ignore it and give what they
  /// promise.
  read_committed,
};

struct TxnOptions {
  std::string_view label = {};  ///< names the transaction in messages, such as "T1"; copied
  std::uint64_t tag = 0;        ///< for the caller: comes back in introspection
  /// Keys that it may lock; `2pl-banker` refuses any other, and everybody fetches them: see Transaction::prefetch().
  /// Copied.
  std::span<const std::string> claims = {};
  bool claims_all = false;  ///< claims every key, such as to load or to check a whole store
  TxnId first_attempt = 0;  ///< a retry names its first attempt and keeps that one's age; 0 = itself
  Isolation isolation = Isolation::protocol;
};

struct Row {
  std::string key;
  std::string value;
  friend bool operator==(const Row&, const Row&) = default;
};

/// What a protocol is. No member has a default: a protocol that leaves one out does not compile.
struct ProtocolInfo {
  std::string_view name;     ///< that of its file; the catalogue fills it in
  std::string_view summary;  ///< one line: what it does on a conflict
  bool serializable;         ///< else it promises snapshot isolation
  bool reads_snapshot;       ///< plain reads see one moment, and take no locks
  HoldsUntilEnd holds;       ///< what plain reads and writes lock until the end
  bool breaks_deadlocks;     ///< finds a cycle of waits as it closes, and gives one of its members up
  ConflictScope scope;       ///< whom a step can meet
  bool on_trial;             ///< new: nothing says yet what is to be expected of it
};

/// Every protocol of this build, in the order of the catalogue.
std::span<const ProtocolInfo> protocols() noexcept;

class Log;
class Protocol;
class TransactionState;

/// A handle to one transaction. One thread at a time. Must not outlive its store. Dropping an unfinished one aborts it.
///
/// A transaction that the store gives up (deadlock, timeout, failed validation, cancel_wait ...) is rolled back and has
/// given back its locks when the operation answers. Every later operation answers with the same fault, until abort().
/// A refusal (constraint, invalid, claim_exceeded) changes nothing and leaves the transaction active.
/// After commit() or abort() every operation answers Fault::invalid.
/// Only one operation at a time may be pending; another one answers Fault::invalid meanwhile.
/// Keys must not be empty; limits are at the end of this file.
class Transaction {
 public:
  Transaction() noexcept;
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) noexcept;
  ~Transaction();

  /// Copies the value into `value` (its capacity is reused) and answers whether the key exists.
  Attempt<bool> read(KeyView key, std::string& value, Waiter& waiter);
  /// As read(), and nobody else may change the key until the end of this transaction (select … for update).
  Attempt<bool> read_for_update(KeyView key, std::string& value, Waiter& waiter);
  /// Inserts or overwrites.
  Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter);
  /// Fault::constraint when the key exists.
  Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter);
  /// Overwrites only when the key exists with exactly the value `expected`; answers whether it did.
  Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter);
  /// Answers whether the key existed.
  Attempt<bool> erase(KeyView key, Waiter& waiter);
  /// The rows with `from <= key < to` in key order, at most `limit`; an empty `to` means no upper end. `rows` is
  /// cleared first. No phantoms where the protocol is serializable.
  Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Waiter& waiter);
  /// As scan(), with the rows locked as by read_for_update().
  Attempt<void> scan_for_update(KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows, Waiter& waiter);

  /// Marks a point to come back to. Names may repeat: the latest counts, as in SQL.
  Result<void> savepoint(std::string_view name);
  /// Undoes every write since the savepoint, which stays. Locks taken since then are given back where the protocol may.
  Result<void> rollback_to(std::string_view name);
  Result<void> release(std::string_view name);

  /// Says which keys the next operations will touch, best in their order. A hint: their cache misses then come all at
  /// once instead of one after the other. Keys that were claimed at begin need none. The latest hint counts.
  void prefetch(std::span<const KeyView> keys) const;

  /// In a store with a data folder pending also means: committed, and on its way to the disk. The answer comes when it
  /// is as safe as the durability promises. cancel_wait() then leaves the commit alone: the next attempt answers with
  /// outcome_unknown, and the transaction is over. So it does when the log fails meanwhile; after that every commit
  /// answers io or disk_full, and the transaction is rolled back.
  Attempt<void> commit(Waiter& waiter);
  /// Undoes everything and gives back every lock. Never waits; allowed in every state, also twice.
  void abort() noexcept;

  /// While an operation is pending: when its caller should call cancel_wait(Fault::lock_timeout). kNever = no limit.
  Nanos wait_deadline() const noexcept;
  /// Takes the pending operation's waiter out of its queue; the next attempt answers with `why` and the transaction is
  /// given up. No effect when the waiter has been woken already. After it returns the waiter will not be woken any
  /// more.
  void cancel_wait(Fault why) noexcept;

  /// True between begin and commit / abort, also when the store has given it up meanwhile.
  bool active() const noexcept;
  TxnId id() const noexcept;

 private:
  friend class Store;
  explicit Transaction(TransactionState& state) noexcept;

  template <class T, class Operation>
  Attempt<T> attempt(Operation operation);
  Attempt<void> commit_to_log(Waiter& waiter);
  void end(bool committed) noexcept;
  Attempt<void> scan_as(bool for_update, KeyView from, KeyView to, std::size_t limit, std::vector<Row>& rows,
                        Waiter& waiter);

  TransactionState* state_ = nullptr;  // lent by the protocol, which has it back at commit and abort
  TxnId id_ = 0;
};

/// A store. Thread-safe; outlives its transactions.
class Store {
 public:
  /// Fault::invalid for an unknown protocol. With a path: recovers what was committed (blocks as long as that takes)
  /// and holds the folder until the end of the store. Faults: invalid (not a folder, not a store, another format),
  /// unavailable (in use), permission, disk_full, io (damaged); the message names the file and the offset.
  static Result<std::unique_ptr<Store>> open(Options options);
  /// As close(), with nobody to tell.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Transaction begin(TxnOptions options = {});

  /// Introspection: a snapshot, consistent per lock.
  std::vector<LockInfo> locks() const;
  std::vector<WaitEdge> waits() const;
  /// The edges from `txn` right now; empty when it does not wait.
  std::vector<WaitEdge> waits_of(TxnId txn) const;
  /// Where locks reach from one key of the index to the next: what lies around [from, to); an empty `to` means no end.
  /// nullopt under protocols that lock no gaps. Takes time in the number of keys.
  std::optional<Neighbourhood> neighbourhood(KeyView from, KeyView to) const;
  /// Under the same protocols: the vacant rows that `txn` has or wants a lock on. The last such lock that is given back
  /// takes the key out of the index, which joins two gaps.
  std::vector<std::string> vacant_keys_of(TxnId txn) const;
  /// The latest deadlocks that were broken, at most 16; the latest comes last.
  std::vector<DeadlockReport> deadlocks() const;
  /// Transactions that are over, and how they ended.
  Counters counters() const;
  /// The tag given at begin; 0 when the transaction is over.
  std::uint64_t tag_of(TxnId txn) const;

  std::string_view protocol() const noexcept;

  /// Of the data folder; nullopt for a store in memory.
  std::optional<LogStatus> log_status() const;
  /// Puts everything that is committed on disk, whatever the durability; no commit succeeds after it. Blocks, as no
  /// other call of an open store does. Answers the fault that stopped the log, if any.
  Result<void> close();

 private:
  Store(std::unique_ptr<Protocol> protocol, std::unique_ptr<Log> log) noexcept;
  std::unique_ptr<Log> log_;  // outlives the transactions, so the protocol
  std::unique_ptr<Protocol> protocol_;
};

/// Limits, in bytes. A longer key or value is Fault::invalid.
inline constexpr std::size_t kMaxKeyBytes = 64 * 1024;
inline constexpr std::size_t kMaxValueBytes = 1024ull * 1024 * 1024;

}  // namespace lockstep::kv
