// program.h: what a command is given, and the program around it.
#pragma once

#include <string>

#include "cli/args/arguments.h"
#include "cli/args/version.h"
#include "cli/text/output.h"
#include "cli/text/terminal.h"
#include "engine/actor/run_state.h"
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
};

/// The whole program. Returns the exit code; never throws.
int run_program(int argc, const char* const* argv);

/// Writes the complaint to stderr; gives kUsage.
int usage_error(const std::string& text);

/// Writes to stderr why the command failed. Gives the exit code that goes with the fault: usage for a wrong argument,
/// store unavailable, interrupted, else internal.
int fail_with(const Error& error);

}  // namespace lockstep::cli
