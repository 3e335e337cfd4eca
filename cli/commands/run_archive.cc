// run_archive.cc: deletes only what it has named, and only runs.
#include "cli/commands/run_archive.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <ctime>

#include "cli/args/exit_code.h"
#include "cli/args/runs_folder.h"
#include "cli/text/json.h"
#include "cli/text/text.h"
#include "engine/record/archive.h"
#include "reports/report.h"

namespace lockstep::cli {
namespace {

using record::SavedRun;

/// Seconds since 1970 of "2026-01-02T03:04:05…"; negative when it is none.
long long seconds_of(const std::string& started_at) {
  std::tm time{};
  const char* const rest = ::strptime(started_at.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  return rest == nullptr ? -1 : static_cast<long long>(::timegm(&time));
}

std::vector<std::string> ids_of(const std::vector<SavedRun>& runs) {
  std::vector<std::string> ids;
  for (const SavedRun& run : runs) ids.push_back(run.id);
  return ids;
}

int prune(Program& program, const std::string& folder) {
  const Arguments& arguments = program.arguments;
  long long keep = -1;
  double age_s = -1;
  if (!arguments.has("keep") && !arguments.has("older-than")) {
    return usage_error("--prune needs --keep N, --older-than AGE or both: it says which runs may go");
  }
  if (arguments.has("keep")) {
    const std::string text = arguments.value("keep");
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), keep);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || keep < 0) {
      return usage_error(fmt::format("--keep \"{}\": write how many of the newest runs stay", text));
    }
  }
  if (arguments.has("older-than") && (age_s = age_named(arguments.value("older-than"))) < 0) {
    return usage_error(
        fmt::format("--older-than \"{}\": write an age such as 12h or 30d", arguments.value("older-than")));
  }
  std::vector<std::string> unreadable;
  const auto all = record::list(folder, &unreadable);
  if (!all) return fail_with(all.error());
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::vector<SavedRun> going = to_prune(*all, keep, age_s, now);
  const bool dry = arguments.has("dry-run");
  std::vector<std::string> beside, left;
  for (const reports::FormatInfo& info : reports::formats()) beside.emplace_back(info.file);
  std::vector<SavedRun> gone;
  for (const SavedRun& run : going) {
    if (program.stopped()) break;
    std::string other;
    if (!dry) {
      if (const auto removed = record::remove(run.path, beside, other); !removed) {
        complain(removed.error().message);
        return kInternal;
      }
    }
    if (!other.empty()) left.push_back(other);
    gone.push_back(run);
    if (!program.json && !program.quiet) {
      program.out.write(program.terminal.clean(fmt::format("{} {}  {}  {}", dry ? "would delete" : "deleted", run.id,
                                                           run.started_at.substr(0, 16), run.scenario)) +
                        "\n");
    }
  }
  if (program.json) {
    program.out.write(prune_json(folder, ids_of(gone), all->size() - gone.size(), dry, left, unreadable));
  } else {
    program.out.write(
        program.terminal.clean(fmt::format("{} {} of {}; {} {} in {}", dry ? "would delete" : "deleted", gone.size(),
                                           counted(all->size(), "run", "runs"), all->size() - gone.size(),
                                           dry ? "would stay" : "stay", folder)) +
        "\n");
  }
  for (const std::string& path : left) complain(path + " stays: it holds files that are not ours");
  if (!unreadable.empty())
    complain(counted(unreadable.size(), "recording", "recordings") +
             " cannot be read and stayed (lockstep runs names them)");
  return program.stopped() ? kInterrupted : kAsExpected;
}

int export_runs(Program& program, const std::string& folder) {
  std::vector<std::string> paths;
  if (!program.arguments.has("ID")) {
    std::vector<std::string> unreadable;
    const auto all = record::list(folder, &unreadable);
    if (!all) return fail_with(all.error());
    for (const SavedRun& run : *all) paths.push_back(run.path);
    for (const std::string& why : unreadable) complain("not exported: " + why);
    if (paths.empty()) return usage_error("no saved runs in " + folder);
  }
  for (const std::string& id : program.arguments.all("ID")) {
    const auto path = record::find(folder, id);
    if (!path) return fail_with(path.error());
    paths.push_back(*path);
  }
  const std::string file = program.arguments.value("export");
  if (const auto packed = record::pack(paths, file); !packed) return fail_with(packed.error());
  if (program.json) {
    program.out.write(export_json(file, paths));
  } else {
    program.out.write(program.terminal.clean(fmt::format("{}: {} (lockstep runs --import takes them in)", file,
                                                         counted(paths.size(), "run", "runs"))) +
                      "\n");
  }
  return kAsExpected;
}

int import_runs(Program& program, const std::string& folder) {
  const auto unpacked = record::unpack(program.arguments.value("import"), folder);
  if (!unpacked) return fail_with(unpacked.error());
  if (program.json) {
    program.out.write(import_json(folder, unpacked->ids, unpacked->there_already, unpacked->refused));
  } else {
    std::string text = counted(unpacked->ids.size(), "run", "runs") + " taken into " + folder;
    if (!unpacked->there_already.empty()) {
      text += fmt::format("; {} there already and left as {}", unpacked->there_already.size(),
                          unpacked->there_already.size() == 1 ? "it is" : "they are");
    }
    program.out.write(program.terminal.clean(text) + "\n");
  }
  for (const std::string& why : unpacked->refused) complain("not taken in: " + why);
  return unpacked->refused.empty() ? kAsExpected : kInternal;
}

}  // namespace

double age_named(const std::string& text) {
  double number = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest + 1 != end || !(number >= 0) || number > 1e6) return -1;
  switch (*rest) {
    case 's':
      return number;
    case 'm':
      return number * 60;
    case 'h':
      return number * 3600;
    case 'd':
      return number * 86400;
    default:
      return -1;
  }
}

std::vector<SavedRun> to_prune(const std::vector<SavedRun>& runs, long long keep, double age_s, long long now) {
  std::vector<SavedRun> going;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto newer = static_cast<long long>(runs.size() - i - 1);
    if (keep >= 0 && newer < keep) continue;
    const long long began = seconds_of(runs[i].started_at);
    if (age_s >= 0 && (began < 0 || static_cast<double>(now - began) <= age_s)) continue;
    going.push_back(runs[i]);
  }
  return going;
}

bool cares_for_runs(const Arguments& arguments) {
  return arguments.has("prune") || arguments.has("export") || arguments.has("import");
}

int care_for_runs(Program& program, const std::string& folder) {
  const Arguments& arguments = program.arguments;
  if (arguments.has("prune") + arguments.has("export") + arguments.has("import") > 1) {
    return usage_error("--prune, --export and --import go one at a time");
  }
  if (arguments.has("prune")) return prune(program, folder);
  return arguments.has("export") ? export_runs(program, folder) : import_runs(program, folder);
}

}  // namespace lockstep::cli
