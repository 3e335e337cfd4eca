// explore_text.cc: the ways to end, what the numbers are worth, and the shortest bad schedule.
#include "cli/text/explore_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/text.h"
#include "engine/explore/search/search.h"

namespace lockstep::cli {
namespace {

/// A double is exact up to this number: 2^53.
std::string exactly(double number) {
  if (number < 0) return "?";
  return number < 9e15 ? fmt::format("{:.0f}", number) : fmt::format("{:.3g}", number);
}

bool is_sampled(const Exploration& explored) { return is_sampling(explored.strategy); }

std::string unit_of(const Exploration& explored) {
  return is_sampled(explored) ? "samples" : explored.strategy == Strategy::unreduced ? "runs" : "classes";
}

std::string share_of(const Finding& finding, const Exploration& explored) {
  const double part = is_sampled(explored) ? static_cast<double>(finding.runs) : finding.interleavings;
  const double whole = is_sampled(explored) ? static_cast<double>(explored.runs) : explored.interleavings;
  if (part < 0 || whole <= 0) return "?";
  const double percent = 100 * part / whole;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  if (percent > 99.9 && percent < 100) return ">99.9 %";
  return fmt::format("{:.{}f} %", percent, percent < 10 ? 1 : 0);
}

void add_table(std::vector<Line>& lines, const Exploration& explored, const Terminal& terminal) {
  const bool sampled = is_sampled(explored);
  std::vector<std::string> heads{"share"};
  if (!sampled) heads.emplace_back("interleavings");
  heads.push_back(unit_of(explored));
  std::vector<std::vector<std::string>> rows;
  for (const Finding& each : explored.findings) {
    std::vector<std::string> row{share_of(each, explored)};
    if (!sampled) row.push_back(exactly(each.interleavings));
    row.push_back(std::to_string(each.runs));
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < heads.size(); ++c) {
    widths.push_back(heads[c].size());
    for (const auto& row : rows) widths[c] = std::max(widths[c], row[c].size());
  }
  const auto add = [&](const std::vector<std::string>& cells, Style style) {
    Line line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      line.add(style, fmt::format(" {:>{}} ", cells[c], widths[c]));
    }
    return line;
  };
  lines.push_back(add(heads, Style::dim).add(Style::dim, " ends as"));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Finding& finding = explored.findings[i];
    const bool good = is_good(finding.verdict);
    Line line = add(rows[i], Style::plain);
    line.add(good ? Style::good : Style::bold,
             fmt::format(" {} {}", good ? terminal.glyphs().good : terminal.glyphs().fault,
                         record::name_of(finding.verdict)));
    const std::size_t left = terminal.width > line.columns() + 12 ? terminal.width - line.columns() - 2 : 10;
    const std::string what = terminal.clean(finding.what);
    const bool beside = columns(what) <= left;
    if (beside && !what.empty()) line.add("  " + what);
    lines.push_back(std::move(line));
    if (beside) continue;
    // Beside the numbers there is no room: below them, to the left of the verdict where need be.
    const std::size_t widest = add(heads, Style::dim).columns();
    const std::size_t at = widest + 24 <= terminal.width ? widest + 3 : 4;
    for (const std::string& part :
         wrapped(what, std::max<std::size_t>(terminal.width - std::min(terminal.width, at), 12)))
      lines.push_back(Line().to(at).add(part));
  }
}

