// matrix.cc: `lockstep matrix`: anomalies by store and protocol, and how each store keeps them out.
#include "engine/record/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/runs_folder.h"
#include "cli/commands/cell_runner.h"
#include "cli/commands/commands.h"
#include "cli/text/check_text.h"
#include "cli/text/json.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// The themes in which something can go wrong with data; the others are about deadlocks, time and threads.
const std::vector<std::string>& themes_of_anomalies() {
  static const std::vector<std::string> all = {"isolation", "money", "stock", "booking", "queue"};
  return all;
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm time{};
  ::gmtime_r(&now, &time);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time);
  return text;
}

record::MatrixCell as_recorded(const Cell& cell) {
  record::MatrixCell recorded;
  recorded.scenario = cell.scenario->name;
  recorded.title = cell.scenario->title();
  recorded.pattern = cell.pattern;
  recorded.store = cell.store;
  recorded.protocol = cell.protocol;
  recorded.executor = cell.executor;
  recorded.expected = cell.expected;
  if (cell.state == Cell::State::done) recorded.verdict = cell.verdict;
  recorded.how = cell.state == Cell::State::done ? cell.how : cell.summary;
  recorded.summary = cell.summary;
  recorded.run = cell.run;
  return recorded;
}

bool reads_snapshot(const Cell& cell) {
  const BackendKind* const kind = backend_named(cell.store);
  return kind != nullptr && kind->protocol_named(cell.protocol)->reads_snapshot;
}

/// One invocation of the command.
class Matrix {
 public:
  Matrix(Program& program, std::vector<Cell> cells, const RunRequest& base, StoreChoice choice)
      : program_(program),
        cells_(std::move(cells)),
        base_(base),
        choice_(std::move(choice)),
        folder_(runs_folder(program.arguments)),
        saves_(!program.arguments.has("no-record")) {}

  int run() {
    CellRunner runner(program_, base_, "matrix", choice_);
    runner.each_run = [this](Cell& cell, record::Run& run) { keep(cell, run); };
    runner.each_table = [this](std::span<const Cell> table) {
      if (!program_.json && !program_.quiet) program_.out.write(check_table(table, program_.terminal) + "\n");
    };
    runner.run(cells_);
    wall_ms_ = runner.wall_ms();
    if (!program_.ranks().leads()) return kAsExpected;
    std::string id;
    if (saves_) id = save();
    report(id);
    const int code = exit_code_of(program_, cells_, choice_);
    return code == kAsExpected && !save_error_.empty() ? int{kInternal} : code;
  }

 private:
  void keep(Cell& cell, record::Run& run) {
    cell.how = record::how_of(run, reads_snapshot(cell));
    if (!saves_ || !save_error_.empty()) return;
    if (const auto saved = record::save(run, folder_)) {
      cell.run = run.id;
    } else {
      save_error_ = saved.error().message;
    }
  }

  /// The matrix as a recording of its own; gives its id, empty when it could not be saved.
  std::string save() {
    std::vector<record::MatrixCell> recorded;
    std::size_t ran = 0, good = 0;
    for (const Cell& cell : cells_) {
      if (cell.state == Cell::State::waiting) continue;
      recorded.push_back(as_recorded(cell));
      ++ran;
      good += cell.as_expected() ? 1 : 0;
    }
    if (recorded.empty()) return {};
    record::Run run;
    run.scenario = "matrix";
    run.title = "Anomalies by store and protocol";
    for (const std::string& store : stores()) run.store += (run.store.empty() ? "" : ",") + store;
    run.protocol = "all";
    run.pattern = program_.arguments.has("fixes") ? "all" : "first";
    run.executor = cells_.front().executor;
    run.seed = base_.seed;
    run.verdict = good == ran ? record::Verdict::clean : record::Verdict::anomaly;
    run.expected = record::Verdict::clean;
    run.ending = program_.stopped() ? record::Ending::interrupted : record::Ending::complete;
    run.summary = fmt::format("{}: {} as expected, {} not", counted(ran, "cell", "cells"), good, ran - good);
    run.wall_ms = wall_ms_;
    run.started_at = now_utc();
    run.command = command();
    run.documents[record::kMatrixDocument] = record::to_json(recorded);
    const auto saved = record::save(run, folder_);
    if (!saved) {
      save_error_ = saved.error().message;
      return {};
    }
    return run.id;
  }

