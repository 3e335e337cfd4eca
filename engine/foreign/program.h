// program.h: a program of its own, run once, explored, and replayed.
//
// What a run is for `engine/run` is here the program with its arguments and its folder. A run for the record has the
// threads as its actors and their operations as its events. Its document "program" has what a replay needs.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "engine/explore/subject.h"
#include "engine/foreign/program_subject.h"
#include "engine/run/replay.h"
#include "engine/run/schedule_file.h"

namespace lockstep::foreign {

/// The name of the document in a recording: the program, its schedule and what it printed.
inline constexpr const char* kProgramDocument = "program";
/// The version of a schedule file that names a program.
inline constexpr int kProgramScheduleVersion = 2;

/// A schedule of a program, step by step, as a recording and a schedule file have it:
///
///   {"format": "lockstep-schedule", "version": 2, "program": {"words": ["./server", "8"], "path": "/…/server",
///    "folder": "/…", "hash": "9f…"}, "actors": ["main", "T1", "T2"], "steps": 2, "verdict": "deadlock"}
///   {"step": 1, "actor": "T1", "operation": "lock", "object": "A", "enabled": ["T1", "T2"]}
///   …
struct ProgramSchedule {
  ProgramCall call;
  std::string hash;  ///< of the program's file
  std::vector<std::string> actors;
  std::vector<ScheduleStep> steps;
  record::Verdict verdict = record::Verdict::clean;
};

std::string to_text(const ProgramSchedule& schedule);
/// True when the text is a schedule file of a program.
bool is_of_program(const std::string& schedule_file);
/// Fault::invalid, with the line: it is no such text.
Result<ProgramSchedule> program_schedule_of(const std::string& schedule_file);
/// Of a run for the record. Fault::invalid: it is none of a program.
Result<ProgramSchedule> program_schedule_of(const record::Run& run);
/// What the run printed.
std::string output_of(const record::Run& run);
/// Where a signal met it, the innermost function first: "withdraw() at bank.cc:12". Empty: none did.
std::vector<std::string> stack_of(const record::Run& run);

/// Runs the program once. `schedule`: "T1 T2 T1:timeout …"; behind its end, and when it is empty, each thread goes on
/// as far as it can. Fault::invalid: as call_of(), and for what is not supported.
Result<record::Run> run(const ProgramCall& call, const std::string& schedule, const ProgramLimits& limits,
                        const StopSource* stop = nullptr);

/// Performs the schedule, and compares every step with what is written. `options.times`: as often.
Result<Replay> replay(const ProgramSchedule& written, const ReplayOptions& options, const ProgramLimits& limits,
                      const StopSource* stop = nullptr);

class ProgramExplorable final : public Explorable {
 public:
  /// `stop` outlives it.
  ProgramExplorable(ProgramCall call, const ProgramLimits& limits, const StopSource* stop)
      : call_(std::move(call)), limits_(limits), stop_(stop) {}

  std::string name() const override { return call_.words.front(); }
  Result<std::unique_ptr<Subject>> open() const override;
  Result<RecordedRun> record(const std::string& schedule, Nanos until) const override;
  /// A run has asked a file that is not its process's own, and such a step was left where it came.
  bool met_outside() const { return met_outside_.load(std::memory_order_relaxed); }
  bool knows_footprints() const override { return true; }
  bool is_on_server() const override { return false; }
  Result<std::optional<record::StateGraph>> draw(std::size_t, Nanos, std::vector<std::vector<Choice>>) const override {
    return std::optional<record::StateGraph>();
  }

 private:
  const ProgramCall call_;
  const ProgramLimits limits_;
  const StopSource* const stop_;
  mutable std::atomic<bool> met_outside_{false};
};

/// What a search of the program does not see, for people. `met_outside`: ProgramExplorable's.
std::vector<std::string> grain_of(const ProgramCall& call, bool met_outside);

}  // namespace lockstep::foreign
