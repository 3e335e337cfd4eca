// checkpointer.h: keeps the log, and with it the time of a recovery, short: merges sealed segments into the checkpoint.
//
// Fuzzy in the sense of Gray and Reuter 1993, 11.3: commits go on meanwhile. It never looks at the store, only at
// segments that are complete and on disk. So it needs no lock and no snapshot of any protocol, and nothing uncommitted
// can get in.
//
// A pass reads sealed segments of together at most kPassBytes (at least one segment) into memory. It sorts their writes
// and merges them with the checkpoint before into a new file. It begins when the sealed segments are longer than
// `log_bytes` and longer than the checkpoint is. So all passes together write about as much as was logged. A pass that
// fails leaves everything as it was; the next sealed segment tries again.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/log/recovery.h"

namespace lockstep::kv {

/// Thread-safe. `mutex_` is a leaf.
class Checkpointer {
 public:
  static constexpr std::uint64_t kPassBytes = 128 * 1024 * 1024;

  struct Start {
    FileSystem& files;  ///< outlives this
    std::string folder;
    std::uint64_t store_id = 0;
    std::uint64_t log_bytes = 0;  ///< see above
    Position position = 0;        ///< of the checkpoint that is there; 0 = none
    std::uint64_t bytes = 0;      ///< its size
    std::vector<SealedSegment> sealed;
  };
  explicit Checkpointer(Start start);
  /// Ends a pass in the middle; what it has written is removed.
  ~Checkpointer();

  /// A segment more. Never blocks on a file.
  void add(SealedSegment segment);

  Position position() const;
  /// Why the latest pass failed; empty when it did not.
  std::optional<Error> failure() const;

 private:
  void run();
  bool is_due() const LOCKSTEP_REQUIRES(mutex_);
  /// What the next pass takes.
  std::vector<SealedSegment> batch() const LOCKSTEP_REQUIRES(mutex_);
  /// Makes the checkpoint as of the end of `segments`; its size.
  Result<std::uint64_t> merge(const std::vector<SealedSegment>& segments, Position before);
  void remove_behind(const std::vector<SealedSegment>& segments, Position before);

  // Constant after construction.
  FileSystem& files_;
  const std::string folder_;
  const std::uint64_t store_id_;
  const std::uint64_t log_bytes_;

  // A hint that is looked at between rows; relaxed: nothing depends on when it is seen.
  std::atomic<bool> stop_{false};

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<SealedSegment> sealed_ LOCKSTEP_GUARDED_BY(mutex_);
  Position position_ LOCKSTEP_GUARDED_BY(mutex_);
  std::uint64_t bytes_ LOCKSTEP_GUARDED_BY(mutex_);
  std::optional<Error> failure_ LOCKSTEP_GUARDED_BY(mutex_);
  bool try_again_ LOCKSTEP_GUARDED_BY(mutex_) = true;
  bool closing_ LOCKSTEP_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // started by the first add() or when there is something to do at the start
};

}  // namespace lockstep::kv
