// objects.h: the models whose operations are no transactions of several reads and writes.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/check/findings.h"
#include "engine/histories/operations.h"

namespace lockstep::histories {

using check::Anomaly;
using check::Judgement;

struct ObjectRules {
  std::optional<std::int64_t> total = {};  ///< bank: of all balances; without it, of the first read
  bool allow_negative = false;             ///< bank
  bool linearizable = false;               ///< set-full: a stale read is wrong
  bool failed_cas_reads = false;           ///< registers: a cas that failed saw another value
  std::chrono::nanoseconds time_limit = std::chrono::seconds(60);  ///< linearizability
};

struct ObjectVerdict {
  Judgement answer = Judgement::unknown;
  std::vector<Anomaly> anomalies;
  std::string why_unknown;
  std::vector<std::string> notes;
};

/// Each gives Fault::invalid with "LINE: what is wrong" for an operation that is none of the model's.
Result<ObjectVerdict> judge_bank(const Calls& calls, const ObjectRules& rules);
Result<ObjectVerdict> judge_set(const Calls& calls);
Result<ObjectVerdict> judge_set_full(const Calls& calls, const ObjectRules& rules);
Result<ObjectVerdict> judge_counter(const Calls& calls);
Result<ObjectVerdict> judge_long_fork(const Calls& calls);
Result<ObjectVerdict> judge_mutex(const Calls& calls, const ObjectRules& rules);
/// `keyed`: every value names its object: `[k v]`, or the operation has a key of its own.
Result<ObjectVerdict> judge_register(const Calls& calls, const ObjectRules& rules, bool keyed);

}  // namespace lockstep::histories
