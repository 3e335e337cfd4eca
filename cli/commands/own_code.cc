// own_code.cc: see own_code.h.
#include "cli/commands/own_code.h"

#include <unistd.h>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/runs_folder.h"
#include "cli/text/json.h"
#include "cli/text/run_text.h"

namespace lockstep::cli {

std::function<void(const OwnCode&, record::Run&)> end_at_own_code(Program& program) {
  return [&program](const OwnCode&, record::Run& run) {
    RunRequest again{.store = run.store, .protocol = run.protocol, .pattern = run.pattern, .executor = run.executor};
    again.schedule = run.schedule;
    run.command = command_of(run, again);
    std::string path;
    if (!program.arguments.has("no-record")) {
      if (const Result<std::string> saved = record::save(run, runs_folder(program.arguments))) path = *saved;
    }
    if (program.json) {
      program.out.write(run_json(run, path));
    } else if (program.quiet) {
      program.out.write(verdict_line(run, program.terminal));
    } else {
      program.out.write(run_text(run, program.terminal, {.path = path}));
    }
    // Its thread cannot be ended but with the program.
    ::_exit(kNotAsExpected);
  };
}

}  // namespace lockstep::cli
