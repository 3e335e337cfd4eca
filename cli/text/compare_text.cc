// compare_text.cc: the correct strategies ranked, the wrong ones apart, then what it means.
#include "cli/text/compare_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/run_text.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

using record::ComparedGroup;
using record::ComparedRow;

std::string per_s(double rate) { return rate < 100 ? fmt::format("{:.1f}", rate) : fmt::format("{:.0f}", rate); }

std::string ms_of(double ms) { return fmt::format("{:.{}f}", ms, ms < 0.1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0); }

std::string ratio_of(const ComparedRow& row) {
  if (row.place == "best") return "best";
  if (!row.vs_best) return "";
  const record::Estimate& ratio = *row.vs_best;
  if (ratio.high > 1000) return fmt::format("{:.2f} [?]", ratio.median);
  return fmt::format("{:.2f} [{:.2f}-{:.2f}]", ratio.median, ratio.low, ratio.high);
}

std::string aborts_of(const ComparedRow& row) {
  std::string text;
  for (const auto& [fault, count] : row.aborts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", fault, count);
  return text;
}

std::string cpu_of(const ComparedRow& row) {
  if (row.committed == 0) return "";
  const double us = row.cpu_s * 1e6 / static_cast<double>(row.committed);
  return us < 10 ? fmt::format("{:.1f}", us) : fmt::format("{:.0f}", us);
}

/// The columns of a row of the table beside its name; a narrower terminal gets two lines a strategy instead.
constexpr std::size_t kRowColumns = 66;

/// Parts with two spaces in between, on as many lines as they need.
void add_parts(std::vector<Line>& lines, const Terminal& terminal, const std::vector<std::string>& parts) {
  constexpr std::size_t kIndent = 5;
  Line line;
  line.to(kIndent);
  bool first = true;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!first && line.columns() + 2 + columns(part) > terminal.width) {
      lines.push_back(std::move(line));
      line = Line().to(kIndent);
      first = true;
    }
    line.add(first ? "" : "  ").add(part);
    first = false;
  }
  lines.push_back(std::move(line));
}

void add_narrow_row(std::vector<Line>& lines, const Terminal& terminal, const ComparedRow& row) {
  lines.push_back(Line().add(" ").add(row.place == "best" ? Style::good : Style::bold,
                                      terminal.cut(terminal.clean(row.strategy), terminal.width - 1)));
  const std::string place = row.place == "not measured" ? "not measured" : ratio_of(row);
  add_parts(
      lines, terminal,
      {per_s(row.committed_per_s.median) + " ok/s", place.empty() || place == "best" ? place : place + " of the best",
       "p50 " + ms_of(row.p50_ms) + " ms", "p99 " + ms_of(row.p99_ms) + " ms", "p99.9 " + ms_of(row.p999_ms) + " ms",
       fmt::format("retries {:.0f} %", 100 * row.retries_per_commit()),
       cpu_of(row).empty() ? "" : "cpu " + cpu_of(row) + " us"});
}

void add_row(std::vector<Line>& lines, const Terminal& terminal, const ComparedRow& row, std::size_t name_width) {
  Line line;
  line.add(" ").add(row.place == "best" ? Style::good : Style::plain,
                    terminal.cut(terminal.clean(row.strategy), name_width));
  line.to(name_width + 2);
  line.add(fmt::format("{:>8} ", per_s(row.committed_per_s.median)));
  line.add(fmt::format("{:<17}", row.place == "not measured" ? "not measured" : ratio_of(row)));
  line.add(fmt::format("{:>7} {:>7} {:>7} {:>5.0f} % {:>6}", ms_of(row.p50_ms), ms_of(row.p99_ms), ms_of(row.p999_ms),
                       100 * row.retries_per_commit(), cpu_of(row)));
  lines.push_back(std::move(line));
}

void add_details(std::vector<Line>& lines, const Terminal& terminal, const ComparedRow& row) {
  const std::string aborts = aborts_of(row);
  std::string text = row.why_not_measured();
  if (!aborts.empty()) text += (text.empty() ? "aborts: " : "; aborts: ") + aborts;
  if (row.waits.value_or(0) > 0)
    text += fmt::format("{}{} waits, {:.2f} s", text.empty() ? "" : "; ", *row.waits, row.wait_s.value_or(0));
  if (row.server_cpu_s && row.committed > 0) {
    text += fmt::format("{}server {:.0f} us CPU each", text.empty() ? "" : "; ",
                        *row.server_cpu_s * 1e6 / static_cast<double>(row.committed));
  }
  if (text.empty()) return;
  for (const std::string& part : wrapped(terminal.clean(text), terminal.width > 20 ? terminal.width - 8 : 12)) {
    lines.push_back(Line().to(5).add(Style::dim, part));
  }
}

