// run_history.h: the transactions of a recorded run as a history that check-history and Elle judge.
//
// The rows of a scenario hold sums and names, so the history is one of registers (rw-register). An add is a read and a
// write. The rows that a run begins with are nil. A value that a key gets a second time has a number behind it, because
// each write of a register's history is unique.
//
// A read is written only where one write alone can be what it saw. A write counts as seen when its value fits, it was
// asked for before the answer, and it was not undone, or overwritten by its own transaction, before the question. Other
// reads are left out, which hides anomalies and invents none; their number is told.
#pragma once

#include <cstddef>
#include <string>

#include "engine/histories/forms.h"
#include "engine/record/run.h"
#include "kv/base/result.h"

namespace lockstep::histories {

struct RunHistory {
  std::string text;          ///< EDN, an operation a line; or a JSON array
  std::size_t reads = 0;     ///< that are in it
  std::size_t left_out = 0;  ///< reads of which it is not certain what they saw
};

/// Every attempt is a transaction of its actor's process. The rows at the end are read by a last one, of a process of
/// its own. Fault::invalid where the events do not tell what was written: SQL, a run that was thinned, no store.
Result<RunHistory> history_of(const record::Run& run, Syntax syntax);

}  // namespace lockstep::histories
