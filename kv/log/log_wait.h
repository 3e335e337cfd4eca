// log_wait.h: a transaction's wait for its place in the log to be on disk.
#pragma once

#include <cstdint>

#include "kv/base/waiter.h"

namespace lockstep::kv {

/// Where a transaction stands in the log; 0 = before everything.
using Position = std::uint64_t;

/// Lives in the transaction. Guarded by the log's mutex of waits while it is queued.
struct LogWait {
  Waiter* waiter = nullptr;
  Position position = 0;
  LogWait* previous = nullptr;  // nullptr: not queued
  LogWait* next = nullptr;
};

}  // namespace lockstep::kv
