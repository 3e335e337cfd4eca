// check.cc: `lockstep check`: the whole catalogue against its expectations.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/commands/cell_runner.h"
#include "cli/commands/commands.h"
#include "cli/commands/isolation_files.h"
#include "cli/commands/program.h"
#include "cli/text/check_text.h"
#include "cli/text/json.h"
#include "cli/text/text.h"
#include "engine/run/remedy.h"
#include "engine/run/run.h"

namespace lockstep::cli {
namespace {

/// One invocation of the command.
class Check {
 public:
  Check(Program& program, std::vector<Cell> cells, const RunRequest& base, StoreChoice choice)
      : program_(program), cells_(std::move(cells)), base_(base), choice_(std::move(choice)) {}

  int run() {
    CellRunner runner(program_, base_, "check", choice_);
    runner.each_table = [this](std::span<const Cell> table) {
      if (!program_.json && !program_.quiet) program_.out.write(check_table(table, program_.terminal) + "\n");
    };
    runner.each_run = [this](Cell& cell, record::Run& run) { try_fix(cell, run); };
    runner.run(cells_);
    wall_ms_ = runner.wall_ms();
    if (!program_.ranks().leads()) return kAsExpected;
    report();
    const bool junit_written = write_junit();
    const int code = exit_code_of(program_, cells_, choice_);
    return code == kAsExpected && !junit_written ? int{kInternal} : code;
  }

 private:
  /// Runs what the run names as its fix: it must end better. Many cells name the same one.
  void try_fix(Cell& cell, const record::Run& run) {
    const Pattern& pattern = *cell.scenario->pattern_named(cell.pattern);
    const std::optional<Remedy> remedy = remedy_of(*cell.scenario, pattern, run);
    if (!remedy || !remedy->has_command) return;
    RunRequest request = base_;
    request.store = cell.store;
    request.executor = cell.executor;
    request.protocol = remedy->protocol.empty() ? cell.protocol : remedy->protocol;
    request.pattern = remedy->pattern.empty() ? cell.pattern : remedy->pattern;
    if (remedy->retries) request.retries = remedy->retries;
    const std::string key = fmt::format("{} {} {} {} {} {}", cell.scenario->name, request.store, request.protocol,
                                        request.pattern, request.executor, request.retries.value_or(-1));
    auto tried = fixes_.find(key);
    if (tried == fixes_.end()) {
      const Result<record::Run> fixed = lockstep::run(*cell.scenario, request, &program_.stop);
      Tried outcome;
      if (fixed) {
        outcome.mends = is_mended(fixed->verdict, gave_up(*fixed));
        outcome.summary = fmt::format("{}: {}", record::name_of(fixed->verdict), fixed->summary);
      } else {
        outcome.summary = fixed.error().message;
      }
      tried = fixes_.emplace(key, std::move(outcome)).first;
    }
    if (program_.stopped()) return;
    cell.fix_mends = tried->second.mends;
    cell.fix_summary = tried->second.summary;
  }

  void report() {
    std::size_t done = 0, differing = 0, waiting = 0, unjudged = 0;
    for (const Cell& cell : cells_) {
      done += cell.state == Cell::State::waiting ? 0 : 1;
      waiting += cell.state == Cell::State::waiting ? 1 : 0;
      differing += cell.differs() ? 1 : 0;
      unjudged += cell.state != Cell::State::waiting && !cell.differs() && !cell.expected ? 1 : 0;
    }
    if (program_.json) {
      program_.out.write(check_json(cells_, base_.seed, choice_.left_out, wall_ms_));
    } else {
      const Terminal& terminal = program_.terminal;
      program_.out.write(check_failures(cells_, terminal));
      const std::string said = terminal.clean(
          fmt::format("{} checked: {} as expected, {} not{} · seed {} · {:.1f} s", counted(done, "cell", "cells"),
                      done - differing - unjudged, differing,
                      unjudged > 0 ? fmt::format(", {} without an expectation", unjudged) : std::string(), base_.seed,
                      wall_ms_ / 1000));
      std::vector<Line> lines;
      for (const std::string& part : wrapped(said, terminal.width > 20 ? terminal.width - 3 : 17)) {
        Line& line = lines.emplace_back();
        if (lines.size() == 1) {
          line.add(" ").add(differing == 0 ? Style::good : Style::fault,
                            differing == 0 ? terminal.glyphs().good : terminal.glyphs().fault);
        }
        line.to(3).add(part);
      }
      program_.out.write(str(lines, terminal));
    }
    for (const auto& [store, why] : choice_.left_out) complain(fmt::format("{} was left out: {}", store, why));
    if (waiting > 0 && program_.stopped())
      complain(fmt::format("interrupted: {} not run", counted(waiting, "cell", "cells")));
  }

