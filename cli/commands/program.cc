// program.cc: from the command line to a command, and from its end to an exit code.
#include "cli/commands/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <new>

#include "cli/args/exit_code.h"
#include "cli/commands/signals.h"
#include "cli/text/help.h"

namespace lockstep::cli {
namespace {

ColourWish colour_wish(const Arguments& arguments) {
  const std::string wish = arguments.value("color", "auto");
  return wish == "always" ? ColourWish::always : wish == "never" ? ColourWish::never : ColourWish::automatic;
}

int dispatch(int argc, const char* const* argv, Output& out) {
  Parsed parsed = parse(argc, argv);
  if (!parsed.error.empty()) return usage_error(parsed.error);
  const Terminal terminal = terminal_of(STDOUT_FILENO, colour_wish(parsed.arguments));
  if (parsed.version) {
    out.write(fmt::format("lockstep {}\n", kVersion));
    return kAsExpected;
  }
  if (parsed.command == nullptr) {
    out.write(program_help(terminal));
    return kAsExpected;
  }
  if (parsed.help) {
    out.write(command_help(*parsed.command, terminal));
    return kAsExpected;
  }
  Program program(*parsed.command, std::move(parsed.arguments), out);
  return program.end_ranks(parsed.command->run(program));
}

/// Opens each standard stream that was closed at the start. Otherwise a database could get its number, and output would
/// go into it. Reading from or writing to what is put there fails.
void hold_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

Program::Program(const CommandSpec& spec, Arguments typed, Output& output)
    : command(spec),
      arguments(std::move(typed)),
      json(arguments.has("json")),
      quiet(arguments.has("quiet")),
      terminal(terminal_of(STDOUT_FILENO, colour_wish(arguments))),
      out(output),
      stop(stop_source()) {}

Ranks& Program::ranks() {
  if (ranks_ == nullptr) {
    ranks_ = join_ranks([this] { return stop.requested(); });
    if (!ranks_->leads()) {
      out.mute();
      keep_complaints();
    }
  }
  return *ranks_;
}

int Program::end_ranks(int code) {
  if (ranks_ == nullptr || !ranks_->are_several()) return code;
  if (const std::string& lost = ranks_->lost(); ranks_->leads() && !lost.empty()) {
    complain(fmt::format("{}; what was finished until then is kept", lost));
    if (code == kAsExpected || code == kTimeBudgetHit || code == kInterrupted) code = kStoreUnavailable;
  }
  const bool in_order = ranks_->leave(code == kAsExpected ? std::string() : kept_complaint());
  // A launcher ends the whole job as soon as one rank's exit code is not 0.
  return !ranks_->leads() && in_order ? int{kAsExpected} : code;
}

int run_program(int argc, const char* const* argv) {
  hold_standard_streams();
  install_signals();
  Output out(STDOUT_FILENO);
  int code = kInternal;
  // No code of Lockstep throws; the libraries below it may (memory, formats).
  try {
    code = dispatch(argc, argv, out);
  } catch (const std::bad_alloc&) {
    complain("there is not enough memory for this");
    return kInternal;
  } catch (const std::exception& error) {
    complain(
        fmt::format("internal error in a library below: {}; please report it with the command line", error.what()));
    return kInternal;
  }
  if (out.error() != 0 && !out.reader_gone()) {
    complain(fmt::format("cannot write to standard output: {}", std::strerror(out.error())));
    return code == kAsExpected ? kInternal : code;
  }
  return code;
}

int usage_error(const std::string& text) {
  complain(text);
  return kUsage;
}

int fail_with(const Error& error) {
  complain(error.message.empty() ? std::string(name_of(error.fault)) : error.message);
  switch (error.fault) {
    case Fault::invalid:
    case Fault::unsupported:
      return kUsage;
    case Fault::unavailable:
    case Fault::permission:
    case Fault::disk_full:
    case Fault::io:
    case Fault::outcome_unknown:
      return kStoreUnavailable;
    case Fault::cancelled:
      return kInterrupted;
    default:
      return kInternal;
  }
}

}  // namespace lockstep::cli
