// import.cc: `lockstep import`: a deadlock, from the log of a server or from the server itself, as a scenario file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "engine/base/suggest.h"
#include "engine/histories/file_text.h"
#include "engine/store/backend.h"
#include "engine/store/incident.h"

namespace lockstep::cli {
namespace {

/// The stores whose servers tell of their incidents.
std::vector<const BackendKind*> sources() {
  std::vector<const BackendKind*> found;
  for (const BackendKind& kind : backends()) {
    if (kind.incidents != nullptr) found.push_back(&kind);
  }
  return found;
}

std::vector<std::string> source_names() {
  std::vector<std::string> names;
  for (const BackendKind* const kind : sources()) names.emplace_back(kind->name);
  return names;
}

/// Those that may be meant: the one of --store, that of the DSN, else all. Empty: the complaint is in `error`.
std::vector<const BackendKind*> sources_asked_for(const Arguments& arguments, std::string& error) {
  const std::vector<const BackendKind*> all = sources();
  if (all.empty()) error = "no store of this build has a server that tells of its deadlocks";
  if (all.empty()) return all;
  if (arguments.has("store")) {
    const std::string name = arguments.value("store");
    const auto found =
        std::find_if(all.begin(), all.end(), [&name](const BackendKind* kind) { return kind->name == name; });
    if (found != all.end()) return {*found};
    error = unknown_name("store with a log", name, source_names());
    return {};
  }
  if (!arguments.has("dsn")) return all;
  const Dsns dsns = arguments.all("dsn");
  for (const BackendKind* const kind : all) {
    if (!dsns.of(*kind).empty()) return {kind};
  }
  return all;
}

/// "2 of 3: 2026-11-30 09:41:06 UTC, billing and shop".
std::string line_about(const Incident& incident, std::size_t number) {
  std::vector<std::string> names;
  for (const Incident::Participant& session : incident.sessions) names.push_back(session.name);
  return fmt::format("  {}  {}{}{} of {}", number, incident.when, incident.when.empty() ? "" : "  ",
                     incident.kind == Incident::Kind::deadlock ? "deadlock" : "wait", fmt::join(names, ", "));
}

/// The logs in one text, read once: standard input can be one of them. Empty with --live.
Result<std::string> log_asked_for(const Arguments& arguments) {
  const std::vector<std::string> files = arguments.all("LOG");
  if (arguments.has("live")) {
    if (!files.empty()) return Error{Fault::invalid, {}, "--live asks a server; it goes without a log"};
    if (!arguments.has("dsn")) return Error{Fault::invalid, {}, "--live asks the server of --dsn; name it"};
    return std::string();
  }
  if (files.empty()) return Error{Fault::invalid, {}, "name the log of a server, or --live with its --dsn"};
  std::string whole;
  for (const std::string& path : files) {
    const Result<histories::FileText> text = histories::FileText::open(path == "-" ? "/dev/stdin" : path);
    if (!text) return Error{Fault::invalid, {}, text.error().message};
    whole += text->text();
    if (!whole.ends_with('\n')) whole += '\n';
  }
  return whole;
}

Result<std::vector<Incident>> incidents_of(const Arguments& arguments, const IncidentSource& source,
                                           const std::string& log) {
  if (arguments.has("live")) return source.now(arguments.value("dsn"));
  Result<std::vector<Incident>> found = source.in_log(log, arguments.value("prefix"), arguments.has("waits"));
  if (found.ok()) return found;
  return Error{
      found.error().fault, {}, fmt::format("{}: {}", fmt::join(arguments.all("LOG"), ", "), found.error().message)};
}

/// Which of them is meant; an error for people, or empty.
std::string choose(const Arguments& arguments, const std::vector<Incident>& incidents, std::size_t& chosen) {
  std::string list;
  for (std::size_t i = 0; i < incidents.size(); ++i) list += "\n" + line_about(incidents[i], i + 1);
  if (arguments.has("number")) {
    const std::string text = arguments.value("number");
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), chosen);
    if (wrong == std::errc() && rest == text.data() + text.size() && chosen >= 1 && chosen <= incidents.size()) {
      --chosen;
      return {};
    }
    return fmt::format("--number \"{}\" is none of the {}:{}", text, incidents.size(), list);
  }
  if (incidents.size() == 1) return {};
  return fmt::format("there are {}; --number says which:{}", incidents.size(), list);
}

