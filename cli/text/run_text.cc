// run_text.cc: the parts of a run in the order in which a person wants them.
#include "cli/text/run_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/text/figures.h"
#include "cli/text/text.h"
#include "cli/text/wait_picture.h"

namespace lockstep::cli {
namespace {

using record::Run;
using record::Verdict;

constexpr std::size_t kExpectedEnds = 66;  ///< "as expected" ends here where it fits
constexpr std::size_t kSecondHintAt = 41;

std::size_t width_beside_label(const Terminal& terminal) {
  const std::size_t width = std::min(terminal.width, kProseMost);
  return width > kTextAt + 20 ? width - kTextAt : 20;
}

std::string upper(std::string_view text) {
  std::string loud(text);
  std::transform(loud.begin(), loud.end(), loud.begin(), [](unsigned char c) { return std::toupper(c); });
  return loud;
}

/// The coordinates, on as many lines as they need.
void add_header(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  std::vector<std::string> facts;
  if (run.store != record::kNoStore) {
    facts.push_back("store " + run.store);
  }
  for (const std::string& fact : {run.store == record::kNoStore ? "" : run.protocol, run.pattern, run.executor}) {
    if (!fact.empty()) facts.push_back(fact);
  }
  if (!run.schedule.empty()) facts.push_back("schedule " + terminal.cut(run.schedule, 40));
  facts.push_back(fmt::format("seed {}", run.seed));

  const std::string separator = fmt::format(" {} ", terminal.glyphs().separator);
  Line line;
  line.add(Style::heading, terminal.clean(run.scenario)).add("   ");
  bool first = true;
  for (const std::string& raw : facts) {
    const std::string fact = terminal.clean(raw);
    if (!first && line.columns() + columns(separator) + columns(fact) > terminal.width) {
      lines.push_back(std::move(line));
      line = Line().to(3);
    } else if (first && line.columns() + columns(fact) > terminal.width) {
      lines.push_back(std::move(line));
      line = Line().to(3);
    } else if (!first) {
      line.add(Style::dim, separator);
    }
    line.add(fact);
    first = false;
  }
  lines.push_back(std::move(line));
}

void add_picture(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  const auto picture = wait_picture(waits_of(run), terminal, std::max<std::size_t>(terminal.width, 40) - kTextAt - 1);
  for (std::size_t i = 0; i < picture.size(); ++i) {
    Line line;
    if (i == 0) line.add(" ").add(Style::dim, "wait-for");
    line.to(kTextAt + 1);
    line.add(picture[i]);
    lines.push_back(std::move(line));
  }
  if (!picture.empty()) lines.emplace_back();
}

Style style_of(const Run& run) {
  const bool is_fault =
      run.verdict == Verdict::hung || run.verdict == Verdict::error || run.verdict == Verdict::crashed;
  if (!run.as_expected() || is_fault) return Style::fault;
  return run.verdict == Verdict::clean || run.verdict == Verdict::avoided ? Style::good : Style::bold;
}

std::string expectation(const Run& run, const Terminal& terminal) {
  const Glyphs& g = terminal.glyphs();
  if (run.documents.contains(record::kProgramErrorDocument))
    return fmt::format("{} a mistake in the scenario itself", g.fault);
  if (!run.expected) return {};
  if (run.as_expected()) return terminal.utf8 ? fmt::format("as expected {}", g.good) : "as expected";
  return fmt::format("{} expected {}", g.fault, name_of(*run.expected));
}

void add_verdict(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  Line line;
  line.add(" ").add(style_of(run), upper(name_of(run.verdict))).to(kTextAt - 1).add(" ");
  const auto summary = wrapped(terminal.clean(run.summary), width_beside_label(terminal));
  const std::string expected = expectation(run, terminal);
  const Style expected_style = run.as_expected() ? Style::good : Style::fault;
  const bool beside = kTextAt + columns(summary.back()) + 2 + columns(expected) <= terminal.width;
  for (std::size_t i = 0; i < summary.size(); ++i) {
    if (i > 0) {
      lines.push_back(std::move(line));
      line = Line().to(kTextAt);
    }
    line.add(summary[i]);
  }
  if (!expected.empty() && !beside) {
    lines.push_back(std::move(line));
    line = Line().to(kTextAt);
  } else if (!expected.empty()) {
    const std::size_t begin = kExpectedEnds - std::min(kExpectedEnds, columns(expected));
    if (line.columns() + 2 <= begin && begin + columns(expected) <= terminal.width) {
      line.to(begin);
    } else {
      line.add("  ");
    }
  }
  line.add(expected_style, expected);
  lines.push_back(std::move(line));
}

/// Orders of locks that could have led to a deadlock, although this run had none.
void add_lock_orders(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  for (const record::OrderViolation& each : lock_orders_of(run)) {
    add_paragraph(lines, terminal, Style::bold, "potential",
                  fmt::format("a deadlock that did not happen this time: {}; lockstep explore says whether it can",
                              record::text_of(each)));
  }
}

void add_invariants(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  // A run that never ended has no final state: invariants are shown as they stood.
  const bool is_unfinished = run.ending == record::Ending::stuck;
  const std::string held = is_unfinished ? "so far" : "holds", broken = is_unfinished ? "not yet" : "broken";
  for (const record::Invariant& invariant : run.invariants) {
    const std::string sign = is_unfinished    ? terminal.glyphs().separator
                             : invariant.held ? terminal.glyphs().good
                                              : terminal.glyphs().fault;
    std::string text = invariant.text;
    if (!invariant.held && !invariant.detail.empty()) text += ": " + invariant.detail;
    const auto wrapped_text = wrapped(terminal.clean(text), width_beside_label(terminal) - 2);
    for (std::size_t i = 0; i < wrapped_text.size(); ++i) {
      Line line;
      if (i == 0) line.add(" ").add(Style::dim, invariant.held ? held : broken);
      line.to(kTextAt);
      const Style plain = is_unfinished ? Style::dim : Style::plain;
      line.add(is_unfinished ? Style::dim : invariant.held ? Style::good : Style::fault, i == 0 ? sign + " " : "  ");
      lines.push_back(std::move(line.add(invariant.held ? plain : Style::fault, wrapped_text[i])));
    }
  }
}

void add_fix(std::vector<Line>& lines, const Run& run, const Terminal& terminal) {
  if (run.fix.empty() && run.fix_command.empty()) return;
  std::string sentence = run.fix;
  if (!run.fix_command.empty()) {
    while (!sentence.empty() && (sentence.back() == '.' || sentence.back() == ':')) sentence.pop_back();
    if (!sentence.empty()) sentence += ":";
  }
  add_paragraph(lines, terminal, Style::dim, "fix", sentence);
  // A command is never wrapped, so that it can be copied.
  if (!run.fix_command.empty())
    lines.push_back(Line().to(kTextAt + 2).add(Style::bold, terminal.clean(run.fix_command)));
}

void add_hints(std::vector<Line>& lines, const std::vector<Hint>& hints, const Terminal& terminal) {
  Line line;
  for (const Hint& hint : hints) {
    const std::string label = terminal.clean(hint.label), command = terminal.clean(hint.command);
    const bool beside = line.columns() > 0 && line.columns() + 2 <= kSecondHintAt &&
                        kSecondHintAt + columns(label) + 2 + columns(command) <= terminal.width;
    if (beside) {
      line.to(kSecondHintAt).add(Style::dim, label).add("  ").add(command);
      lines.push_back(std::move(line));
      line = Line();
      continue;
    }
    if (line.columns() > 0) lines.push_back(std::move(line));
    line = Line();
    line.add(" ").add(Style::dim, label).to(kTextAt).add(command);
  }
  if (line.columns() > 0) lines.push_back(std::move(line));
}

std::string ending_note(const Run& run) {
  switch (run.ending) {
    case record::Ending::interrupted:
      return "interrupted: this is what happened so far";
    case record::Ending::unavailable:
      return "the store failed in mid-run: this is what happened up to then";
    case record::Ending::stuck:
    case record::Ending::complete:
      break;
  }
  return {};
}

}  // namespace

void add_paragraph(std::vector<Line>& lines, const Terminal& terminal, Style style, const std::string& label,
                   const std::string& text) {
  if (text.empty()) return;
  const auto texts = wrapped(terminal.clean(text), width_beside_label(terminal));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Line line;
    if (i == 0) line.add(" ").add(style, label).add(columns(label) + 1 < kTextAt ? "" : " ");
    lines.push_back(std::move(line.to(kTextAt).add(texts[i])));
  }
}