  bool write_junit() {
    if (!program_.arguments.has("junit")) return true;
    const std::string path = program_.arguments.value("junit");
    const std::string text = check_junit(cells_);
    std::FILE* const file = std::fopen(path.c_str(), "w");
    bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if (file != nullptr) written = std::fclose(file) == 0 && written;
    if (!written) complain(fmt::format("cannot write {}: {}", path, std::strerror(error)));
    return written;
  }

  Program& program_;
  std::vector<Cell> cells_;
  const RunRequest base_;
  StoreChoice choice_;
  double wall_ms_ = 0;
  struct Tried {
    bool mends = false;
    std::string summary;
  };
  std::map<std::string, Tried> fixes_;  // by their coordinates
};

int check(Program& program) {
  if (const std::string name = program.arguments.value("NAME"); is_isolation_suite(name))
    return program.ranks().leads() ? check_isolation_suite(program, name) : int{kAsExpected};
  RunRequest base;
  CellFilter filter;
  StoreChoice choice;
  Ranks& ranks = program.ranks();
  std::string error = read_cell_options(program.arguments, base, filter, choice);
  if (!error.empty()) return usage_error(error);
  if (!agree_on_stores(ranks, filter, choice)) return kStoreUnavailable;
  std::vector<Cell> cells = wanted_cells(filter);
  for (const std::string& expectation : program.arguments.all("expect")) {
    if (error = apply_expectation(expectation, cells); !error.empty()) return usage_error(error);
  }
  if (cells.empty()) return usage_error("nothing to check: these scenarios do not run on these stores");
  return Check(program, std::move(cells), base, std::move(choice)).run();
}

}  // namespace

CommandSpec check_command() {
  std::vector<OptionSpec> options = cell_options();
  options.push_back({"expect",
                     "CELL",
                     "another expectation: \"NAME STORE PROTOCOL PATTERN=VERDICT\"; * for any store or protocol",
                     Names::nothing,
                     {},
                     true});
  options.push_back({"junit", "FILE", "also write JUnit XML", Names::file});
  options.push_back({"json", "", "the result as JSON, in place of the tables"});
  return {
      .name = "check",
      .summary = "the whole catalogue against its expectations, for CI",
      .description =
          "Runs every scenario with every pattern on every store and protocol that it says something about, and "
          "compares the "
          "verdicts. In-process scenarios need no store and are always in. Nothing is saved. Every fix that a run "
          "names is run too: it "
          "must end clean, in a wait, or after a retry that succeeds.\n\n"
          "NAME may be a folder of isolation specs of PostgreSQL with their expected/*.out: each is run on a database "
          "of its own, and its text is compared byte for byte.\n\n"
          "Without --store, PostgreSQL is checked when a server is named (--dsn, LOCKSTEP_DSN) or can be started "
          "here.\n\n"
          "A text file, or a folder of files *.spec, is checked where it expects a verdict; what it says of its steps "
          "must "
          "come too.\n\n"
          "The exit code is 1 when a verdict is not as expected or a fix does not mend, 3 when a store that was asked "
          "for is not there.",
      .arguments = {{"NAME", "only this scenario, theme, file or folder of files", false, Names::scenario_or_theme}},
      .options = std::move(options),
      .examples = {{"check", "Everything that can run here."},
                   {"check --store kv,sqlite,postgres --junit check.xml", "For CI."},
                   {"check deadlock --executor threads,coroutines", "One theme on both executors."},
                   {"check --expect \"deadlock/two-lock kv 2pl-detect plain=clean\"", "Exits 1: it is a deadlock."}},
      .run = check,
  };
}

}  // namespace lockstep::cli
