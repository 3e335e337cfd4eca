// ticker.h: the line of progress of what gives no sign of life by itself.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "cli/text/output.h"

namespace lockstep::cli {

/// From a second on, writes what is being done and for how long on stderr, on a terminal only; erased at the end. A
/// thread of its own writes, so nothing else may write to stderr meanwhile.
class Ticker {
 public:
  /// `wanted`: false for --quiet. `doing`: "replay 7f3a"; `more` adds to it, called in the ticker's thread; may be
  /// empty.
  Ticker(bool wanted, std::string doing, std::function<std::string()> more = {});
  ~Ticker() { end(); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  /// Erases the line. What is written to stderr comes after this.
  void end();

 private:
  void tick();

  const std::string doing_;
  const std::function<std::string()> more_;
  Progress line_;  // of the ticker's thread
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false;  // guarded by mutex_
  std::thread thread_;    // not started where nobody could see it
};

}  // namespace lockstep::cli
