// gdb_session.cc: see gdb_session.h.
#include "cli/commands/gdb_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/runs_folder.h"
#include "cli/text/output.h"
#include "engine/foreign/process.h"
#include "engine/gdb/tracing.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

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

std::string words_of(const std::vector<std::string>& command, std::size_t from) {
  std::string words;
  for (std::size_t i = from; i < command.size(); ++i) words += " " + shell_quoted(command[i]);
  return words;
}

/// For VS Code's C++ extension (launch.json, "cppdbg").
std::string launch_json(const GdbSession& session, const std::string& commands) {
  std::string arguments;
  for (std::size_t i = 1; i < session.command.size(); ++i)
    arguments += (i > 1 ? ", " : "") + json_quoted(session.command[i]);
  const auto console = [](const std::string& command) {
    return fmt::format(R"({{"text": {}}}, )", json_quoted("-interpreter-exec console " + json_quoted(command)));
  };
  std::string setup = console("source " + commands);
  if (!session.server.empty()) setup += console("lockstep serve" + words_of(session.server, 0));
  return fmt::format(R"({{
  "version": "0.2.0",
  "configurations": [{{
    "name": "lockstep: the deadlock",
    "type": "cppdbg",
    "request": "launch",
    "MIMode": "gdb",
    "program": {},
    "args": [{}],
    "cwd": {},
    "environment": [{{"name": "LOCKSTEP_DEBUG", "value": "{}"}}],
    "setupCommands": [{}{{"text": "-break-insert -f lockstep_stop"}}]
  }}]
}}
)",
                     json_quoted(session.command[0]), arguments,
                     json_quoted(session.working_folder.empty() ? "${workspaceFolder}" : session.working_folder),
                     session.step, setup);
}

std::string gdb_text(const GdbSession& session, const fs::path& script, const std::string& commands) {
  std::string text = fmt::format("# {}\n# gdb -q -x {}\nsource {}\nfile {}\nset args{}\n", session.title,
                                 script.string(), commands, session.command[0], words_of(session.command, 1));
  if (!session.server.empty()) text += "lockstep serve" + words_of(session.server, 0) + "\n";
  return text +
         fmt::format("set environment LOCKSTEP_DEBUG {}\nbreak lockstep_stop\nrun\nlockstep actors\n", session.step);
}

}  // namespace

std::string read_step(const Arguments& arguments, std::size_t& step) {
  if (!arguments.has("step")) return {};
  const std::string text = arguments.value("step");
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data(), end, step);
  return wrong == std::errc() && rest == end ? std::string() : fmt::format("--step \"{}\" is no number of steps", text);
}

int debug_in_gdb(Program& program, const GdbSession& session) {
  const fs::path place = session.folder;
  const Result<std::string> commands = write_gdb_script(place.string());
  if (!commands) return fail_with(commands.error());
  const fs::path script = place / "debug.gdb", launch = place / "launch.json";
  if (!write_file(script, gdb_text(session, script, *commands)) ||
      !write_file(launch, launch_json(session, *commands))) {
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
  for (const std::string& each : program.arguments.all("gdb")) line.push_back(each);
  if (program.arguments.has("NAME|ID")) {
    for (const std::string& each : program.arguments.all("--")) line.push_back(each);
  }
  std::vector<char*> words_of_line;
  for (std::string& each : line) words_of_line.push_back(each.data());
  words_of_line.push_back(nullptr);
  // gdb handles ^C itself.
  ::execv(gdb.c_str(), words_of_line.data());
  return fail_with(Error{Fault::internal, {}, fmt::format("{} does not start: {}", gdb, std::strerror(errno))});
}

}  // namespace lockstep::cli
