// exit_code.h: what the program says to scripts.
#pragma once

namespace lockstep::cli {

enum ExitCode : int {
  kAsExpected = 0,
  kNotAsExpected = 1,     ///< a verdict that was not expected, or an invariant broken under a strategy said to be safe
  kUsage = 2,             ///< a wrong name, option or schedule
  kStoreUnavailable = 3,  ///< the store cannot be opened or failed in mid-run, or a rank of the job was lost
  kNotKnown = 3,          ///< of check-history, which opens no store: nothing proves the history right or wrong
  kInternal = 4,          ///< a fault of Lockstep, or of its output: stdout or the recording could not be written
  kTimeBudgetHit = 5,     ///< ended by --timeout, which nobody expected, or a search by --budget
  kInterrupted = 130,     ///< ^C, SIGTERM or SIGHUP
};

}  // namespace lockstep::cli