std::string run_text(const Run& run, const Terminal& terminal, const RunTextOptions& options) {
  std::vector<Line> lines;
  add_header(lines, run, terminal);
  lines.emplace_back();
  for (Line& line : lanes(run, terminal, options.lanes)) lines.push_back(std::move(line));
  if (!run.events.empty()) lines.emplace_back();
  add_picture(lines, run, terminal);
  add_verdict(lines, run, terminal);
  add_paragraph(lines, terminal, Style::fault, "ended", ending_note(run));
  add_invariants(lines, run, terminal);
  for (Line& line : figures(run, terminal)) lines.push_back(std::move(line));
  add_lock_orders(lines, run, terminal);
  add_paragraph(lines, terminal, Style::dim, "why", run.why);
  add_fix(lines, run, terminal);
  add_hints(lines, options.hints, terminal);
  if (!options.path.empty()) {
    lines.push_back(Line().add(" ").add(Style::dim, "saved").to(kTextAt).add(terminal.clean(options.path)));
  }
  return str(lines, terminal);
}

std::vector<record::OrderViolation> lock_orders_of(const Run& run) {
  const auto document = run.documents.find(record::kLockOrderDocument);
  if (document == run.documents.end()) return {};
  Result<std::vector<record::OrderViolation>> orders = record::order_violations_of(document->second);
  return orders ? std::move(*orders) : std::vector<record::OrderViolation>();
}

