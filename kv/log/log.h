// log.h: the write-ahead log of a store: redo records of what was committed, in the order of the commits.
//
// append() is a copy in memory and never blocks. One thread takes all that has been appended, writes it with one call,
// syncs it with one call, and wakes its waiters. This is group commit (DeWitt et al. 1984; Gray and Reuter 1993, 9.4).
// Under load the next group fills while the last one is on its way. The writer also gives the threads that it has just
// woken a moment to come back. Otherwise they would fall into two groups by turns.
//
// A protocol appends before anybody else can see the writes or take the locks. So the order of conflicting transactions
// in the log is the order in which they are serialized. The protocol may let go of its locks before the group is on
// disk (early lock release). A transaction that reads what is not on disk yet appends behind it, and waits for a later
// position.
//
// After a failed write or sync the log has stopped: nothing is tried again, and no commit succeeds any more. What was
// not on disk by then is lost or not: recovery decides.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "kv/base/mutex.h"
#include "kv/base/waiter.h"
#include "kv/log/checkpointer.h"
#include "kv/log/log_wait.h"
#include "kv/log/recovery.h"
#include "kv/log/write_set.h"

namespace lockstep::kv {

/// Thread-safe. Lock order: `mutex_` and `waits_mutex_` are leaves and never held together.
class Log {
 public:
  struct Config {
    FileSystem& files;  ///< outlives the log
    std::string folder;
    Durability durability = Durability::sync;
    LogLimits limits;
  };
  Log(Config config, OpenFolder folder);
  /// As close(), with nobody to tell.
  ~Log();

  /// The transaction's place in the log. `writes` is not empty.
  Position append(const WriteSet& writes) noexcept;
  /// The latest position. A thread that has seen the writes of a transaction sees at least its position here.
  Position last() const noexcept { return last_.load(std::memory_order_acquire); }

  /// Success when `position` is as safe as the durability promises; otherwise queues `waiter`, which is woken once.
  /// Answers outcome_unknown when the log has stopped before it got there.
  Attempt<void> wait_for(Position position, LogWait& wait, Waiter& waiter);
  /// Takes the wait out of its queue; the waiter will not be woken after this. False when it was not in one.
  bool cancel(LogWait& wait) noexcept;
  bool is_waiting(const LogWait& wait) const;

  /// Looks at one atomic.
  bool has_stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  /// Why no commit can succeed any more; empty as long as all is well.
  std::optional<Error> stopped() const;
  LogStatus status() const;

  /// Writes and syncs everything and ends the thread; no commit succeeds after it. Blocks. Answers the fault that
  /// stopped the log before, if any.
  Result<void> close();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  void run();
  /// Waits for something to write; false when the log is closing and there is nothing.
  bool take_group();
  void wait_for_company() LOCKSTEP_REQUIRES(mutex_);
  Result<void> write_group();
  Result<void> finish();
  Result<void> roll_over(Position next_first);
  void settle(Position position);
  void stop(Error why);
  void wake_ready();

  // Constant after construction.
  FileSystem& files_;
  const std::string folder_;
  const Durability durability_;
  const LogLimits limits_;
  const std::unique_ptr<FolderLock> folder_lock_;
  const std::uint64_t store_id_;
  const RecoveryReport report_;

  // Used by the thread of the log only.
  std::unique_ptr<File> active_;
  Position active_first_;
  std::uint64_t active_bytes_;
  Position synced_;
  Position marked_;  // in the file SETTLED
  std::string writing_;
  std::size_t writing_records_ = 0;
  Position writing_last_ = 0;
  Duration sync_took_{0};

  std::atomic<Position> last_;             // written with mutex_ held, released to readers
  std::atomic<Position> settled_;          // what wait_for() waits for; released after the sync, acquired by waiters
  std::atomic<bool> stopped_{false};       // released after failure_ is set
  std::atomic<std::uint64_t> backlog_{0};  // bytes appended and not yet written; relaxed: a limit, not an order

  mutable Mutex mutex_;
  CondVar work_;
  std::string filling_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t filling_records_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::size_t wake_at_records_ LOCKSTEP_GUARDED_BY(mutex_) = 0;  // 0: the thread does not wait
  TimePoint filling_since_ LOCKSTEP_GUARDED_BY(mutex_);
  bool closing_ LOCKSTEP_GUARDED_BY(mutex_) = false;
  bool dropping_ LOCKSTEP_GUARDED_BY(mutex_) = false;  // nobody will write what is appended any more

  mutable Mutex waits_mutex_;
  LogWait queued_ LOCKSTEP_GUARDED_BY(waits_mutex_);  // heads of rings
  LogWait ready_ LOCKSTEP_GUARDED_BY(waits_mutex_);
  std::optional<Error> failure_ LOCKSTEP_GUARDED_BY(waits_mutex_);

  Checkpointer checkpointer_;
  std::thread thread_;
};

}  // namespace lockstep::kv
