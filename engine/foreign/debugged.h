// debugged.h: a schedule of a program under gdb: what gdb is to do, and what its commands then read.
//
// gdb starts the program, again for every step back. The program asks this process before each step, and stops where
// gdb's commands (engine/gdb/lockstep.py) have said.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/foreign/program.h"

namespace lockstep::foreign {

/// One thread serves; the others may ask what gdb is to be told.
class DebuggedProgram {
 public:
  /// Faults: as call_of(), and when this machine does not give what is needed.
  static Result<std::unique_ptr<DebuggedProgram>> open(const ProgramSchedule& written);

  /// Where the run is to stop first, unless something else is wanted: where nobody can go on, else before the last
  /// step.
  std::size_t fatal_step() const;
  /// What gdb is told before it runs the program: what puts it under control.
  std::vector<std::string> commands_for_gdb() const;
  /// Answers the program until `ended`.
  void serve(const std::atomic<bool>& ended);

 private:
  explicit DebuggedProgram(const ProgramSchedule& written) : written_(written) {}
  Choice choose(std::uint64_t choices);
  void answer();
  void say_how_it_stands(const Choice* next);
  void write_actors();
  void write_locks();
  void write_edges();
  void write_history();

  /// "FILE:LINE", or the function, of a call.
  const std::string& place_of(std::uint64_t caller);

  ProgramSchedule written_;
  std::unique_ptr<ProgramSubject> subject_;
  std::map<std::uint64_t, std::string> places_;
};

}  // namespace lockstep::foreign
