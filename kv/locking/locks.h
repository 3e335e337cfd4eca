// locks.h: a lock (its strength, its target, its owner) and what a lock manager promises.
//
// A lock is on a key. It has two parts: the row of the key, and the gap between the key and its predecessor in the
// index. This is next-key locking (Mohan 1990, Gray and Reuter 1993, 7.8). A scan locks the gaps that it saw, an insert
// needs the gap that it splits. The empty key stands for the end of the key space: its gap lies after the last key.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/base/rare.h"
#include "kv/index/key_set.h"
#include "kv/locking/lock_cell.h"
#include "kv/memory/short_copy.h"
#include "kv/store.h"

namespace lockstep::kv {

inline constexpr KeyView kEndOfKeys = {};

/// How strong one part of a lock is; a stronger one includes the weaker ones.
enum class Strength : std::uint8_t {
  none,
  shared,     ///< others may share
  update,     ///< means to write: others may still read, no one else may mean to write
  exclusive,  ///< nobody else
};
inline constexpr std::size_t kStrengths = 4;

/// True when two transactions may not hold both at once.
constexpr bool conflicts(Strength a, Strength b) noexcept {
  if (a == Strength::none || b == Strength::none) return false;
  return static_cast<int>(a) + static_cast<int>(b) >
         static_cast<int>(Strength::shared) + static_cast<int>(Strength::update);
}

/// One lock's two parts.
struct LockSpec {
  Strength row = Strength::none;
  Strength gap = Strength::none;

  bool any() const noexcept { return row != Strength::none || gap != Strength::none; }
  bool covers(LockSpec other) const noexcept { return row >= other.row && gap >= other.gap; }
  bool conflicts_with(LockSpec other) const noexcept { return conflicts(row, other.row) || conflicts(gap, other.gap); }
  LockSpec joined(LockSpec other) const noexcept { return {std::max(row, other.row), std::max(gap, other.gap)}; }
  friend bool operator==(LockSpec, LockSpec) = default;
};

inline constexpr LockSpec row_lock(Strength strength) noexcept { return {strength, Strength::none}; }
inline constexpr LockSpec gap_lock(Strength strength) noexcept { return {Strength::none, strength}; }

/// The public name of a strength that is not none.
LockMode mode_of(Strength strength) noexcept;

struct LockOwner;
struct LockShard;
class LockManager;

/// What is locked: a record's lock and its key, whose bytes stay where they are while anybody has or wants the lock.
/// The banker looks only at the key, and `cell` may be nullptr.
struct LockTarget {
  LockCell* cell = nullptr;
  KeyView key;
};

/// What one transaction holds or wants on one key. Lives in its owner; linked into the queues of a LockHead. Every
/// field is guarded by the mutex of the cell's shard. While its owner does not wait, nobody else writes `held`, so the
/// owner may then read it without. While the cell holds the address of the request, nobody else looks.
struct LockRequest {
  LockOwner* owner = nullptr;            // constant
  std::atomic<LockCell*> cell{nullptr};  // nullptr: neither holds nor waits. Written by the owner's thread only.
  KeyView key;
  LockHead* head = nullptr;  // nullptr: it is the cell's only holder, or neither holds nor waits
  LockSpec held;
  LockSpec wanted;        // covers `held`; differs from it while waiting
  bool observed = false;  // the transaction has learnt something about the row: see TwoPhase::undo_to
  Waiter* waiter = nullptr;
  LockRequest* previous_holder = nullptr;
  LockRequest* next_holder = nullptr;
  LockRequest* previous_waiter = nullptr;
  LockRequest* next_waiter = nullptr;

  /// A request to strengthen what is held already.
  bool is_conversion() const noexcept { return held.any(); }
};

/// The requests of one owner, in the order of acquisition. They keep their addresses. Changed by the owner's thread
/// only; any thread may look at `size()` and the cells of the requests before it.
class LockRequests {
 public:
  explicit LockRequests(LockOwner& owner) : owner_(owner) {}
  ~LockRequests() {
    if (Rest* const rest = rest_.load(std::memory_order_relaxed)) {
      for (std::atomic<LockRequest*>& chunk : *rest) delete[] chunk.load(std::memory_order_relaxed);
      delete rest;
    }
    delete[] first_.load(std::memory_order_relaxed);
  }
  LockRequests(const LockRequests&) = delete;
  LockRequests& operator=(const LockRequests&) = delete;

