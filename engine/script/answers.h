// answers.h: what came of each step of a file in one run: the rows whole, where a recording shortens them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/backend.h"
#include "kv/base/mutex.h"
#include "kv/base/result.h"

namespace lockstep::script {

struct StepAnswer {
  std::size_t step = 0;      ///< index in its session
  std::uint32_t number = 0;  ///< of the operation in the run (record::Event::step); 0: it was none
  std::optional<Error> error = {};
  Table table = {};
  std::int64_t rows = 0;
};

struct AnswersOfRun {
  /// By actor, in the order in which they came. A body that is run again adds to them.
  std::map<int, std::vector<StepAnswer>> actors = {};
  /// Invariants that could not be asked: the index, and what the store said.
  std::vector<std::pair<std::size_t, std::string>> failed_queries = {};
};

/// Keeps what the latest run left. Thread-safe.
class AnswerSink {
 public:
  void put(AnswersOfRun answers) {
    const MutexLock lock(mutex_);
    latest_ = std::move(answers);
  }
  AnswersOfRun latest() const {
    const MutexLock lock(mutex_);
    return latest_;
  }

 private:
  mutable Mutex mutex_;
  AnswersOfRun latest_ LOCKSTEP_GUARDED_BY(mutex_);
};

}  // namespace lockstep::script
