// protocol.h: the duties of a locking protocol. One file under protocols/ a protocol; the catalogue is made from their
// names at configure time.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/rare.h"
#include "kv/base/spin.h"
#include "kv/log/log_wait.h"
#include "kv/log/write_set.h"
#include "kv/memory/epochs.h"
#include "kv/memory/recycled.h"
#include "kv/store.h"
#include "kv/transaction/row_sink.h"

namespace lockstep::kv {

/// Inside an operation: goes on when `attempt` succeeded, otherwise answers with its fault or with pending. After a
/// wait the caller makes the same call again, and what the earlier attempts got is still held.
#define LOCKSTEP_TRY(attempt)                                    \
  do {                                                           \
    const auto lockstep_tried = (attempt);                       \
    if (!lockstep_tried) return std::nullopt;                    \
    if (!lockstep_tried->ok()) return {lockstep_tried->error()}; \
  } while (false)

/// A transaction inside the store: what every protocol needs, and the operations that differ. Used by one thread at a
/// time; used again for another transaction after it has ended, with all the memory that it holds.
///
/// store.cc has checked before it calls an operation: the sizes, that the transaction is active, that none is pending.
class TransactionState {
 public:
  virtual ~TransactionState() = default;

  enum class Access : std::uint8_t { plain, for_update };

  virtual Attempt<bool> read(KeyView key, std::string& value, Access access, Waiter& waiter) = 0;
  virtual Attempt<void> write(KeyView key, std::string_view value, Waiter& waiter) = 0;
  virtual Attempt<void> insert(KeyView key, std::string_view value, Waiter& waiter) = 0;
  virtual Attempt<bool> write_if(KeyView key, std::string_view expected, std::string_view value, Waiter& waiter) = 0;
  virtual Attempt<bool> erase(KeyView key, Waiter& waiter) = 0;
  /// `rows` is empty; `limit` is not 0.
  virtual Attempt<void> scan(KeyView from, KeyView to, std::size_t limit, RowSink& rows, Access access,
                             Waiter& waiter) = 0;
  /// Hands every write to the log (see log_writes()), makes it visible and gives back every lock, or answers why not.
  virtual Attempt<void> commit(Waiter& waiter) = 0;
  /// Undoes every write and gives back every lock; takes the pending operation, if any, out of its queue.
  virtual void roll_back() noexcept = 0;

  /// How much the transaction has done: savepoints are made of these.
  struct Mark {
    std::size_t writes = 0;
    std::size_t locks = 0;
  };
  /// What is done from here on can be undone.
  virtual Mark mark() noexcept = 0;
  /// Says which keys the next operations will touch; changes nothing but the time that they take. The claims that a
  /// transaction begins with say so too.
  virtual void prefetch(std::span<const KeyView>) {}
  virtual void prefetch(std::span<const std::string>) {}
  virtual void undo_to(Mark mark) = 0;

  // Waiting; a protocol that never waits leaves these as they are.
  virtual bool is_waiting() const noexcept { return false; }
  /// Why the wait ended other than by a grant; empty otherwise. Taken by the first attempt after the wait.
  virtual std::optional<Error> take_verdict() { return std::nullopt; }
  virtual Nanos wait_deadline() const noexcept { return kNever; }
  virtual void cancel_wait(Fault) noexcept {}

  /// Constant during a transaction; other threads may read them while it is listed.
  TxnId id = 0;
  TxnId age = 0;  ///< the id of its first attempt: smaller is older
  std::uint64_t tag = 0;
  std::string label;

  /// The latest attempt answered pending.
  bool pending = false;
  bool has_committed = false;
  /// How many attempts answered pending.
  std::uint64_t waits = 0;
  /// Set when the store has given the transaction up; it has been rolled back then.
  Rare<Error> given_up;

  struct Savepoint {
    std::string name;
    Mark mark;
  };
  Recycled<Savepoint> savepoints;

  /// The transaction's place in the log; 0 = it has written nothing, or there is no log.
  Position log_position = 0;
  /// commit() has succeeded; what is awaited is the log.
  bool awaits_log = false;
  std::optional<Fault> log_wait_cancelled;
  LogWait log_wait;

  Protocol& protocol() const noexcept { return *protocol_; }

 protected:
  /// Where commit() puts its final writes, each key once; nullptr when the store has no log.
  WriteSet* log_writes() noexcept;
  /// Appends them. At the moment when the transaction's place among conflicting ones is fixed, and before anybody else
  /// can see its writes or take its locks. Never blocks.
  void append_to_log() noexcept;
  bool is_logged() const noexcept;