  LockRequest& take(const LockTarget& target) {
    const std::size_t size = size_.load(std::memory_order_relaxed);
    make_room(size);
    LockRequest& request = (*this)[size];
    request.key = target.key;
    request.head = nullptr;
    request.held = request.wanted = LockSpec{};
    request.observed = false;
    request.cell.store(target.cell, std::memory_order_release);
    size_.store(size + 1, std::memory_order_release);
    return request;
  }
  /// The last one neither holds nor waits.
  void drop_last() noexcept {
    const std::size_t size = size_.load(std::memory_order_relaxed) - 1;
    (*this)[size].cell.store(nullptr, std::memory_order_release);
    size_.store(size, std::memory_order_release);
  }
  /// None of them holds or waits.
  void clear() noexcept { size_.store(0, std::memory_order_release); }

  std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  LockRequest& operator[](std::size_t i) noexcept {
    if (i < kFirst) return first_.load(std::memory_order_acquire)[i];
    const Place place = place_of(i);
    return (*rest_.load(std::memory_order_acquire))[place.chunk].load(std::memory_order_acquire)[place.offset];
  }

 private:
  // Most transactions are small, and many may wait at once. So the first chunk has kFirst requests (two rows and a
  // gap), chunk k of the rest kFirst << (k + 1).
  static constexpr std::size_t kFirst = 3;
  static constexpr std::size_t kChunks = 40;
  using Rest = std::array<std::atomic<LockRequest*>, kChunks>;
  struct Place {
    std::size_t chunk;
    std::size_t offset;
  };
  static Place place_of(std::size_t i) noexcept {
    const auto chunk = static_cast<std::size_t>(std::bit_width(i / kFirst + 1)) - 2;
    return {chunk, i - ((kFirst << (chunk + 1)) - kFirst)};
  }
  void make_room(std::size_t i) {
    if (i < kFirst) {
      if (!first_.load(std::memory_order_relaxed)) first_.store(make_chunk(kFirst), std::memory_order_release);
      return;
    }
    if (!rest_.load(std::memory_order_relaxed)) rest_.store(new Rest{}, std::memory_order_release);
    const std::size_t chunk = place_of(i).chunk;
    std::atomic<LockRequest*>& requests = (*rest_.load(std::memory_order_relaxed))[chunk];
    if (!requests.load(std::memory_order_relaxed)) {
      requests.store(make_chunk(kFirst << (chunk + 1)), std::memory_order_release);
    }
  }
  LockRequest* make_chunk(std::size_t size) {
    auto* const requests = new LockRequest[size];
    for (std::size_t i = 0; i < size; ++i) requests[i].owner = &owner_;
    return requests;
  }

  LockOwner& owner_;
  std::atomic<LockRequest*> first_{nullptr};
  std::atomic<Rest*> rest_{nullptr};
  std::atomic<std::size_t> size_{0};
};

/// Says to a transaction that runs, from another thread, that it has to give up (wound-wait). Thread-safe.
class Wound {
 public:
  Wound() = default;
  Wound(const Wound&) = delete;
  Wound& operator=(const Wound&) = delete;
  ~Wound() { heal(); }

  /// The first one counts. Sequentially consistent: the victim is seen to wait, or sees this before it waits.
  void inflict(Error why) {
    auto mine = std::make_unique<Error>(std::move(why));
    Error* none = nullptr;
    if (why_.compare_exchange_strong(none, mine.get())) mine.release();
  }
  /// nullptr: not wounded.
  const Error* why() const noexcept { return why_.load(); }
  void heal() noexcept {
    if (why()) delete why_.exchange(nullptr);
  }

 private:
  std::atomic<Error*> why_{nullptr};
};

/// One transaction as a lock manager sees it. `id`, `age` and `label` are constant during the transaction.
struct LockOwner {
  TxnId id = 0;
  TxnId age = 0;
  std::string label;                ///< may be empty: see name()
  std::vector<std::string> claims;  ///< keys that it may lock; only the banker looks
  bool claims_all = false;

  LockRequests requests{*this};
  KeySet by_key;                   // the requests by the hash of their keys; only the banker looks
  LockManager* manager = nullptr;  // the one that knows this owner, if it keeps a list

