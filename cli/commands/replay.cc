// replay.cc: `lockstep replay`: a saved run again, step for step.
#include "engine/replay.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/hints.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/program.h"
#include "cli/run_options.h"
#include "cli/run_text.h"
#include "cli/runs_folder.h"
#include "engine/run.h"

namespace lockstep::cli {
namespace {

int replay_run(Program& program) {
  const std::string folder = runs_folder(program.arguments);
  const Result<std::string> path = record::find(folder, program.arguments.value("ID"));
  if (!path) return fail_with(path.error());
  const Result<record::Run> recorded = record::load(*path);
  if (!recorded) return fail_with(recorded.error());
  std::string error;
  const Scenario* scenario = scenario_named(recorded->scenario, error);
  if (scenario == nullptr) return usage_error(error);

  ReplayOptions options{.executor = program.arguments.value("executor", "threads"),
                        .dsn = program.arguments.value("dsn")};
  if (program.arguments.has("until")) {
    const std::string text = program.arguments.value("until");
    const char* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, options.until);
    if (wrong != std::errc() || rest != end)
      return usage_error(fmt::format("--until \"{}\" is no number of steps", text));
  }
  if (!program.quiet) announce_private_server({.store = recorded->store, .dsn = options.dsn});
  const Result<Replay> replayed = replay(*scenario, *recorded, options, &program.stop);
  if (!replayed) return program.stopped() ? int{kInterrupted} : fail_with(replayed.error());

  if (program.json) {
    program.out.write(replay_json(*replayed, recorded->id));
  } else if (program.quiet) {
    program.out.write(replay_line(*replayed, program.look));
  } else {
    program.out.write(replay_text(*replayed, program.look, {.full = program.arguments.has("full")}));
  }
  if (replayed->run.ending == record::Ending::interrupted && program.stopped()) return kInterrupted;
  return replayed->divergence ? kNotAsExpected : kAsExpected;
}

}  // namespace

CommandSpec replay_command() {
  return {
      .name = "replay",
      .summary = "a saved run again, step for step, on real threads",
      .description =
          "Every event is compared with the recorded one before the next step is taken; at the first that differs the "
          "replay stops and says so (exit code 1). Times are not compared, and on a server neither is what it names by "
          "its own numbers. A run under the free schedule cannot be replayed.",
      .arguments = {{"ID", "the saved run; a unique beginning of its id is enough", true, Names::run}},
      .options = {{"until", "STEP",
                   "stop when so many steps of its schedule have been taken, and show how things stand"},
                  {"executor",
                   "NAME",
                   "how actors wait: threads (the default) or coroutines",
                   Names::choices,
                   {"threads", "coroutines"}},
                  {"dsn", "DSN", "the PostgreSQL server to use (LOCKSTEP_DSN; default: a private one)"},
                  out_option(),
                  {"full", "", "every row of a long run, every text whole"},
                  {"json", "", "the result as JSON"}},
      .examples = {{"replay 7f3a", "The same again."}, {"replay 7f3a --until 5", "How things stand after five steps."}},
      .run = replay_run,
  };
}

}  // namespace lockstep::cli
