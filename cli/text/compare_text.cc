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
  if (row.waits > 0) text += fmt::format("{}{} waits, {:.2f} s", text.empty() ? "" : "; ", row.waits, row.wait_s);
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
  load += fmt::format(", {} sessions, {} rows, theta {:g}, {} % reads", group.sessions, group.rows, group.theta,
                      group.read_percent);
  if (group.rate > 0) load += fmt::format(", open loop at {:g} a second", group.rate);
  for (const std::string& part : wrapped(terminal.clean(load), terminal.width > 20 ? terminal.width - 1 : 12)) {
    lines.push_back(Line().add(Style::dim, " " + part));
  }
  Line head;
  head.add(Style::dim, " CORRECT").to(name_width + 2);
  head.add(Style::dim, fmt::format("{:>8} {:<17}{:>7} {:>7} {:>7} {:>7} {:>6}", "ok/s", "vs best", "p50 ms", "p99",
                                   "p99.9", "retries", "cpu us"));
  lines.push_back(std::move(head));
  for (const ComparedRow& row : group.strategies) {
    if (row.place == "wrong") continue;
    add_row(lines, terminal, row, name_width);
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

std::string compare_text(const record::Comparison& comparison, const Terminal& terminal,
                         const std::vector<Hint>& hints) {
  std::vector<Line> lines;
  lines.push_back(Line()
                      .add(Style::heading, terminal.clean(comparison.workload))
                      .add(fmt::format("   {} rounds of {:g} s, warm-up {:g} s, retry {}", comparison.rounds,
                                       comparison.round_s, comparison.warmup_s, comparison.retry)));
  lines.emplace_back();
  for (const ComparedGroup& group : comparison.groups) add_group(lines, group, terminal);
  for (const std::string& sentence : comparison.verdict)
    add_paragraph(lines, terminal, Style::bold, "verdict", sentence);
  if (comparison.ending != record::Ending::complete) {
    add_paragraph(lines, terminal, Style::bold, std::string(record::name_of(comparison.ending)),
                  "this is what was finished up to then");
  }
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