  /// The shard in which it waits, nullptr when it does not. Written with the mutex of that shard held. A release store
  /// by the thread that ends the wait, an acquire load by the owner: it then sees what the wait gave.
  std::atomic<LockShard*> waits_in{nullptr};
  /// Where its latest wait was queued, also when that has ended. Used by the owner's thread only.
  LockShard* queued_in = nullptr;
  bool queued_empty_handed = false;  // it held nothing then, so nobody was waiting for it
  /// Guarded by the mutex of the shard that `waits_in` names; the owner's own once it does not wait.
  LockRequest* waiting = nullptr;
  Rare<Error> verdict;  // why the wait ended, unless by a grant
  Nanos waits_since{0};
  Nanos deadline = kNever;
  std::uint64_t wait_number = 0;  // counts the waits, so that an old wait is not taken for a new one

  /// Inflicted only while it holds or waits for a lock, with the mutex of that lock's shard held.
  Wound wound;

  LockOwner() = default;
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;
  ~LockOwner();

  void start(TxnId new_id, TxnId new_age, std::string_view new_label) {
    id = new_id;
    age = new_age;
    queued_in = nullptr;
    verdict.reset();
    wound.heal();
    assign_short(label, new_label);
  }

  /// For messages.
  std::string name() const { return label.empty() ? "txn " + std::to_string(id) : label; }

  /// By the first attempt; two that name the same one are told apart by their own.
  bool is_older_than(const LockOwner& other) const noexcept {
    return std::pair(age, id) < std::pair(other.age, other.id);
  }

  bool is_waiting() const noexcept { return waits_in.load(std::memory_order_acquire) != nullptr; }
};

/// The answer to a request.
enum class Locked : std::uint8_t {
  granted,
  pending,  ///< the waiter will be woken exactly once: with the lock held, or with `owner.verdict` set
  refused,  ///< `owner.verdict` says why: the transaction must give up (retry is safe), or may not have this lock
  gone,     ///< the record is leaving the index: look for the key again
};

/// As an operation answers; the request was not for a record that is gone.
inline Attempt<void> answer(Locked locked, LockOwner& owner) {
  switch (locked) {
    case Locked::granted:
      return Result<void>();
    case Locked::refused:
      return Result<void>(*owner.verdict.take());
    case Locked::pending:
      break;
    case Locked::gone:
      LOCKSTEP_CHECK(false, "{} was answered that a record is gone", owner.name());
  }
  return std::nullopt;
}

/// Hands out locks. Thread-safe; an owner is used by one thread at a time. Nothing here blocks.
class LockManager {
 public:
  virtual ~LockManager() = default;

  /// Says what to do with the cell of a vacant row that is gone: nobody has or wants its lock any more. It is called
  /// with no mutex held, in the thread that gave the lock back. Before the first lock; otherwise none ever goes.
  virtual void when_gone(std::function<void(LockCell&)>) {}
  /// `owner` ends; it has nothing.
  virtual void forget(LockOwner&) noexcept {}

  virtual Locked lock(LockOwner& owner, const LockTarget& target, LockSpec wanted, Waiter& waiter) = 0;
  /// What `owner` has on `target`; nullptr when it has nothing.
  virtual LockRequest* find(LockOwner& owner, const LockTarget& target) = 0;
  /// Weakens a lock that is held to `kept`, which it covers, and grants to the waiters that can now have it.
  virtual void weaken(LockRequest& request, LockSpec kept) noexcept = 0;
  /// Gives back every lock in the order of acquisition and grants to the waiters that can now go on. Not while waiting.
  virtual void release_all(LockOwner& owner) noexcept = 0;
  /// Ends the wait of `owner` with the verdict `why`; its waiter will not be woken. False when it does not wait any
  /// more.
  virtual bool cancel(LockOwner& owner, Fault why) noexcept = 0;

  /// The caller is pinned in the epochs of the records.
  virtual std::vector<LockInfo> locks() const = 0;
  virtual std::vector<WaitEdge> waits() const = 0;
  /// `owner` must not end meanwhile.
  virtual std::vector<WaitEdge> waits_of(const LockOwner& owner) const = 0;
  /// The latest that were broken; the latest comes last.
  virtual std::vector<DeadlockReport> deadlocks() const { return {}; }
};

inline LockOwner::~LockOwner() {
  if (manager) manager->forget(*this);
}

/// "account/3", "the gap before account/3" or "the gap after the last key": for messages.
std::string describe(KeyView key, LockSpec wanted);

/// The sentence for a wait that was ended by its caller, such as "T2 waited 50 ms for account/3 (held by T1)".
std::string describe_cancelled(const LockOwner& owner, Fault why, Nanos waited, KeyView key, LockSpec wanted,
                               const std::string& holders);

}  // namespace lockstep::kv