std::string plural(std::size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

/// What a partial search is worth.
std::string worth_of_part(const Exploration& explored) {
  if (explored.left_out > 0) {
    return fmt::format(
        "after {} {}; {} choices that the server did not make again were left out, with what lies behind them",
        explored.runs, unit_of(explored), explored.left_out);
  }
  std::string text = fmt::format("{} after {} {}: ", explored.interrupted ? "interrupted" : "the budget is spent",
                                 explored.runs, unit_of(explored));
  if (explored.preemptions_seen >= 0) {
    text += fmt::format("every schedule with at most {} has been seen; ",
                        plural(static_cast<std::size_t>(explored.preemptions_seen), "preemption"));
  }
  return text + "what was not seen may exist all the same";
}

std::string_view title_of(const Exploration& explored) {
  const BackendKind* const kind = backend_named(explored.run.store);
  return kind == nullptr ? "the store" : kind->traits.title;
}

/// The classes that a search on a model has found.
std::string worth_of_classes(const Exploration& explored) {
  if (explored.complete) {
    return fmt::format("all {} of the model run on {}, which stand for its {} interleavings",
                       explored.classes == 1 ? "1 class" : fmt::format("{} classes", explored.classes),
                       title_of(explored), exactly(explored.interleavings));
  }
  std::string text = fmt::format("{} after {} of {} classes of the model, drawn by seed {}",
                                 explored.interrupted ? "interrupted" : "the budget is spent", explored.runs,
                                 explored.classes, explored.run.seed);
  if (!explored.is_model_complete) text += " (it has more: its own search was not complete)";
  return text + "; what was not run may end otherwise";
}

std::string worth_of(const Exploration& explored) {
  std::string worth;
  if (!explored.model.empty()) {
    worth = worth_of_classes(explored);
  } else if (explored.complete && explored.strategy == Strategy::unreduced) {
    worth = fmt::format("all {} interleavings, one by one", explored.runs);
  } else if (explored.complete) {
    worth = fmt::format("all {} interleavings, in {} of the same order; {} cut short", exactly(explored.interleavings),
                        explored.runs == 1 ? "1 class" : fmt::format("{} classes", explored.runs),
                        plural(explored.pruned, "run"));
  } else if (is_sampled(explored)) {
    worth = fmt::format("{} by chance: what was not seen may exist all the same", plural(explored.runs, "run"));
  } else {
    worth = worth_of_part(explored);
  }
  return fmt::format(
      "{}; {} s, {:.0f} runs a second{}", worth,
      explored.seconds < 10 ? fmt::format("{:.2f}", explored.seconds) : fmt::format("{:.0f}", explored.seconds),
      explored.runs_per_second(),
      explored.jobs > 1 && explored.model.empty() ? fmt::format(", {} jobs", explored.jobs) : "");
}

/// How the database did beside its model.
void add_model(std::vector<Line>& lines, const Exploration& explored, const Terminal& terminal) {
  if (!explored.why_no_model.empty()) {
    add_paragraph(
        lines, terminal, Style::bold, "model",
        fmt::format("none: {}; the database's own interleavings were gone through one by one", explored.why_no_model));
  }
  if (explored.model.empty()) return;
  const bool agrees = explored.disagreements.empty();
  std::uint64_t differing = 0;
  for (const Disagreement& each : explored.disagreements) differing += each.classes;
  add_paragraph(lines, terminal, agrees ? Style::good : Style::bold, "model",
                agrees ? fmt::format("{}; {} does the same in each of them", explored.model, title_of(explored))
                       : fmt::format("{}; {} does something else in {} of {} classes. What it does in its own "
                                     "interleavings: --direct",
                                     explored.model, title_of(explored), differing, explored.runs));
  if (!agrees) {
    const auto& facts = explored.disagreements.front().run.environment;
    if (const auto denied = facts.find("denied"); denied != facts.end())
      add_paragraph(lines, terminal, Style::bold, "because", terminal.clean(denied->second));
  }
  constexpr std::size_t kShown = 6;
  for (std::size_t i = 0; i < std::min(kShown, explored.disagreements.size()); ++i) {
    const Disagreement& each = explored.disagreements[i];
    add_paragraph(lines, terminal, Style::bold, "differs",
                  fmt::format("{}; {}{}: {}", terminal.clean(text_of(each.difference, title_of(explored))),
                              each.classes == 1 ? "1 class" : fmt::format("{} classes", each.classes),
                              each.run.id.empty() ? "" : ", run " + each.run.id, each.schedule));
  }
  if (explored.disagreements.size() > kShown) {
    add_paragraph(lines, terminal, Style::bold, "differs",
                  fmt::format("in {} more ways (--json has all)", explored.disagreements.size() - kShown));
  }
}

/// "deadlock in 4 steps with 1 preemption, provably the fewest of both: T1 T2 T2 T1"
std::string shortest_of(const Finding& finding) {
  const std::string& schedule = finding.shortest.schedule;
  std::string text =
      fmt::format("{} in {}", record::name_of(finding.verdict),
                  plural(static_cast<std::size_t>(1 + std::count(schedule.begin(), schedule.end(), ' ')), "step"));
  if (finding.preemptions) {
    text += fmt::format(" with {}", plural(static_cast<std::size_t>(*finding.preemptions), "preemption"));
    text += finding.fewest_steps ? ", provably the fewest of both" : ", provably the fewest preemptions";
  }
  return text + ": " + schedule;
}

}  // namespace

