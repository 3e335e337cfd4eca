// run_text.h: a run as a person reads it: its coordinates, the lanes, the waits, the verdict, why, and what to do next.
// A function of the recording and of what the terminal can show.
#pragma once

#include <string>
#include <vector>

#include "cli/text/lanes.h"
#include "cli/text/terminal.h"
#include "engine/record/lock_order.h"
#include "engine/record/run.h"
#include "engine/run/replay.h"

namespace lockstep::cli {

/// The column where texts begin, after a label such as " why       ".
inline constexpr std::size_t kTextAt = 11;

/// A command for the next step; shown when this build has it.
struct Hint {
  std::string label;
  std::string command;
};

struct RunTextOptions {
  LaneOptions lanes = {};
  std::string path = {};         ///< of the recording; empty: not saved
  std::vector<Hint> hints = {};  ///< in the order in which they are shown
};

std::string run_text(const record::Run& run, const Terminal& terminal, const RunTextOptions& options = {});

/// The line of the verdict alone, for --quiet: "deadlock  found and broken: 1 victim, 1 retry  as expected".
std::string verdict_line(const record::Run& run, const Terminal& terminal);

/// The potential deadlocks that the run's recording tells of.
std::vector<record::OrderViolation> lock_orders_of(const record::Run& run);
/// A replay: the lanes, how things stand where it stopped, and whether it was the same.
std::string replay_text(const Replay& replayed, const Terminal& terminal, const LaneOptions& options = {});
/// For --quiet.
std::string replay_line(const Replay& replayed, const Terminal& terminal);

/// `why` and the like: a label and text wrapped beside it.
void add_paragraph(std::vector<Line>& lines, const Terminal& terminal, Style style, const std::string& label,
                   const std::string& text);

}  // namespace lockstep::cli
