// cells.h: what `lockstep check` runs: every scenario at every coordinate that it says something about.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/run.h"
#include "engine/scenario/scenario.h"

namespace lockstep::cli {

/// One coordinate with its expectation, and what came of it.
struct Cell {
  const Scenario* scenario = nullptr;  ///< of the catalogue, or of a file that has been read
  std::string store, protocol, pattern, executor;
  std::optional<record::Verdict> expected = {};  ///< nullopt: it is run, and not judged

  enum class State { waiting, done, failed };
  State state = State::waiting;
  record::Verdict verdict = record::Verdict::clean;
  std::string summary;  ///< of the run, or why it could not run
  std::string command;  ///< that runs it again
  std::string how;      ///< in a word, where that is asked for (record::how_of)
  std::string run;      ///< id of its recording, when it is saved
  double wall_ms = 0;
  bool is_program_error = false;
  std::string missed;    ///< of a file: what did not come as it says; empty: all did
  bool gave_up = false;  ///< somebody's last attempt failed

  /// What the run names as its fix, and what came of that one when it was run: `fix_command` is empty where none is
  /// named.
  std::string fix_command;
  std::optional<bool> fix_mends = {};
  std::string fix_summary;  ///< "deadlock: …"

  /// The fix that is named does not mend: what the run says is not true.
  bool misleads() const noexcept { return fix_mends == false; }
  bool as_expected() const noexcept {
    return state == State::done && !is_program_error && missed.empty() && (!expected || verdict == *expected);
  }
  bool differs() const noexcept { return state != State::waiting && (!as_expected() || misleads()); }
};

bool contains(const std::vector<std::string>& all, std::string_view one);

/// Which cells are wanted. Empty: all.
struct CellFilter {
  std::vector<std::string> stores;  ///< in-process scenarios are always in
  std::vector<std::string> names;   ///< scenarios or themes
  std::vector<std::string> executors;
  bool first_pattern = false;  ///< only the pattern that a scenario names first: the one without a fix
};

/// Those of `cells` that a file says something of: where it expects a verdict. Of a pattern that expects none anywhere:
/// the first store that it runs on, at its first protocol, for what its steps must give.
std::vector<Cell> told_of(std::vector<Cell> cells);

/// The cells in the order in which they are shown: by store and executor, then scenario, pattern, protocol.
std::vector<Cell> cells_of(std::span<const Scenario> scenarios, const CellFilter& filter);

/// "deadlock/two-lock kv 2pl-detect plain=deadlock" on the cells that it names; "*" for any store or protocol. Gives an
/// error for people when it cannot be read or names none; empty when it is done.
std::string apply_expectation(const std::string& text, std::vector<Cell>& cells);

}  // namespace lockstep::cli
