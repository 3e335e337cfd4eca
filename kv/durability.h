// durability.h: the promises of a store with a data folder, its tuning, and what it says of itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep::kv {

/// When a commit answers. In every mode a transaction is recovered whole or not at all, and never without one that it
/// has read from or written over.
enum class Durability : std::uint8_t {
  sync,   ///< when it is on disk: a crash loses nothing that was answered
  async,  ///< at once; its sync begins within LogLimits::async_delay: a crash loses what was committed since then
  none,   ///< at once; written in the same time, synced by close(): a crash of the machine may lose all since then
};

/// "sync", "async", "none".
std::string_view name_of(Durability durability) noexcept;
std::optional<Durability> durability_named(std::string_view name) noexcept;

struct LogLimits {
  std::uint64_t segment_bytes = 32ull * 1024 * 1024;     ///< of one log file; a group of commits may go over it
  std::uint64_t checkpoint_bytes = 64ull * 1024 * 1024;  ///< of complete log files that a checkpoint is worth
  std::uint64_t backlog_bytes = 64ull * 1024 * 1024;  ///< not yet written: beyond it, commits wait in every durability
  Nanos async_delay = std::chrono::milliseconds(10);  ///< how long a commit may lie in memory unless it is synced
};

/// What opening a store found.
struct RecoveryReport {
  std::uint64_t rows = 0;       ///< loaded from the checkpoint
  std::uint64_t records = 0;    ///< applied from the log behind it; one a transaction
  std::uint64_t cut_bytes = 0;  ///< at the end of the log, of commits that were never complete
  bool closed = false;          ///< the store had been closed in order
};

/// A look at the log; each field is right for some moment of the look.
struct LogStatus {
  Durability durability = Durability::sync;
  std::uint64_t last = 0;                  ///< position of the latest commit; positions count the commits that wrote
  std::uint64_t settled = 0;               ///< up to here commits are as safe as the durability promises
  std::uint64_t checkpoint = 0;            ///< the position of the latest checkpoint; 0 = none
  std::optional<Error> stopped;            ///< why no commit can succeed any more
  std::optional<Error> checkpoint_failed;  ///< why the latest checkpoint could not be made: the log grows
  RecoveryReport recovery;
};

}  // namespace lockstep::kv
