// replay.cc: `lockstep replay`: a saved run or a schedule file again, step for step.
#include "engine/run/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/commands.h"
#include "cli/commands/own_program.h"
#include "cli/commands/program.h"
#include "cli/commands/schedule_files.h"
#include "cli/commands/wait_graph.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/run_text.h"
#include "cli/text/ticker.h"
#include "engine/run/run.h"

namespace lockstep::cli {
namespace {

/// A number that an option gives; a complaint in `error` when it is none.
template <class Number>
void read_number(const Program& program, const char* option, const char* what, Number& number, std::string& error) {
  if (!program.arguments.has(option) || !error.empty()) return;
  const std::string text = program.arguments.value(option);
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data(), end, number);
  if (wrong != std::errc() || rest != end) error = fmt::format("--{} \"{}\" is no number of {}", option, text, what);
}

void show(Program& program, const Replay& replayed, const std::string& id) {
  if (program.json) {
    program.out.write(replay_json(replayed, id));
  } else if (program.quiet) {
    program.out.write(replay_line(replayed, program.terminal));
  } else {
    program.out.write(replay_text(replayed, program.terminal, {.full = program.arguments.has("full")}));
  }
}

int replay_run(Program& program) {
  const std::string name = program.arguments.value("ID|FILE");
  std::string error;
  ReplayOptions options{.executor = program.arguments.value("executor", "threads"),
                        .dsn = program.arguments.all("dsn")};
  read_number(program, "until", "steps", options.until, error);
  read_number(program, "times", "times", options.times, error);
  if (error.empty() && options.times == 0) error = "--times 0: once at least";
  if (!error.empty()) return usage_error(error);

  std::optional<ScheduleFile> file;
  record::Run recorded;
  if (is_schedule_file(name)) {
    Result<std::string> text = read_schedule(name);
    if (!text) return fail_with(text.error());
    if (foreign::is_of_program(*text)) {
      const Result<foreign::ProgramSchedule> schedule = foreign::program_schedule_of(*text);
      if (!schedule) return fail_with(Error{schedule.fault(), {}, name + ": " + schedule.error().message});
      return replay_own_program(program, *schedule, name);
    }
    Result<ScheduleFile> read = load_schedule(name);
    if (!read) return fail_with(read.error());
    file = std::move(*read);
    recorded.scenario = file->scenario;
    recorded.store = file->run.store;
  } else {
    const Result<std::string> path = record::find(runs_folder(program.arguments), name);
    if (!path) return fail_with(path.error());
    Result<record::Run> loaded = record::load(*path);
    if (!loaded) return fail_with(loaded.error());
    recorded = std::move(*loaded);
    if (is_of_program(recorded)) {
      const Result<foreign::ProgramSchedule> schedule = foreign::program_schedule_of(recorded);
      return schedule ? replay_own_program(program, *schedule, name) : fail_with(schedule.error());
    }
  }
  std::string note;
  const Scenario* const scenario = recorded_scenario(recorded, error, note);
  if (scenario == nullptr) return usage_error(error);
  if (!note.empty() && !program.quiet) complain(note);
  if (error = wrong_dsn(program.arguments, {store_title(recorded.store)}); !error.empty()) return usage_error(error);
  const auto graph_file = file_asked_for(program.arguments, "graph");
  if (!graph_file) return fail_with(graph_file.error());
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  if (!program.quiet) announce_store({.store = recorded.store, .dsn = options.dsn});
  Ticker ticker(!program.quiet, "replay " + name);
  const Result<Replay> replayed =
      file ? replay(*scenario, *file, options, &program.stop) : replay(*scenario, recorded, options, &program.stop);
  ticker.end();
  if (!replayed) return program.stopped() ? int{kInterrupted} : fail_with(replayed.error());
  show(program, *replayed, recorded.id);
  if (*graph_file) {
    record::Run run = replayed->run;
    run.id = recorded.id;
    const Result<void> written = write_wait_graph(run, **graph_file);
    if (!written) return fail_with(written.error());
  }
  if (program.stopped()) return kInterrupted;
  if (replayed->divergence) return kNotAsExpected;
  if (*schedule_file && !replayed->stopped) {
    const Result<void> saved = save_schedule(*scenario, replayed->run, **schedule_file, options.dsn);
    if (!saved) return fail_with(saved.error());
  }
  return kAsExpected;
}

}  // namespace

CommandSpec replay_command() {
  CommandSpec command{
      .name = "replay",
      .summary = "a saved run again, step for step, on real threads",
      .description =
          "Every event is compared with the recorded one before the next step is taken; at the first that differs the "
          "replay stops and says so (exit code 1). Times are not compared, and on a server neither is what it names by "
          "its own numbers. A run under the free schedule cannot be replayed.\n\n"
          "A schedule file (--save-schedule) is JSON, one line a step: its actor, what the actor is about to do, "
          "and which actors could go. It names things as the scenario does, so it outlives versions of the program. "
          "The "
          "first step that is not as written is shown with the difference.",
      .arguments = {{"ID|FILE", "the saved run, by a unique beginning of its id, or a schedule file", true,
                     Names::run}},
      .options = {{"until", "STEP",
                   "stop when so many steps of its schedule have been taken, and show how things stand"},
                  {"executor",
                   "NAME",
                   "how actors wait: threads (the default) or coroutines",
                   Names::choices,
                   {"threads", "coroutines"}},
                  {"times", "N",
                   "so often, on threads that stay and share one processor; stops at the first time that differs"},
                  save_schedule_option(),
                  wait_graph_option(),
                  out_option(),
                  {"full", "", "every row of a long run, every text whole"},
                  {"json", "", "the result as JSON"}},
      .examples = {{"replay 7f3a", "The same again."},
                   {"replay 7f3a --times 1000", "A thousand times."},
                   {"replay 7f3a --save-schedule deadlock.jsonl", "To keep beside a bug report, or in a test."},
                   {"replay deadlock.jsonl", "That schedule, with whatever the scenario does by now."},
                   {"replay 7f3a --until 5", "How things stand after five steps."},
                   {"replay 7f3a --graph deadlock.dot",
                    "The waits between actors, with locks and lines, for graphviz."}},
      .run = replay_run,
  };
  const auto out = std::find_if(command.options.begin(), command.options.end(),
                                [](const OptionSpec& option) { return option.name == "out"; });
  const std::vector<OptionSpec> dsn = dsn_option();
  command.options.insert(out, dsn.begin(), dsn.end());
  return command;
}

}  // namespace lockstep::cli
