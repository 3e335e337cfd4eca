// runs.cc: `lockstep runs`: the saved runs and where they lie; with an id, that run again as it was shown.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/runs_folder.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/commands/run_archive.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/run_text.h"
#include "cli/text/text.h"
#include "cli/text/ticker.h"
#include "engine/record/kinds.h"

namespace lockstep::cli {
namespace {

using record::SavedRun;

std::string where(const SavedRun& run) {
  std::string text = run.store == record::kNoStore ? "in-process" : run.store + " " + run.protocol;
  return text + " " + run.pattern + (run.executor == "threads" ? "" : " " + run.executor);
}

/// What it came to, in a word: a comparison and a matrix have no verdict of their own.
std::string outcome_of(const SavedRun& run) {
  if (record::is_comparison(run)) return "compared";
  return std::string(record::is_matrix(run) ? "matrix" : name_of(run.verdict));
}

/// The options that choose among the saved runs.
constexpr std::array kFilters = {"scenario", "kind", "verdict", "last", "all"};

bool is_of(const SavedRun& run, const std::vector<std::string>& names) {
  return names.empty() || std::any_of(names.begin(), names.end(), [&run](const std::string& name) {
           return run.scenario == name || run.scenario.starts_with(name + "/");
         });
}

/// Those that were asked for. `hidden`: how many cells of matrices were left out. An error for people, or empty.
std::string choose(const Arguments& arguments, std::vector<SavedRun>& runs, std::size_t& hidden) {
  std::size_t last = 0;
  if (arguments.has("last")) {
    const std::string text = arguments.value("last");
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), last);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || last == 0)
      return fmt::format("--last \"{}\": write how many of the newest runs to show", text);
  }
  if (!arguments.has("all")) {
    const std::set<std::string> cells = record::cells_of_matrices(runs);
    hidden = std::erase_if(runs, [&cells](const SavedRun& run) { return cells.contains(run.id); });
  }
  const std::vector<std::string> names = arguments.listed("scenario"), verdicts = arguments.listed("verdict"),
                                 kinds = arguments.listed("kind");
  const auto is_in = [](const std::vector<std::string>& all, std::string_view one) {
    return all.empty() || std::find(all.begin(), all.end(), one) != all.end();
  };
  std::erase_if(runs, [&](const SavedRun& run) {
    return !is_of(run, names) || !is_in(verdicts, name_of(run.verdict)) ||
           (!kinds.empty() && !is_in(kinds, record::kRunKinds[static_cast<std::size_t>(record::kind_of(run))]));
  });
  if (last > 0 && runs.size() > last) runs.erase(runs.begin(), runs.end() - static_cast<std::ptrdiff_t>(last));
  return {};
}

std::string runs_text(const std::string& folder, const std::vector<SavedRun>& runs, std::size_t hidden, bool chosen,
                      const std::vector<std::string>& unreadable, const Terminal& terminal) {
  std::vector<Line> lines;
  if (runs.empty() && chosen) {
    return Line(terminal.clean("no saved run in " + folder + " is so (lockstep runs --all has every one)"))
        .str(terminal);
  }
  if (runs.empty() && unreadable.empty()) {
    return Line(terminal.clean("no saved runs in " + folder + " (lockstep run NAME saves one)")).str(terminal);
  }
  std::size_t id_width = 4, scenario_width = 8;
  std::vector<std::string> ids;
  const auto names = short_ids(folder);
  for (const SavedRun& run : runs) {
    const auto name = names.find(run.id);
    ids.push_back(name == names.end() ? run.id : name->second);
    id_width = std::max(id_width, ids.back().size());
    scenario_width = std::max(scenario_width, columns(terminal.clean(run.scenario)));
  }
  constexpr std::size_t kVerdictWidth = 11, kDay = 10, kMinute = 16;  // "2026-11-30 07:25"
  const std::size_t when_at = id_width + 3;
  // Where there is little room the day is enough, then the names are shortened.
  const bool narrow = when_at + kMinute + 2 + scenario_width + 2 + kVerdictWidth > terminal.width;
  const std::size_t when_width = narrow ? kDay : kMinute, scenario_at = when_at + when_width + 2;
  const std::size_t beside = scenario_at + 2 + kVerdictWidth;
  scenario_width =
      std::min(scenario_width, std::max<std::size_t>(terminal.width - std::min(terminal.width, beside), 8));
  const std::size_t verdict_at = scenario_at + scenario_width + 2;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const SavedRun& run = runs[i];
    std::string when = run.started_at.substr(0, when_width);
    std::replace(when.begin(), when.end(), 'T', ' ');
    Line line;
    line.add(" ").add(Style::bold, ids[i]).to(when_at).add(Style::dim, terminal.clean(when));
    line.to(scenario_at).add(terminal.cut(terminal.clean(run.scenario), scenario_width)).to(verdict_at);
    const std::string sign = run.as_expected ? terminal.glyphs().good : terminal.glyphs().fault;
    line.add(run.as_expected ? Style::good : Style::fault, fmt::format("{} {}", sign, outcome_of(run)));
    const std::string place = terminal.clean(where(run));
    const std::size_t place_at = verdict_at + 12;
    if (place_at + columns(place) <= terminal.width) {
      line.to(place_at).add(Style::dim, place);
      lines.push_back(std::move(line));
    } else {
      lines.push_back(std::move(line));
      lines.push_back(Line().to(scenario_at).add(Style::dim, terminal.cut(place, terminal.width - scenario_at)));
    }
  }
  for (const std::string& path : unreadable) {
    lines.push_back(Line().add(" ").add(Style::fault,
                                        terminal.clean(std::string(terminal.glyphs().fault) + " unreadable: " + path)));
  }
  lines.emplace_back();
  std::error_code error;
  const auto absolute = std::filesystem::absolute(folder, error);
  lines.push_back(Line().add(" ").add(Style::dim, "in").add(" " + terminal.clean(error ? folder : absolute.string())));
  if (hidden > 0) {
    lines.push_back(Line().add(" ").add(
        Style::dim, fmt::format("{} of matrices not shown (--all)", counted(hidden, "cell", "cells"))));
  }
  if (!runs.empty()) {
    lines.push_back(Line().add(" ").add(Style::dim, "again").add("  lockstep runs " + ids.back()));
  }
  return str(lines, terminal);
}

