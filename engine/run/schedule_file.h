// schedule_file.h: a schedule as a small text file, to keep beside a bug report or in a test: JSON, one line a step.
//
//   {"format": "lockstep-schedule", "version": 1, "scenario": "threads/two-lock", "store": "none", "protocol": "none",
//    "pattern": "naive", "seed": 1, "options": {"retries": 1}, "actors": ["T1", "T2"], "steps": 4, "verdict":
//    "deadlock"}
//   {"step": 1, "actor": "T1", "operation": "lock", "object": "A", "enabled": ["T1", "T2"]}
//   {"step": 2, "actor": "T2", "operation": "lock", "object": "B", "enabled": ["T1", "T2"]}
//   …
//
// (each on one line). "operation" and "object" are what the actor is about to do. "timeout": true stands where the step
// is that the deadline of its wait passes. "enabled" are the actors that could go, "T1:timeout" where a deadline could
// pass. "options": "retries", "lock_timeout_ns", "deadlock_timeout_ns", where the run was asked for them.
//
// The file names things as the scenario does, and holds no times and no memory addresses. So it outlives versions of
// the program as long as the scenario does the same. A replay shows the first step that is not as written: after a
// change of the scenario, or an edit by hand.
#pragma once

#include <string>
#include <vector>

#include "engine/run/replay.h"
#include "engine/run/run.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

inline constexpr int kScheduleFileVersion = 1;

struct ScheduleStep {
  Choice choice;
  std::string operation;
  std::string object;
  std::vector<std::string> enabled;  ///< in the order of the actors
};

struct ScheduleFile {
  std::string scenario;
  RunRequest run;  ///< the other coordinates, and options
  std::vector<std::string> actors;
  std::vector<ScheduleStep> steps;
  record::Verdict verdict = record::Verdict::clean;
};

/// The lines, each ended.
std::string to_text(const ScheduleFile& file);
/// Reads such lines. Fault::invalid, with the line: the text is no schedule file, of another version (said which), cut
/// short, or names an actor that it does not list.
Result<ScheduleFile> schedule_file_of(const std::string& text);

/// Writes down the schedule of a finished run, by performing it once more. Fault::invalid as replay().
Result<ScheduleFile> written_down(const Scenario& scenario, const record::Run& run, const Dsns& dsn = {},
                                  const StopSource* stop = nullptr);

/// Performs the schedule, and compares every step with the file before it is taken. Compared are the operation, its
/// object, the actors that can go, and at the end the verdict. On a server it is a matter of time which actors can go;
/// there they are not compared. Replay::divergence has the step. Fault::invalid as resolve(), and when the scenario has
/// other actors.
Result<Replay> replay(const Scenario& scenario, const ScheduleFile& file, const ReplayOptions& options,
                      const StopSource* stop = nullptr);

}  // namespace lockstep
