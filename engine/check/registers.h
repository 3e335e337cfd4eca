// registers.h: whether a history of registers is what an isolation level promises, and if not, the proof.
//
// Levels and edges as for lists (isolation.h). But a read of a register shows one value and not those before, so the
// order of the writes must be inferred, rule by rule. Where the rules leave it open, an order that fits is looked for:
// among some likely ones, then among all if there are few transactions. Where that fails, the answer is unknown.
#pragma once

#include "engine/check/findings.h"

namespace lockstep::check {

/// What orders the versions of a key.
struct VersionRules {
  bool initial_state = true;        ///< a read of nil comes before every write
  bool writes_follow_reads = true;  ///< what a transaction read comes before what it writes of the same key
  bool sequential_keys = false;     ///< each process meets a key's versions in their order
  bool linearizable_keys = false;   ///< who had ended before another began met no later version of a key
};

/// What `transactions`, whose steps are look and write, show; those outlive it.
Findings judge_registers(const Transactions& transactions, const VersionRules& rules);

}  // namespace lockstep::check
