// lock_registry.h: which session holds which lock of the database file, and which sessions wait for it.
//
// SQLite's own locks can neither be waited for without polling nor asked for their holders. All connections to a
// backend's private file are sessions of one process, so the registry can keep a copy. Every session says what it holds
// after each of its steps (sqlite3_txn_state). A session that got SQLITE_BUSY queues here instead of sleeping.
//
// The copy decides only which session is woken and which is named as a blocker. SQLite alone decides which gets the
// lock. Invariants:
//   1. A member is woken at most once for each time that it was queued.
//   2. First come, first served: a request that is woken, tries and finds SQLite busy again keeps its place.
//   3. No member sleeps through the release that it waits for. What another member held, or was about to take, when
//   this
//      one was queued ends with a call of end_step(), queue() or leave(). Each of these looks for members to wake.
//   4. No member spins: one in the middle of a step counts as a holder of what the step may take. It counts so only for
//      members that queued after the step began, so that a stream of new steps does not keep a waiter asleep.
//
// Thread-safe. The mutex is a leaf; waiters are woken under it (waiter.h allows that).
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "engine/store/backend.h"
#include "engine/stores/sqlite/protocol.h"
#include "kv/base/mutex.h"
#include "kv/base/waiter.h"

namespace lockstep::sqlite {

/// SQLite's lock levels, in order. With WAL, `shared` is a snapshot and `reserved` the write lock.
enum class Level : std::uint8_t { none, shared, reserved, pending, exclusive };

/// For people: "RESERVED lock", or with WAL "write lock".
const char* name_of(Level level, Journal journal) noexcept;

/// True when a session that holds `held` keeps another one from getting `wanted`.
bool conflicts(Journal journal, Level wanted, Level held) noexcept;

class LockRegistry {
 public:
  explicit LockRegistry(Journal journal) noexcept : journal_(journal) {}

  /// One session. Opaque outside; guarded by the registry's mutex.
  class Member {
    friend class LockRegistry;
    int actor = -1;
    std::string name;
    Level held = Level::none;      ///< after its last step
    Level may_take = Level::none;  ///< what the step that it is in may take; none = it is in no step
    std::uint64_t step = 0;        ///< the number of that step
    Waiter* waiter = nullptr;      ///< queued
    Level wanted = Level::none;    ///< queued, or woken and not yet finished
    bool woken = false;            ///< woken and not yet finished: it goes before those behind it
    std::uint64_t queued_at = 0;   ///< the number of the last step that had begun when it was queued
    std::uint64_t ticket = 0;      ///< its place; 0: its request has not waited yet
  };

  /// The member stays where it is until leave(). leave() gives up what it held and wakes the sessions that waited for
  /// it.
  Member& join(int actor, std::string name);
  void leave(Member& member) noexcept;

  /// Before every call of SQLite that may take or give back a lock, with the most that it may take. Gives the epoch for
  /// queue(). A member that is still queued leaves the queue.
  std::uint64_t begin_step(Member& member, Level may_take) noexcept;
  /// Called after it: the request has ended, with or without success, and the session now holds `held`. Wakes the
  /// sessions that can go on.
  void end_step(Member& member, Level held) noexcept;

  static constexpr std::uint64_t kNoEpoch = UINT64_MAX;

  enum class Queued {
    again,    ///< not queued: the lock seems to have been given back meanwhile: step again
    yes,      ///< queued; will be woken exactly once
    foreign,  ///< queued, but no member holds the lock: another process does, and only polling finds the end
  };
  /// Instead of end_step(), when SQLite was busy: the step wants `wanted` and the session holds `held`. `waiter` is
  /// woken when another step makes sense. `epoch`: of begin_step(), or kNoEpoch to rule out the answer `again`.
  Queued queue(Member& member, Level held, Level wanted, std::uint64_t epoch, Waiter& waiter) noexcept;

  /// Gives the request up. After it returns the waiter will not be woken.
  void give_up(Member& member) noexcept;

  /// The actors' indices that the queued member waits for, in the order in which they joined; empty when it does not
  /// wait or was woken.
  std::vector<Blocker> blockers(const Member& member) const;
  /// blockers() in words: "T1 (RESERVED lock)"; "another process" when no member is in the way.
  std::string blockers_in_words(const Member& member, Level wanted) const;
  /// What every member held after its last step: "SHARED lock", or with WAL "snapshot" and "snapshot, write lock".
  std::vector<Blocker> holders() const;

 private:
  bool held_by_another(const Member& member, Level wanted) const LOCKSTEP_REQUIRES(mutex_);
  bool about_to_be_taken(const Member& member, Level wanted, std::uint64_t last_step) const LOCKSTEP_REQUIRES(mutex_);
  bool promised_to_another(const Member& member) const LOCKSTEP_REQUIRES(mutex_);
  void wake_who_can_go() noexcept LOCKSTEP_REQUIRES(mutex_);
  void forget_request(Member& member) noexcept LOCKSTEP_REQUIRES(mutex_);

  const Journal journal_;
  mutable Mutex mutex_;
  std::list<Member> members_ LOCKSTEP_GUARDED_BY(mutex_);  ///< in the order they joined
  std::uint64_t epoch_ LOCKSTEP_GUARDED_BY(mutex_) = 0;    ///< of what members hold
  std::uint64_t last_step_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_ticket_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep::sqlite