void add_group(std::vector<Line>& lines, const ComparedGroup& group, const Terminal& terminal) {
  std::size_t name_width = 12;
  for (const ComparedRow& row : group.strategies)
    name_width = std::max(name_width, columns(terminal.clean(row.strategy)));
  name_width = std::min<std::size_t>(name_width, 24);
  std::string load = fmt::format("{} on {}", group.store, group.executor);
  if (group.helpers > 0) load += fmt::format(" (calls on at most {} helper threads)", group.helpers);
  load += fmt::format(", {}, {} rows, theta {:g}",
                      counted(static_cast<unsigned>(group.sessions), "session", "sessions"), group.rows, group.theta);
  if (group.read_percent >= 0) load += fmt::format(", {} % reads", group.read_percent);
  if (group.rate > 0) load += fmt::format(", open loop at {:g} a second", group.rate);
  for (const std::string& part : wrapped(terminal.clean(load), terminal.width > 20 ? terminal.width - 1 : 12)) {
    lines.push_back(Line().add(Style::dim, " " + part));
  }
  const bool narrow = name_width + 2 + kRowColumns > terminal.width;
  Line head;
  head.add(Style::dim, " CORRECT").to(name_width + 2);
  if (!narrow) {
    head.add(Style::dim, fmt::format("{:>8} {:<17}{:>7} {:>7} {:>7} {:>7} {:>6}", "ok/s", "vs best", "p50 ms", "p99",
                                     "p99.9", "retries", "cpu us"));
  }
  lines.push_back(std::move(head));
  for (const ComparedRow& row : group.strategies) {
    if (row.place == "wrong") continue;
    if (narrow) {
      add_narrow_row(lines, terminal, row);
    } else {
      add_row(lines, terminal, row, name_width);
    }
    add_details(lines, terminal, row);
  }
  bool said = false;
  for (const ComparedRow& row : group.strategies) {
    if (row.place != "wrong") continue;
    if (!said) lines.push_back(Line().add(Style::fault, " WRONG (not ranked)"));
    said = true;
    Line line;
    line.add(" ").add(terminal.cut(terminal.clean(row.strategy), name_width)).to(name_width + 2);
    line.add(fmt::format("{:>8} ", per_s(row.committed_per_s.median)));
    line.add(Style::fault, terminal.glyphs().fault);
    const std::string text = terminal.clean(row.what_is_wrong() + (row.proof.empty() ? "" : " (proof below)"));
    const std::size_t at = line.columns() + 1;
    bool first = true;
    for (const std::string& part : wrapped(text, terminal.width > at + 12 ? terminal.width - at : 12)) {
      if (first) {
        lines.push_back(line.add(" " + part));
      } else {
        lines.push_back(Line().to(at).add(part));
      }
      first = false;
    }
  }
  lines.emplace_back();
}

void add_proofs(std::vector<Line>& lines, const record::Comparison& comparison, const Terminal& terminal) {
  for (const ComparedGroup& group : comparison.groups) {
    for (const ComparedRow& row : group.strategies) {
      const std::vector<std::string> steps = row.steps_of_proof();
      if (steps.empty()) continue;
      add_paragraph(lines, terminal, Style::bold, "proof", row.strategy + ": " + row.anomaly);
      for (const std::string& step : steps) add_paragraph(lines, terminal, Style::plain, "", "- " + step);
    }
  }
}

void add_notes(std::vector<Line>& lines, const record::Comparison& comparison, const Terminal& terminal) {
  for (const ComparedGroup& group : comparison.groups) {
    for (const ComparedRow& row : group.strategies) {
      for (const record::ComparedRound& round : row.rounds) {
        if (!round.note.empty())
          add_paragraph(lines, terminal, Style::bold, "not counted", row.strategy + ": " + round.note);
      }
    }
  }
  if (const std::string note = comparison.history_note(); !note.empty())
    add_paragraph(lines, terminal, Style::dim, "history", note);
  for (const std::string& note : comparison.notes) add_paragraph(lines, terminal, Style::dim, "note", note);
  add_paragraph(
      lines, terminal, Style::dim, "driver",
      fmt::format("{:.0f} ns of CPU a transaction are its own; cpu us is all of this process", comparison.driver_ns));
}

}  // namespace

