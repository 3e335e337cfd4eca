// one_processor.h: this thread and processes of a server of ours on one processor.
#pragma once

#include <sched.h>

namespace lockstep::server {

/// Keeps the calling thread, which must also end this, where it is now; does nothing where that is not allowed. Not
/// thread-safe.
class OneProcessor {
 public:
  OneProcessor();
  ~OneProcessor();
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;

  /// Puts a process there too.
  void take_in(int pid) const noexcept;

 private:
  cpu_set_t before_{}, here_{};
  bool pinned_ = false;
};

}  // namespace lockstep::server
