// debug.cc: `lockstep debug`: a run under gdb, held before its fatal step.
#include <fmt/format.h>

#include <filesystem>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/commands.h"
#include "cli/commands/gdb_session.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/own_program.h"
#include "cli/commands/program.h"
#include "cli/text/output.h"
#include "cli/text/ticker.h"
#include "engine/run/run.h"
#include "engine/schedule/schedule.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

/// The run to debug and where it lies: the saved one with that id, or a new one of that scenario.
Result<std::pair<record::Run, std::string>> find_or_run(Program& program, const std::string& folder) {
  const std::string name = program.arguments.value("NAME|ID");
  if (name.find('/') == std::string::npos && !is_script_file(name)) {
    const Result<std::string> path = record::find(folder, name);
    if (!path) return path.error();
    Result<record::Run> run = record::load(*path);
    if (!run) return run.error();
    return std::pair(std::move(*run), *path);
  }
  std::string error;
  const Scenario* const scenario = scenario_named(name, error);
  if (scenario == nullptr) return Error{Fault::invalid, {}, error};
  RunRequest request;
  if (error = read_run_options(program.arguments, request); !error.empty()) return Error{Fault::invalid, {}, error};
  Ticker ticker(!program.quiet, "run " + scenario->name);
  Result<record::Run> ran = run(*scenario, request, &program.stop);
  ticker.end();
  if (!ran) return ran.error();
  ran->command = command_of(*ran, request);
  note_script(*scenario, *ran);
  const Result<std::string> path = record::save(*ran, folder);
  if (!path) return path.error();
  return std::pair(std::move(*ran), *path);
}

/// The number of steps before the one that closes the first cycle; without a cycle, before the last one.
std::size_t fatal_step(const record::Run& run) {
  std::uint32_t operations = 0;  // begun before the cycle
  bool cycle = false;
  for (const record::Event& event : run.events) {
    if (event.kind == record::EventKind::request) operations = std::max(operations, event.step);
    cycle = event.kind == record::EventKind::cycle;
    if (cycle) break;
  }
  const Result<std::vector<Choice>> order = choices_named(run.schedule, run.actors);
  if (!order || order->empty()) return 0;
  std::uint32_t begun = 0;
  for (std::size_t i = 0; cycle && i < order->size(); ++i) {
    if (!(*order)[i].timeout && ++begun == operations) return i;
  }
  return order->size() - 1;
}

/// The command that gdb is to start.
std::vector<std::string> replay_of(const record::Run& run, const Arguments& arguments, const fs::path& self,
                                   const fs::path& folder) {
  std::vector<std::string> command{self.string(), "replay", run.id, "--quiet", "--out", folder.string()};
  if (const std::string executor = arguments.value("executor"); !executor.empty())
    command.insert(command.end(), {"--executor", executor});
  return command;
}

int debug(Program& program) {
  if (is_own_program(program, "NAME|ID")) return debug_own_program(program);
  const std::string folder = runs_folder(program.arguments);
  if (is_theme(program.arguments.value("NAME|ID"))) {
    int code = kUsage;
    (void)scenario_or_complaint(program, program.arguments.value("NAME|ID"), code);
    return code;
  }
  const auto found = find_or_run(program, folder);
  if (!found) return fail_with(found.error());
  const auto& [run, path] = *found;
  if (is_of_program(run)) {
    const Result<foreign::ProgramSchedule> schedule = foreign::program_schedule_of(run);
    return schedule ? debug_own_program(program, *schedule, path) : fail_with(schedule.error());
  }
  if (run.schedule == "free")
    return usage_error("a run under the free schedule cannot be debugged: it cannot be replayed");
  if (program.arguments.has("serve")) return usage_error("--serve is for a run of a program of yours");
  GdbSession session{.title = fmt::format("{}: {} on {}, {}", run.id, run.scenario, run.store, run.pattern),
                     .step = fatal_step(run)};
  if (const std::string wrong = read_step(program.arguments, session.step); !wrong.empty()) return usage_error(wrong);
  std::error_code error;
  session.folder = fs::absolute(fs::path(path).parent_path(), error).string();
  session.command =
      replay_of(run, program.arguments, fs::read_symlink("/proc/self/exe", error), fs::absolute(folder, error));
  return debug_in_gdb(program, session);
}

}  // namespace

CommandSpec debug_command() {
  std::vector<OptionSpec> options = run_options();
  options.insert(options.begin() + 1,
                 {"protocol", "NAME", "how the store isolates (lockstep list --protocols); default: the store's first",
                  Names::protocol});
  options.insert(
      options.begin() + 2,
      {"pattern", "NAME", "how the application asks for what it needs; default: the scenario's first", Names::pattern});
  options.push_back({"schedule", "STEPS", "of a scenario: the actor of each step, \"T1 T1 T2 …\""});
  options.push_back({"step", "N", "stop after N steps of the schedule; default: before the one that closes the cycle"});
  options.push_back(
      {"batch", "", "for scripts: no prompt; give the commands after --, such as -- -ex 'lockstep graph'"});
  options.push_back(
      {"gdb", "ARG", "an argument for gdb, where what follows -- is a program of yours", Names::nothing, {}, true});
  options.push_back({"script", "", "only write the gdb script and a launch.json for VS Code, and say where"});
  options.push_back({"serve", "", "what that script starts, for a program of yours: tells it its schedule"});
  options.push_back(out_option());
  return {
      .name = "debug",
      .summary = "a run under gdb, held before its fatal step, as often as wanted",
      .description =
          "Replays a saved run (or a scenario, which is run and saved first) on real threads under gdb. Threads bear "
          "the "
          "names of the actors; all but one are parked where they wait, in the frames of their real locks. In gdb: "
          "lockstep actors, locks, graph, why ACTOR, pending, history [N], step [N], back, goto N, schedule ACTOR. "
          "They "
          "read plain data of the program, so they also work on an attached process and on a core file (source the "
          "lockstep.py beside the recording).\n\n"
          "When gdb may not trace, the setting to change is said: in a container the capability SYS_PTRACE, on a host "
          "kernel.yama.ptrace_scope.",
      .arguments = {{"NAME|ID",
                     "a scenario, or a saved run by a unique beginning of its id; a program of yours: -- PROGRAM "
                     "ARGUMENTS",
                     true, Names::scenario_or_run}},
      .options = std::move(options),
      .examples = {{"debug threads/two-lock", "gdb, one step before the deadlock."},
                   {"debug -- ./server-test 8", "Your own program, at the deadlock or crash that a search finds."},
                   {"debug 7f3a --batch -- -ex 'lockstep graph'", "For scripts and CI."},
                   {"debug 7f3a --script", "The gdb script of that deadlock, to keep with a bug report."}},
      .run = debug,
      .passes_on = true,
  };
}

}  // namespace lockstep::cli
