// run.cc: `lockstep run`: runs a scenario once, saves the recording, shows what happened.
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/commands.h"
#include "cli/commands/isolation_files.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/own_code.h"
#include "cli/commands/own_program.h"
#include "cli/commands/prediction.h"
#include "cli/commands/program.h"
#include "cli/commands/run_history.h"
#include "cli/commands/schedule_files.h"
#include "cli/commands/wait_graph.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/script_text.h"
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

LaneOptions lane_options(const Program& program) {
  return {.full = program.arguments.has("full"), .sql = program.arguments.has("sql")};
}

void show(Program& program, const record::Run& run, const std::string& folder, const std::string& path,
          const JudgedFile* history) {
  if (program.json) {
    program.out.write(run_json(run, path, history == nullptr ? std::string() : histories_json({*history})));
  } else if (program.quiet) {
    program.out.write(verdict_line(run, program.terminal));
  } else {
    RunTextOptions options{.lanes = lane_options(program), .path = path, .hints = {}};
    if (!path.empty()) options.hints = hints_for(run, short_id(run.id, folder));
    program.out.write(run_text(run, program.terminal, options));
  }
  if (history == nullptr || program.json) return;
  program.out.write((program.quiet ? "" : "\n") + history_lines(*history, program.terminal));
  if (!program.quiet) program.out.write(history_text(*history, program.terminal));
}

/// Holds a run of a file against what the file says, and writes what came into the file where that was asked for.
/// Empty for a scenario of the catalogue, and for another order than the file's: `=>` speaks of that one.
std::vector<script::Checked> check_script(Program& program, const script::Script* script, const RunRequest& request,
                                          record::Run& run, std::string& error) {
  if (script == nullptr || !request.schedule.empty() || run.ending == record::Ending::interrupted ||
      run.ending == record::Ending::unavailable)
    return {};
  const script::AnswersOfRun answers = script->latest();
  std::vector<script::Checked> checked = script::check(*script, run, answers);
  if (!program.arguments.has("bless")) return checked;
  OutputFile file(script->file().path);
  Result<void> written = file.ready();
  if (written) written = file.keep(script::blessed(*script, run, answers));
  if (!written) error = written.error().message;
  for (script::Checked& each : checked) each.held = each.held || !each.said.starts_with("holds ");
  return checked;
}

int run_once(Program& program) {
  if (is_own_program(program)) return run_own_program(program);
  if (program.arguments.value("format") == kIsolationFormat) return run_isolation_file(program);
  if (program.arguments.has("expected"))
    return usage_error(fmt::format("--expected goes with --format {}", kIsolationFormat));
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
  const script::Script* const script = script_of(*scenario);
  if (program.arguments.has("bless") && (script == nullptr || !request.schedule.empty()))
    return usage_error("--bless writes into a text file what came in the file's own order");
  if (program.arguments.has("bless") && script->file().path != scenario->name)
    return usage_error(fmt::format("{0} is part of the program; --bless writes into its file: lockstep run {1} --bless",
                                   scenario->name, script->file().path));
  const auto graph_file = file_asked_for(program.arguments, "graph");
  if (!graph_file) return fail_with(graph_file.error());
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  const auto history_file = file_asked_for(program.arguments, "history");
  if (!history_file) return fail_with(history_file.error());

  if (program.arguments.has("predict") && (program.json || program.quiet))
    return usage_error("--predict asks a person; it does not go with --json or --quiet");
  const bool predicts = program.arguments.has("predict");
  Answers answers(program);
  std::optional<record::Verdict> predicted;
  if (predicts) predicted = ask_for_prediction(program, answers, *scenario, *resolved);
  if (predicts && program.stopped()) return kInterrupted;
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
  note_script(*scenario, run);
  std::string bless_error;
  const std::vector<script::Checked> checked = check_script(program, script, request, run, bless_error);
  const std::string missed = script == nullptr ? std::string() : missed_text(script->file().path, checked);
  if (!missed.empty() && code == kAsExpected) code = kNotAsExpected;
  const std::string folder = runs_folder(program.arguments);
  std::string path, save_error;
  if (!program.arguments.has("no-record")) {
    if (auto saved = record::save(run, folder)) {
      path = *saved;
    } else {
      save_error = saved.error().message;
    }
  }
  Score score;
  if (predicts) {
    score = ask_step_by_step(program, answers, run, lane_options(program));
    if (program.stopped()) code = kInterrupted;
  }
  std::optional<Result<JudgedFile>> history;
  if (*history_file) history = write_history(run, **history_file);
  const JudgedFile* const judged = history && *history ? &**history : nullptr;
  show(program, run, folder, path, judged);
  if (judged != nullptr && judged->judged.answer() == check::Judgement::broken && code == kAsExpected)
    code = kNotAsExpected;
  if (program.json || program.quiet) {
    if (!missed.empty()) complain(missed);
  } else if (script != nullptr) {
    program.out.write(checked_text(script->file().path, checked, program.terminal));
  }
  if (!bless_error.empty()) {
    complain(bless_error);
    code = kInternal;
  }
  if (predicts) program.out.write(prediction_lines(predicted, score, run, program.terminal));
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
  if (history && !*history) return fail_with(history->error());
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
  options.push_back(
      {"waits-at-most", "TIME",
       "an actor that waits for another one longer than this, such as 50ms, breaks an invariant of the run"});
  options.push_back({"bless", "", "of a text file: write into it what came of its steps, in place of its lines =>"});
  options.push_back(out_option());
  options.push_back({"no-record", "", "do not save the run"});
  options.push_back(save_schedule_option());
  options.push_back(wait_graph_option());
  options.push_back(history_option());
  options.push_back({"predict", "",
                     "ask before it is shown: how it will end, then step by step who goes on, who waits, what is read. "
                     "Answers are lines of standard input; q or ^D ends the questions"});
  options.push_back({"hold", "", "stand still at the first cycle of waits, for a debugger to be attached, until ^C"});
  options.push_back({"full", "", "every row of a long run, every text whole"});
  options.push_back({"sql", "", "below each step in a portable verb, what was sent to the store for it"});
  options.push_back({"format",
                     "FORMAT",
                     "isolation: NAME is a spec of PostgreSQL; writes what isolationtester writes, and nothing else",
                     Names::choices,
                     {kIsolationFormat}});
  options.push_back(
      {"expected", "FILE", "with --format: held against this text; what differs is shown, exit code 1", Names::file});
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
      .arguments =
          {{"NAME",
            "the scenario (lockstep list), or a text file (docs/files.md); a program of yours: -- PROGRAM ARGUMENTS",
            true, Names::scenario}},
      .options = std::move(options),
      .examples = {{"run deadlock/two-lock", "A deadlock happens, is found, is broken and is explained."},
                   {"run deadlock/two-lock --pattern ordered", "The same transfers with one order for all locks."},
                   {"run deadlock/two-lock --store postgres", "The same on a real PostgreSQL."},
                   {"run deadlock/two-lock --schedule \"T1 T1 T1 T1\"",
                    "T1 goes first; after the last entry, in turns."},
                   {"run -- ./server-test 8", "Your own program, once, each thread as far as it can go."},
                   {"run isolation/write-skew --predict", "Say what comes, and how it ends, before you see it."},
                   {"run isolation/write-skew --protocol occ --json", "For scripts: one JSON object on one line."}},
      .run = run_once,
      .passes_on = true,
  };
}

}  // namespace lockstep::cli