std::size_t BaselineChanges::regressions() const {
  return static_cast<std::size_t>(std::count_if(
      changes.begin(), changes.end(), [this](const auto& change) { return record::is_regression(change, tolerance); }));
}

std::string changes_line(const BaselineChanges& since) {
  if (since.regressions() == 0) return fmt::format("no proven regression since {}", since.id);
  std::string names;
  for (const record::ComparisonChange& change : since.changes) {
    if (record::is_regression(change, since.tolerance)) names += (names.empty() ? "" : ", ") + change.strategy;
  }
  return fmt::format("{} since {}: {}", counted(since.regressions(), "proven regression", "proven regressions"),
                     since.id, names);
}

namespace {

std::string change_text(const record::ComparisonChange& change) {
  std::string text = std::string(name_of(change.kind));
  if (!change.ratio) return text;
  const auto percent = [](double ratio) {
    constexpr double kMost = 10;  // an interval of few rounds may reach to any height
    return ratio > kMost ? fmt::format(">{:+.0f}", 100 * (kMost - 1)) : fmt::format("{:+.1f}", 100 * (ratio - 1));
  };
  return fmt::format("{} % [{} to {}], {:.0f} -> {:.0f} ok/s: {}", percent(change.ratio->median),
                     percent(change.ratio->low), percent(change.ratio->high), change.before_per_s, change.now_per_s,
                     text);
}

void add_changes(std::vector<Line>& lines, const BaselineChanges& since, const Terminal& terminal) {
  std::string load;
  for (const record::ComparisonChange& change : since.changes) {
    if (change.load != load) add_paragraph(lines, terminal, Style::bold, "since", since.id + ", " + change.load);
    load = change.load;
    const bool bad = record::is_regression(change, since.tolerance);
    add_paragraph(lines, terminal, Style::plain, "",
                  fmt::format("{}{}: {}", bad ? std::string(terminal.glyphs().fault) + " " : "", change.strategy,
                              change_text(change)));
  }
  add_paragraph(
      lines, terminal, since.regressions() == 0 ? Style::good : Style::fault,
      since.regressions() == 0 ? "no worse" : "WORSE",
      fmt::format("{}; 99 % intervals, up to {:.3g} % slower is allowed", changes_line(since), 100 * since.tolerance));
}

}  // namespace

std::string compare_text(const record::Comparison& comparison, const Terminal& terminal,
                         const std::optional<BaselineChanges>& since, const std::vector<Hint>& hints) {
  std::vector<Line> lines;
  const std::string rounds = fmt::format("{} rounds of {:g} s, warm-up {:g} s, retry {}", comparison.rounds,
                                         comparison.round_s, comparison.warmup_s, comparison.retry);
  Line title;
  title.add(Style::heading, terminal.clean(comparison.workload));
  if (title.columns() + 3 + columns(rounds) > terminal.width) {
    lines.push_back(std::move(title));
    title = Line();
  }
  lines.push_back(std::move(title.add("   " + rounds)));
  lines.emplace_back();
  for (const ComparedGroup& group : comparison.groups) add_group(lines, group, terminal);
  for (const std::string& sentence : comparison.verdict)
    add_paragraph(lines, terminal, Style::bold, "verdict", sentence);
  if (comparison.ending != record::Ending::complete) {
    add_paragraph(lines, terminal, Style::bold, std::string(record::name_of(comparison.ending)),
                  "this is what was finished up to then");
  }
  if (since) add_changes(lines, *since, terminal);
  add_proofs(lines, comparison, terminal);
  add_notes(lines, comparison, terminal);
  for (const Hint& hint : hints) {
    Line line;
    line.add(" ").add(Style::dim, hint.label).to(kTextAt);
    line.add(Style::bold, terminal.clean(hint.command));
    lines.push_back(std::move(line));
  }
  return str(lines, terminal);
}

std::string compare_line(const record::Comparison& comparison) {
  std::string text;
  for (const std::string& sentence : comparison.verdict) text += sentence + "\n";
  return text;
}

}  // namespace lockstep::cli
