// debug.cc: `lockstep debug`: a run under gdb, held before its fatal step.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/commands.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/own_program.h"
#include "cli/commands/program.h"
#include "cli/text/output.h"
#include "cli/text/ticker.h"
#include "engine/gdb/tracing.h"
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

bool write_file(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  return static_cast<bool>(file.flush());
}

std::string json_quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

/// For VS Code's C++ extension (launch.json, "cppdbg").
std::string launch_json(const std::vector<std::string>& command, const fs::path& script, std::size_t step) {
  std::string arguments;
  for (std::size_t i = 1; i < command.size(); ++i) arguments += (i > 1 ? ", " : "") + json_quoted(command[i]);
  return fmt::format(R"({{
  "version": "0.2.0",
  "configurations": [{{
    "name": "lockstep: the deadlock",
    "type": "cppdbg",
    "request": "launch",
    "MIMode": "gdb",
    "program": {},
    "args": [{}],
    "cwd": "${{workspaceFolder}}",
    "environment": [{{"name": "LOCKSTEP_DEBUG", "value": "{}"}}],
    "setupCommands": [{{"text": {}}}, {{"text": "-break-insert lockstep_stop"}}]
  }}]
}}
)",
                     json_quoted(command[0]), arguments, step,
                     json_quoted("-interpreter-exec console \"source " + script.string() + "\""));
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
    return schedule ? debug_own_program(program, *schedule) : fail_with(schedule.error());
  }
  if (run.schedule == "free")
    return usage_error("a run under the free schedule cannot be debugged: it cannot be replayed");
  std::size_t step = fatal_step(run);
  if (program.arguments.has("step")) {
    const std::string text = program.arguments.value("step");
    const char* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, step);
    if (wrong != std::errc() || rest != end)
      return usage_error(fmt::format("--step \"{}\" is no number of steps", text));
  }

  std::error_code error;
  const fs::path place = fs::absolute(fs::path(path).parent_path(), error);
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const std::vector<std::string> command = replay_of(run, program.arguments, self, fs::absolute(folder, error));
  const Result<std::string> commands = write_gdb_script(place.string());
  if (!commands) return fail_with(commands.error());
  const fs::path script = place / "debug.gdb", launch = place / "launch.json";
  std::string words;
  for (std::size_t i = 1; i < command.size(); ++i) words += " " + shell_quoted(command[i]);
  const std::string text = fmt::format(
      "# {}: {} on {}, {}\n# gdb -q -x {}\nsource {}\nfile {}\nset args{}\nset environment LOCKSTEP_DEBUG {}\n"
      "break lockstep_stop\nrun\nlockstep actors\n",
      run.id, run.scenario, run.store, run.pattern, script.string(), *commands, command[0], words, step);
  if (!write_file(script, text) || !write_file(launch, launch_json(command, *commands, step))) {
    return fail_with(
        Error{Fault::io, {}, fmt::format("{} cannot be written: {}", place.string(), std::strerror(errno))});
  }
  if (program.arguments.has("script")) {
    program.out.write(fmt::format("{}\n{}\n", script.string(), launch.string()));
    return kAsExpected;
  }

  const std::string gdb = foreign::program_in_path("gdb");
  if (gdb.empty()) {
    complain(
        fmt::format("gdb is not installed (on Debian: apt-get install gdb); its commands are in {}", script.string()));
    return kStoreUnavailable;
  }
  if (const std::string why = debugging::why_no_tracing(); !why.empty()) {
    complain(fmt::format("gdb may not trace here ({}); its commands are in {}", why, script.string()));
    return kStoreUnavailable;
  }
  std::vector<std::string> line{gdb, "-q"};
  if (program.arguments.has("batch")) line.insert(line.end(), {"-batch", "-nx"});
  line.insert(line.end(), {"-x", script.string()});
  for (const std::string& each : program.arguments.all("--")) line.push_back(each);
  std::vector<char*> words_of_line;
  for (std::string& each : line) words_of_line.push_back(each.data());
  words_of_line.push_back(nullptr);
  // gdb handles ^C itself.
  ::execv(gdb.c_str(), words_of_line.data());
  return fail_with(Error{Fault::internal, {}, fmt::format("{} does not start: {}", gdb, std::strerror(errno))});
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