  std::vector<std::string> stores() const {
    std::vector<std::string> all;
    for (const Cell& cell : cells_) {
      if (cell.state != Cell::State::waiting && std::find(all.begin(), all.end(), cell.store) == all.end())
        all.push_back(cell.store);
    }
    return all;
  }

  std::string command() const {
    std::string text = "lockstep matrix";
    if (program_.arguments.has("NAME")) text += " " + shell_quoted(program_.arguments.value("NAME"));
    for (const char* option : {"store", "scenario", "executor"}) {
      if (program_.arguments.has(option))
        text += fmt::format(" --{} {}", option, shell_quoted(program_.arguments.value(option)));
    }
    if (program_.arguments.has("fixes")) text += " --fixes";
    return text + fmt::format(" --seed {}", base_.seed);
  }

  void report(const std::string& id) {
    if (program_.json) {
      program_.out.write(matrix_json(id, cells_, base_.seed, choice_.left_out, wall_ms_));
    } else {
      program_.out.write(check_failures(cells_, program_.terminal));
      std::size_t ran = 0, differing = 0;
      for (const Cell& cell : cells_) {
        ran += cell.state == Cell::State::waiting ? 0 : 1;
        differing += cell.differs() ? 1 : 0;
      }
      std::string text =
          fmt::format(" {}: {} as expected, {} not · seed {} · {:.1f} s\n", counted(ran, "cell", "cells"),
                      ran - differing, differing, base_.seed, wall_ms_ / 1000);
      if (!id.empty()) {
        text += fmt::format(" report    lockstep report {}    (each cell with its run's id, to replay)\n",
                            short_id(id, folder_));
      }
      std::string clean;
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        clean += program_.terminal.clean(text.substr(begin, end - begin)) + "\n";
        begin = end + 1;
      }
      program_.out.write(clean);
    }
    for (const auto& [store, why] : choice_.left_out) complain(fmt::format("{} was left out: {}", store, why));
    if (!save_error_.empty()) complain(save_error_);
  }

  Program& program_;
  std::vector<Cell> cells_;
  const RunRequest base_;
  StoreChoice choice_;
  const std::string folder_;
  const bool saves_;
  double wall_ms_ = 0;
  std::string save_error_;
};

int matrix(Program& program) {
  RunRequest base;
  CellFilter filter;
  StoreChoice choice;
  Ranks& ranks = program.ranks();
  if (const std::string error = read_cell_options(program.arguments, base, filter, choice); !error.empty())
    return usage_error(error);
  if (!agree_on_stores(ranks, filter, choice)) return kStoreUnavailable;
  if (filter.names.empty()) filter.names = themes_of_anomalies();
  filter.first_pattern = !program.arguments.has("fixes");
  std::vector<Cell> cells = wanted_cells(filter);
  if (cells.empty()) return usage_error("nothing to run: these scenarios do not run on these stores");
  return Matrix(program, std::move(cells), base, std::move(choice)).run();
}

}  // namespace

CommandSpec matrix_command() {
  std::vector<OptionSpec> options = cell_options();
  options.push_back({"fixes", "", "every pattern, not only the one that a scenario names first"});
  options.push_back(out_option());
  options.push_back({"no-record", "", "save neither the matrix nor the runs of its cells"});
  options.push_back({"json", "", "the result as JSON, in place of the tables"});
  return {
      .name = "matrix",
      .summary = "anomalies by store and protocol: where each happens, and what keeps it out elsewhere",
      .description =
          "Runs scenarios of the themes isolation, money, stock, booking and queue once on every store and protocol. A "
          "cell says "
          "how it came out: ✗ the anomaly happened; waits; snapshot; zero rows (a conditional write touched none); "
          "constraint; "
          "a code of the store (40001 serialization failure, 40P01 deadlock, BUSY); or the fault of the in-house "
          "store.\n\n"
          "✗ is a proof; the others are what one order of steps has shown (lockstep explore looks at all). Every cell "
          "is saved "
          "as a run that can be replayed, and the matrix as one that lockstep report renders.\n\n"
          "The exit code is 1 when a cell is not as the scenario expects, 3 when a store that was asked for is not "
          "there.",
      .arguments = {{"NAME", "only this scenario, theme, file or folder of files", false, Names::scenario_or_theme}},
      .options = std::move(options),
      .examples = {{"matrix", "Every store that is here."},
                   {"matrix isolation --store postgres", "What each isolation level of PostgreSQL lets through."},
                   {"matrix booking --fixes", "With the fixes, and the two that are none."}},
      .run = matrix,
  };
}

}  // namespace lockstep::cli