  friend class Protocol;
  /// Takes over the options; `id`, `age`, `tag` and `label` are set already.
  virtual void start(const TxnOptions&) {}

 private:
  Protocol* protocol_ = nullptr;
  WriteSet log_writes_;
  std::size_t shard_ = 0;     // of the protocol, for good
  std::size_t position_ = 0;  // in the list of active transactions of its shard
  /// Pinned from begin to end: what the transaction has found in an index stays where it is.
  std::optional<Epochs::Reader> reader_;
};

/// One store's data under one protocol. Thread-safe. Lends transactions and takes them back.
class Protocol {
 public:
  virtual ~Protocol();

  TransactionState& begin(const TxnOptions& options);
  /// `state` has committed or rolled back; nobody uses it any more.
  void end(TransactionState& state) noexcept;

  std::uint64_t tag_of(TxnId txn) const;

  virtual std::vector<LockInfo> locks() const { return {}; }
  virtual std::vector<WaitEdge> waits() const { return {}; }
  virtual std::vector<WaitEdge> waits_of(TxnId) const { return {}; }
  virtual std::vector<DeadlockReport> deadlocks() const { return {}; }
  virtual std::optional<Neighbourhood> neighbourhood(KeyView, KeyView) const { return std::nullopt; }
  virtual std::vector<std::string> vacant_keys_of(TxnId) const { return {}; }
  Counters counters() const;

  /// nullptr: in memory only.
  Log* log() const noexcept { return log_; }
  /// Before the first transaction that is to be logged. `log` outlives the protocol's transactions.
  void attach(Log& log) noexcept { log_ = &log; }

  /// Of the records of the protocol. Every transaction is pinned.
  Epochs& epochs() noexcept { return epochs_; }

  std::string_view name;  // constant after construction

 protected:
  virtual std::unique_ptr<TransactionState> make_state() = 0;

  /// Calls `visit` for every active transaction. It holds a mutex of the list: a leaf lock below it is allowed.
  void for_each_active(const std::function<void(const TransactionState&)>& visit) const;
  /// Calls `visit` when `txn` is active.
  void with_active(TxnId txn, const std::function<void(const TransactionState&)>& visit) const;

 private:
  // Sharded by thread, so that transactions which begin at the same time do not meet. A shard keeps the states that it
  // made for the life of the store: a deadlock detector may look at one that has just ended.
  static constexpr std::size_t kShards = 16;
  // The first ids are given one by one, so the age of a transaction is exact where people follow single steps. Later a
  // shard takes a block at a time, and age is exact to within a few blocks: enough for a victim or a priority.
  static constexpr TxnId kExactIds = 4096;
  static constexpr TxnId kIdBlock = 64;
  struct alignas(64) Shard {
    mutable SpinMutex mutex;
    std::vector<std::unique_ptr<TransactionState>> states LOCKSTEP_GUARDED_BY(mutex);
    std::vector<TransactionState*> active LOCKSTEP_GUARDED_BY(mutex);
    std::vector<TransactionState*> idle LOCKSTEP_GUARDED_BY(mutex);
    Counters counters LOCKSTEP_GUARDED_BY(mutex);
    TxnId next_id LOCKSTEP_GUARDED_BY(mutex) = 0;  // [next_id, last_id]: the rest of its block
    TxnId last_id LOCKSTEP_GUARDED_BY(mutex) = 0;
  };

  TxnId draw_id(Shard& shard) LOCKSTEP_REQUIRES(shard.mutex);

  Log* log_ = nullptr;
  Epochs epochs_;
  alignas(64) std::atomic<TxnId> last_id_{0};
  std::array<Shard, kShards> shards_;
};

inline bool TransactionState::is_logged() const noexcept { return protocol_->log() != nullptr; }

inline WriteSet* TransactionState::log_writes() noexcept { return is_logged() ? &log_writes_ : nullptr; }

/// One line of the catalogue: what a file under protocols/ gives.
struct ProtocolEntry {
  ProtocolInfo info;
  std::unique_ptr<Protocol> (*open)(const Options& options, const Clock& clock) = nullptr;
};

/// Every protocol of this build, sorted by name. Made from the file names.
std::span<const ProtocolEntry> protocol_entries() noexcept;

}  // namespace lockstep::kv
