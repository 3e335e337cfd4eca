// program.h: what a command is given, and the program around it.
#pragma once

#include <memory>
#include <string>

#include "cli/args/arguments.h"
#include "cli/args/version.h"
#include "cli/text/output.h"
#include "cli/text/terminal.h"
#include "engine/actor/run_state.h"
#include "engine/ranks/ranks.h"
#include "kv/base/result.h"

namespace lockstep::cli {

/// One invocation. Not thread-safe.
class Program {
 public:
  Program(const CommandSpec& spec, Arguments typed, Output& output);

  const CommandSpec& command;
  const Arguments arguments;
  const bool json;
  const bool quiet;
  const Terminal terminal;  ///< of standard output
  Output& out;              ///< outlives the program
  StopSource& stop;

  bool stopped() const noexcept { return stop.requested(); }

  /// The processes of the MPI job that this is one of; a single one without such a job. A command that shares its work
  /// calls this first. From then on only rank 0 is seen: what the others write goes nowhere, and rank 0 says what they
  /// complain of.
  Ranks& ranks();
  /// The command is over with this exit code. Gives that of the process: of a job it is rank 0's to give one. With a
  /// rank that was lost on the way it is kStoreUnavailable, unless something worse was found.
  int end_ranks(int code);

 private:
  std::unique_ptr<Ranks> ranks_;
};

/// The whole program. Returns the exit code; never throws.
int run_program(int argc, const char* const* argv);

/// Writes the complaint to stderr; gives kUsage.
int usage_error(const std::string& text);

/// Writes to stderr why the command failed. Gives the exit code that goes with the fault: usage for a wrong argument,
/// store unavailable, interrupted, else internal.
int fail_with(const Error& error);

}  // namespace lockstep::cli