int import_incident(Program& program) {
  std::string error;
  const std::vector<const BackendKind*> kinds = sources_asked_for(program.arguments, error);
  if (kinds.empty()) return usage_error(error);
  const auto file = file_asked_for(program.arguments, "out");
  if (!file) return fail_with(file.error());
  // Each looks at the text, until one finds something in it. Where none can read it, each says why.
  const BackendKind* kind = kinds.back();
  const Result<std::string> log = log_asked_for(program.arguments);
  if (!log) return fail_with(log.error());
  Result<std::vector<Incident>> incidents = incidents_of(program.arguments, *kind->incidents, *log);
  std::vector<std::string> complaints;
  for (const BackendKind* const other : kinds) {
    if (other == kind || (incidents.ok() && !incidents->empty())) continue;
    if (Result<std::vector<Incident>> found = incidents_of(program.arguments, *other->incidents, *log); found.ok()) {
      incidents = std::move(found);
      kind = other;
    } else {
      complaints.push_back(found.error().message);
    }
  }
  if (!incidents) {
    for (const std::string& each : complaints) complain(each);
    return fail_with(incidents.error());
  }
  const bool is_live = program.arguments.has("live");
  if (incidents->empty()) {
    complain(is_live                          ? "nobody waits for a lock in that database now"
             : program.arguments.has("waits") ? "no deadlock and no wait for a lock stands in it"
                                              : "no deadlock stands in it; --waits also takes waits for a lock");
    return kNotAsExpected;
  }
  std::size_t chosen = 0;
  if (error = choose(program.arguments, *incidents, chosen); !error.empty()) return usage_error(error);
  Incident& incident = (*incidents)[chosen];
  if (program.arguments.has("dsn")) {
    const Result<void> brought =
        kind->incidents->bring_tables(incident, program.arguments.value("dsn"), !program.arguments.has("no-rows"));
    if (!brought.ok()) return fail_with(brought.error());
  }
  const std::string text = scenario_file(incident, std::string(kind->name));
  if (!*file) {
    program.out.write(text);
    return kAsExpected;
  }
  if (const Result<void> kept = (*file)->keep(text); !kept.ok()) return fail_with(kept.error());
  if (program.quiet) return kAsExpected;
  const std::string path = shell_quoted((*file)->path());
  program.out.write(fmt::format("{}: {} sessions, {} statements{}\n next      lockstep run {} --store {}\n", path,
                                incident.sessions.size(), incident.statements.size(),
                                incident.missing.empty() ? "" : "; what is missing stands in it", path, kind->name));
  return kAsExpected;
}

}  // namespace

CommandSpec import_command() {
  std::string form_help = "how a line of the log begins";
  for (const BackendKind* const kind : sources()) {
    if (!kind->incidents->form_help.empty()) form_help = std::string(kind->incidents->form_help);
  }
  std::vector<OptionSpec> options = {
      {"store", "NAME", "whose log it is; default: the one that can read it", Names::choices, source_names()},
      {"number", "N", "which one, where there are several"},
      {"waits", "", "also waits for a lock that were no deadlock"},
      {"live", "", "the sessions that wait for a lock now in the database of --dsn, and those that they wait for"},
      {"prefix", "TEXT", form_help},
      {"no-rows", "", "with --dsn: the tables, and no row of them"},
      {"out", "FILE", "the scenario file; default: standard output"},
  };
  const std::vector<OptionSpec> dsn = dsn_option();
  options.insert(options.begin() + 1, dsn.begin(), dsn.end());
  return {
      .name = "import",
      .summary = "makes a scenario file of a deadlock in a server's log, or of the waits in a server now",
      .description =
          "Reads the log of a server, whichever of its forms it has, and writes a scenario file that has the deadlock "
          "again: a session for each process, their statements in the order of the log, parameters in their places, "
          "and the server's own words as a comment. What the log does not tell is said in the file, with the setting "
          "that would have told it; a step that had to be guessed is marked as that.\n\n"
          "With --dsn the tables that the statements name, and the rows that they choose, are written into the file. "
          "No password and no DSN is.",
      .arguments = {{"LOG", "the log of a server; \"-\": standard input", false, Names::file, {}, true}},
      .options = std::move(options),
      .examples = {{"import postgresql.log --out case.spec", "The deadlock of that log, as a file to run."},
                   {"import postgresql.json --number 2 --dsn postgresql://db1/shop --out case.spec",
                    "The second one, with its tables and rows."},
                   {"import error.log --number 1 --out case.spec",
                    "A deadlock that InnoDB has written into MariaDB's log."},
                   {"import --live --dsn postgresql://db1/shop --out now.spec", "The waits in that database now."}},
      .run = import_incident,
  };
}

}  // namespace lockstep::cli
