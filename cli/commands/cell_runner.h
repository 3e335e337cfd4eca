// cell_runner.h: runs cells (cells.h) one after the other, for the commands that go through many of them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/args/cells.h"
#include "cli/commands/program.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// Stores that were not run, with the reason.
using LeftOut = std::vector<std::pair<std::string, std::string>>;

/// Which stores a command goes through: those of --store, each of which must be there. Without --store: every store
/// that can be opened here.
struct StoreChoice {
  std::vector<std::string> stores;
  std::vector<std::string> asked;  ///< those that must be there
  LeftOut left_out;
};

/// The options of commands that run cells: the coordinates, and --scenario.
std::vector<OptionSpec> cell_options();
/// Fills in what was typed of them. An error for people, or empty.
std::string read_cell_options(const Arguments& arguments, RunRequest& base, CellFilter& filter, StoreChoice& choice);

/// Rank 0's stores on every rank, so that all have the same cells. False: a rank is lost.
bool agree_on_stores(Ranks& ranks, CellFilter& filter, StoreChoice& choice);

/// The cells of what was named: scenarios and themes of the catalogue, and files.
std::vector<Cell> wanted_cells(const CellFilter& filter);

/// With several ranks each of them runs a part of every table, and rank 0 has all results.
class CellRunner {
 public:
  /// `word`: for the line of progress, "check". `choice` outlives the runner.
  CellRunner(Program& program, const RunRequest& base, std::string word, StoreChoice& choice)
      : program_(program), base_(base), word_(std::move(word)), choice_(choice) {}

  /// Called with each cell's run on the rank that has run it, and on rank 0 with the cells of a store and executor once
  /// they have all been run. Both may be empty. The second is left out when no cell could be run.
  std::function<void(Cell&, record::Run&)> each_run = {};
  std::function<void(std::span<const Cell>)> each_table = {};

  /// Runs the cells in their order until ^C. When a store is not there, its other cells are not run, and the choice's
  /// left_out names the store.
  void run(std::vector<Cell>& cells);

  double wall_ms() const noexcept { return wall_ms_; }

 private:
  void run_table(std::vector<Cell>& cells, std::size_t begin, std::size_t end);
  void gather_table(std::vector<Cell>& cells, std::size_t begin, std::size_t end);
  bool run_cell(std::vector<Cell>& cells, Cell& cell, const RunRequest& request);
  bool leave_out(std::vector<Cell>& cells, const std::string& store, const std::string& why);

  Program& program_;
  const RunRequest base_;
  const std::string word_;
  StoreChoice& choice_;
  double wall_ms_ = 0;
  std::string why_left_out_;  ///< of the table in hand's store, as this rank has found it
  bool told_to_stop_ = false;
};

/// The exit code after a run of cells: interrupted, one that differs, a store that was asked for and is not there.
int exit_code_of(const Program& program, std::span<const Cell> cells, const StoreChoice& choice);

}  // namespace lockstep::cli
