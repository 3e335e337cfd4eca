// run.cc: `lockstep run`: runs a scenario once, saves the recording, shows what happened.
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/commands/announcement.h"
#include "cli/commands/commands.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/own_code.h"
#include "cli/commands/prediction.h"
#include "cli/commands/program.h"
#include "cli/commands/schedule_files.h"
#include "cli/commands/wait_graph.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/ticker.h"
#include "engine/gdb/registry.h"
#include "engine/run/run.h"

namespace lockstep::cli {
namespace {

/// True when --timeout ended the run: the run's clock or the machine's has reached the limit.
bool hit_limit(const record::Run& run, Nanos limit) {
  const bool virtual_limit = !run.events.empty() && run.events.back().at_ns >= limit.count();
  return run.verdict == record::Verdict::hung &&
         (virtual_limit || run.wall_ms * 1e6 >= static_cast<double>(limit.count()));
}

int exit_code_of(const record::Run& run, Nanos limit) {
  if (run.ending == record::Ending::interrupted) return kInterrupted;
  if (run.ending == record::Ending::unavailable) return kStoreUnavailable;
  if (run.as_expected()) return kAsExpected;
  return hit_limit(run, limit) ? kTimeBudgetHit : kNotAsExpected;
}

void show(Program& program, const record::Run& run, const std::string& folder, const std::string& path) {
  if (program.json) {
    program.out.write(run_json(run, path));
  } else if (program.quiet) {
    program.out.write(verdict_line(run, program.terminal));
  } else {
    RunTextOptions options{.lanes = {.full = program.arguments.has("full")}, .path = path, .hints = {}};
    if (!path.empty()) options.hints = hints_for(short_id(run.id, folder));
    program.out.write(run_text(run, program.terminal, options));
  }
}

int run_once(Program& program) {
  int code = kAsExpected;
  const Scenario* const scenario = scenario_or_complaint(program, program.arguments.value("NAME"), code);
  if (scenario == nullptr) return code;
  RunRequest request;
  if (const std::string error = read_run_options(program.arguments, request); !error.empty()) return usage_error(error);
  if (program.arguments.has("waits-at-most")) {
    const std::string most = program.arguments.value("waits-at-most");
    request.waits_at_most = duration_named(most);
    if (!request.waits_at_most)
      return usage_error(fmt::format("--waits-at-most \"{}\" is no duration; write 50ms or 2s", most));
  }
  request.measure = true;
  request.on_own_code = end_at_own_code(program);
  const Result<RunRequest> resolved = resolve(*scenario, request);
  if (!resolved) return fail_with(resolved.error());
  const auto graph_file = file_asked_for(program.arguments, "graph");
  if (!graph_file) return fail_with(graph_file.error());
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());

  if (program.arguments.has("predict") && (program.json || program.quiet))
    return usage_error("--predict asks a person; it does not go with --json or --quiet");
  std::optional<record::Verdict> predicted;
  if (program.arguments.has("predict")) predicted = ask_for_prediction(program, *scenario, *resolved);
  if (program.arguments.has("hold")) {
    const Result<std::string> script = write_gdb_script(runs_folder(program.arguments));
    if (!script) return fail_with(script.error());
    debugging::hold_at_cycles(script->c_str());
  }
  if (!program.quiet) announce_store(*resolved);
  Ticker ticker(!program.quiet, "run " + scenario->name);
  Result<record::Run> ran = run(*scenario, request, &program.stop);
  ticker.end();
  if (!ran) return program.stopped() ? int{kInterrupted} : fail_with(ran.error());
  record::Run& run = *ran;
  run.command = command_of(run, request);
  if (program.arguments.has("expect")) run.expected = record::verdict_named(program.arguments.value("expect"));

  code = exit_code_of(run, request.limit);
  const std::string folder = runs_folder(program.arguments);
  std::string path, save_error;
  if (!program.arguments.has("no-record")) {
    if (auto saved = record::save(run, folder)) {
      path = *saved;
    } else {
      save_error = saved.error().message;
    }
  }
  show(program, run, folder, path);
  if (predicted) program.out.write(prediction_line(*predicted, run, program.terminal));
  // The result stands, but what was asked for is not all there.
  if (!save_error.empty()) {
    complain(save_error);
    if (code == kAsExpected) code = kInternal;
  }
  if (*graph_file) {
    const Result<void> written = write_wait_graph(run, **graph_file);
    if (!written) return fail_with(written.error());
  }
  if (*schedule_file) {
    const Result<void> saved = save_schedule(*scenario, run, **schedule_file, request.dsn);
    if (!saved) return fail_with(saved.error());
  }
  return code;
}

}  // namespace

CommandSpec run_command() {
  std::vector<OptionSpec> options = run_options();
  options.insert(options.begin() + 1,
                 {"protocol", "NAME", "how the store isolates (lockstep list --protocols); default: the store's first",
                  Names::protocol});
  options.insert(
      options.begin() + 2,
      {"pattern", "NAME", "how the application asks for what it needs; default: the scenario's first", Names::pattern});
  options.push_back(
      {"schedule", "STEPS", "the actor of each step: \"T1 T1 T2 …\", or \"free\" to let the machine decide"});
  options.push_back(
      {"expect", "VERDICT", "the verdict that is success, instead of the scenario's", Names::choices, verdict_names()});
  options.push_back({"waits-at-most", "TIME",
                     "whoever waits for somebody longer than this, such as 50ms, breaks an invariant of the run"});
  options.push_back(out_option());
  options.push_back({"no-record", "", "do not save the run"});
  options.push_back(save_schedule_option());
  options.push_back(wait_graph_option());
  options.push_back({"predict", "", "ask how it will end before it is shown; the answer is read from standard input"});
  options.push_back({"hold", "", "stand still at the first cycle of waits, for a debugger to be attached, until ^C"});
  options.push_back({"full", "", "every row of a long run, every text whole"});
  options.push_back({"json", "", "the result as JSON, in place of the picture"});
  return {
      .name = "run",
      .summary = "runs a scenario once, shows what happened and why, and saves the recording",
      .description =
          "A run is scenario, store, protocol, pattern, executor, schedule and seed. What is not given is the "
          "scenario's or the "
          "store's default. --store postgres uses --dsn, else LOCKSTEP_DSN, else a private server that is started for "
          "the "
          "run and removed at its end.\n\n"
          "The first ^C ends the run: what happened so far is shown and saved. The second ends the program at once.\n\n"
          "When the recording cannot be written, the result is still shown and the exit code is 4, unless the verdict "
          "was "
          "not as expected.",
      .arguments = {{"NAME", "the scenario (lockstep list)", true, Names::scenario}},
      .options = std::move(options),
      .examples = {{"run deadlock/two-lock", "A deadlock happens, is found, is broken and is explained."},
                   {"run deadlock/two-lock --pattern ordered", "The same transfers with one order for all locks."},
                   {"run deadlock/two-lock --store postgres", "The same on a real PostgreSQL."},
                   {"run deadlock/two-lock --schedule \"T1 T1 T1 T1\"",
                    "T1 goes first; after the last entry, in turns."},
                   {"run isolation/write-skew --predict", "Say how it will end before you see it."},
                   {"run isolation/write-skew --protocol occ --json", "For scripts: one JSON object on one line."}},
      .run = run_once,
  };
}

}  // namespace lockstep::cli