std::string verdict_line(const Run& run, const Terminal& terminal) {
  Line line;
  line.add(style_of(run), std::string(name_of(run.verdict)));
  if (!run.summary.empty()) line.add("  " + terminal.clean(run.summary));
  if (const std::string expected = expectation(run, terminal); !expected.empty()) {
    line.add("  ").add(run.as_expected() ? Style::good : Style::fault, expected);
  }
  return line.str(terminal);
}

namespace {

std::string place_of(const Divergence& divergence) {
  return divergence.step > 0 ? fmt::format("at step {}", divergence.step) : fmt::format("at event {}", divergence.seq);
}

/// ", 1000 times, 12345 a second"; empty after a single replay that went as recorded at once.
std::string times_of(const Replay& replayed) {
  const std::uint64_t done = replayed.identical + (replayed.divergence ? 1 : 0);
  std::string text;
  if (replayed.divergence) {
    if (done > 1) text = fmt::format(", after {} times that were the same", replayed.identical);
  } else if (done > 1) {
    text =
        fmt::format(", {} times, {:.0f} a second", done, static_cast<double>(done) / std::max(replayed.seconds, 1e-9));
  }
  if (replayed.other_victims > 0)
    text += fmt::format("; the server chose another victim {} times, and it was tried again", replayed.other_victims);
  return text;
}

}  // namespace

std::string replay_line(const Replay& replayed, const Terminal& terminal) {
  if (replayed.divergence) return Line(fmt::format("diverged {}", place_of(*replayed.divergence))).str(terminal);
  return Line(fmt::format("the same: {} steps, {} events{}", replayed.steps, replayed.run.events.size(),
                          times_of(replayed)))
      .str(terminal);
}

std::string replay_text(const Replay& replayed, const Terminal& terminal, const LaneOptions& options) {
  std::vector<Line> lines;
  const Run& run = replayed.run;
  add_header(lines, run, terminal);
  lines.emplace_back();
  for (Line& line : lanes(run, terminal, options)) lines.push_back(std::move(line));
  if (!run.events.empty()) lines.emplace_back();
  add_picture(lines, run, terminal);
  if (replayed.divergence) {
    const Divergence& different = *replayed.divergence;
    add_paragraph(lines, terminal, Style::fault, "DIVERGED", place_of(different) + times_of(replayed));
    add_paragraph(lines, terminal, Style::dim, "recorded", different.recorded);
    add_paragraph(lines, terminal, Style::dim, "now", different.happened);
  } else if (replayed.stopped) {
    add_paragraph(lines, terminal, Style::bold, "stopped",
                  fmt::format("after step {} of the schedule; the same as recorded so far", replayed.steps));
  } else {
    add_verdict(lines, run, terminal);
    add_paragraph(
        lines, terminal, Style::good, "replayed",
        fmt::format("{} steps, {} events: all as recorded{}", replayed.steps, run.events.size(), times_of(replayed)));
  }
  return str(lines, terminal);
}

}  // namespace lockstep::cli