int show_one(Program& program, const std::string& folder, const std::string& id) {
  const Result<std::string> path = record::find(folder, id);
  if (!path) return fail_with(path.error());
  if (program.arguments.has("path")) {
    program.out.write(program.terminal.clean(*path) + "\n");
    return kAsExpected;
  }
  const Result<record::Run> run = record::load(*path);
  if (!run) return fail_with(run.error());
  if (program.json) {
    program.out.write(run_json(*run, *path));
  } else {
    RunTextOptions options{.lanes = {.full = program.arguments.has("full"), .sql = program.arguments.has("sql")},
                           .path = *path,
                           .hints = {}};
    options.hints = hints_for(*run, short_id(run->id, folder));
    if (!run->command.empty()) options.hints.insert(options.hints.begin(), {"again", run->command});
    program.out.write(run_text(*run, program.terminal, options));
  }
  return kAsExpected;
}

int runs(Program& program) {
  const std::string folder = runs_folder(program.arguments);
  const auto filter = std::find_if(kFilters.begin(), kFilters.end(),
                                   [&program](const char* name) { return program.arguments.has(name); });
  const bool chosen = filter != kFilters.end();
  if (chosen && (cares_for_runs(program.arguments) || program.arguments.has("ID"))) {
    return usage_error(
        fmt::format("--{} chooses what is listed; it does not go with an ID, --prune, --export or --import", *filter));
  }
  if (cares_for_runs(program.arguments)) return care_for_runs(program, folder);
  if (program.arguments.has("ID")) {
    for (const std::string& id : program.arguments.all("ID")) {
      if (const int code = show_one(program, folder, id); code != kAsExpected) return code;
    }
    return kAsExpected;
  }
  std::vector<std::string> unreadable;
  Ticker ticker(!program.quiet, "runs");
  Result<std::vector<SavedRun>> found = record::list(folder, &unreadable);
  if (!found) return fail_with(found.error());
  std::size_t hidden = 0;
  if (const std::string error = choose(program.arguments, *found, hidden); !error.empty()) return usage_error(error);
  ticker.end();
  program.out.write(program.json ? runs_json(folder, *found, hidden, unreadable)
                                 : runs_text(folder, *found, hidden, chosen, unreadable, program.terminal));
  return kAsExpected;
}

}  // namespace

CommandSpec runs_command() {
  return {
      .name = "runs",
      .summary = "the saved runs and where they lie; one of them again",
      .description =
          "Every run is one SQLite file, FOLDER/ID/run.sqlite; its tables and views are described in it (.schema in "
          "the "
          "sqlite3 shell). Deleting a run is deleting its folder.\n\n"
          "The cells of a matrix are not listed, since there are many; --all lists them too.\n\n"
          "--prune deletes runs: those that are not among the newest --keep, and older than --older-than; with both, "
          "only what "
          "is "
          "both. It takes recordings and the reports beside them, nothing else, and no recording that it cannot read. "
          "--dry-run "
          "says what it would delete.\n\n"
          "--export packs all runs, or those that are named, into one file (a SQLite archive: sqlite3 FILE -Ax unpacks "
          "it); "
          "--import takes them in. A run that is there already is left as it is.",
      .arguments = {{"ID", "show this run again; a unique beginning of its id is enough", false, Names::run, {}, true}},
      .options = {out_option(),
                  {"scenario", "NAMES", "list only runs of these scenarios, workloads or themes",
                   Names::scenario_or_theme},
                  {"kind", "NAMES", "list only these: run, exploration, comparison, matrix", Names::choices,
                   std::vector<std::string>(record::kRunKinds.begin(), record::kRunKinds.end())},
                  {"verdict", "NAMES", "list only runs with these verdicts", Names::choices, verdict_names()},
                  {"last", "N", "list only the newest N of them"},
                  {"all", "", "also the runs that are cells of a matrix"},
                  {"path", "", "of the runs that are named: only where the recording lies"},
                  {"full", "", "every row of a long run, every text whole"},
                  {"sql", "", "below each step in a portable verb, what was sent to the store for it"},
                  {"prune", "", "delete old runs; needs --keep or --older-than"},
                  {"keep", "N", "with --prune: the newest N stay"},
                  {"older-than", "AGE", "with --prune: only what is older: 90s, 30m, 12h, 7d"},
                  {"dry-run", "", "with --prune: only say what would be deleted"},
                  {"export", "FILE", "pack the runs into one new file", Names::file},
                  {"import", "FILE", "take in the runs of such a file", Names::file},
                  {"json", "", "as JSON"}},
      .examples = {{"runs", "All saved runs, oldest first."},
                   {"runs --scenario deadlock --verdict deadlock --last 5", "The newest five deadlocks of a theme."},
                   {"runs 7f3a", "That run as it was shown, with the command that gives it again."},
                   {"runs --prune --keep 100 --older-than 30d --dry-run", "What would go."},
                   {"runs --export runs.sqlar 7f3a 91c0", "Two runs as one file, to pass on."}},
      .run = runs,
  };
}

}  // namespace lockstep::cli
