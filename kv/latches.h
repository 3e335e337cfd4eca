// latches.h: short mutexes for what is inside a record, many records to one mutex.
#pragma once

#include <array>
#include <cstddef>

#include "kv/base/mutex.h"

namespace lockstep::kv {

/// A mutex for each record, by the hash of its key. Each is a leaf and is held for a few instructions; nobody holds
/// two.
class Latches {
 public:
  Mutex& of(std::size_t hash) noexcept { return latches_[(hash >> 8) % latches_.size()].mutex; }

 private:
  struct alignas(64) Padded {
    Mutex mutex;
  };
  std::array<Padded, 256> latches_;
};

}  // namespace lockstep::kv