std::string explore_line(const Exploration& explored) {
  std::uint64_t bad = 0;
  for (const Finding& each : explored.findings) bad += is_good(each.verdict) ? 0 : each.runs;
  std::uint64_t differing = 0;
  for (const Disagreement& each : explored.disagreements) differing += each.classes;
  return fmt::format("{} of {} {} end badly, {} in a deadlock; {}{}\n", bad, explored.runs, unit_of(explored),
                     explored.runs_ending(record::Verdict::deadlock),
                     explored.complete      ? "complete"
                     : is_sampled(explored) ? "sampled"
                                            : "not complete",
                     explored.model.empty() ? "" : fmt::format("; {} not as on the model", differing));
}

std::string explore_text(const Exploration& explored, const Terminal& terminal, const std::vector<Hint>& hints) {
  std::vector<Line> lines;
  const Glyphs& g = terminal.glyphs();
  Line head;
  head.add(Style::heading, terminal.clean(explored.findings.empty() ? "" : explored.findings.front().shortest.scenario))
      .add("   ");
  std::vector<std::string> facts;
  if (explored.run.store != record::kNoStore) facts = {"store " + explored.run.store, explored.run.protocol};
  facts.push_back(explored.run.pattern);
  facts.emplace_back(name_of(explored.strategy));
  if (explored.run.retries) facts.push_back(fmt::format("retries {}", *explored.run.retries));
  if (is_sampled(explored)) facts.push_back(fmt::format("seed {}", explored.run.seed));
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (head.columns() + columns(facts[i]) + 3 > terminal.width) {
      lines.push_back(std::move(head));
      head = Line().to(3);
    } else if (i > 0) {
      head.add(Style::dim, fmt::format(" {} ", g.separator));
    }
    head.add(terminal.clean(facts[i]));
  }
  lines.push_back(std::move(head));
  lines.emplace_back();
  add_table(lines, explored, terminal);
  lines.emplace_back();

  add_paragraph(lines, terminal, explored.complete ? Style::good : Style::bold,
                explored.complete      ? "complete"
                : is_sampled(explored) ? "sampled"
                                       : "partial",
                worth_of(explored));
  if (explored.missed) {
    add_paragraph(lines, terminal, Style::fault, "missed",
                  fmt::format("the scenario expects {} here, and no run ended so", record::name_of(*explored.missed)));
  }
  for (std::size_t i = 0; i < explored.grain.size(); ++i)
    add_paragraph(lines, terminal, Style::dim, i == 0 ? "grain" : "", explored.grain[i]);
  add_model(lines, explored, terminal);
  for (const record::OrderViolation& each : explored.potential) {
    add_paragraph(
        lines, terminal, Style::bold, "potential",
        fmt::format("{}: {}",
                    explored.complete ? "an order of locks that hangs in no interleaving, but would if what keeps "
                                        "them apart went away"
                                      : "an order of locks that could hang; no run seen did",
                    record::text_of(each)));
  }
  constexpr int kShown = 4;
  int shown = 0;
  for (const Finding& each : explored.findings) {
    if (is_good(each.verdict) || ++shown > kShown) continue;
    add_paragraph(lines, terminal, Style::bold, "shortest", shortest_of(each));
  }
  for (const Hint& hint : hints) {
    Line line;
    line.add(" ").add(Style::dim, hint.label).to(kTextAt);
    line.add(Style::bold, terminal.clean(hint.command));
    lines.push_back(std::move(line));
  }
  return str(lines, terminal);
}

}  // namespace lockstep::cli
