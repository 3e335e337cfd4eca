// history_text.cc: a line a claim, then what was found.
#include "cli/text/history_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/text.h"
#include "cli/text/wait_picture.h"

namespace lockstep::cli {
namespace {

using check::Judgement;
using histories::Judged;

constexpr std::size_t kLabel = 12;  // where the text behind a label begins

const char* word_of(Judgement judgement) {
  return judgement == Judgement::holds ? "true" : judgement == Judgement::broken ? "false" : "unknown";
}

/// A label and a text behind it, wrapped, its own lines kept.
void add(std::vector<Line>& lines, const Terminal& terminal, Style style, const std::string& label,
         const std::string& text) {
  Line line;
  line.add(" ").add(style, label);
  const std::size_t width = std::max<std::size_t>(std::min(terminal.width, kProseMost), 40) - kLabel;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    for (const std::string& part : wrapped(terminal.clean(text.substr(at, end - at)), width)) {
      lines.push_back(std::move(line.to(kLabel).add(part)));
      line = Line();
    }
    at = end + 1;
  }
}

std::string names_of(const std::vector<check::Claim>& claims) {
  std::string text;
  for (const check::Claim claim : claims) text += (text.empty() ? "" : ", ") + name_of(claim);
  return text;
}

void add_picture(std::vector<Line>& lines, const Terminal& terminal, const check::Anomaly& anomaly) {
  Waits waits;
  for (const check::Dependency& step : anomaly.cycle) {
    Want want{step.from, step.what, step.to};
    want.says_all = true;
    waits.cycle.push_back(std::move(want));
  }
  const std::size_t width = std::max<std::size_t>(std::min(terminal.width, kProseMost), 40) - kLabel;
  for (const Line& drawn : wait_picture(waits, terminal, width)) lines.push_back(Line().to(kLabel).add(drawn));
}

}  // namespace

std::string counts_of(const Judged& judged) {
  const bool transactions = !judged.levels.empty();
  std::string text = counted(judged.operations, transactions ? "transaction" : "operation",
                             transactions ? "transactions" : "operations");
  text += fmt::format(": {} {}", judged.committed, transactions ? "committed" : "succeeded");
  if (judged.failed > 0) text += fmt::format(", {} failed", judged.failed);
  if (judged.unknown > 0) text += fmt::format(", {} of unknown outcome", judged.unknown);
  return text;
}

std::string history_lines(const JudgedFile& file, const Terminal& terminal) {
  std::string text;
  for (const histories::ClaimVerdict& verdict : file.judged.asked)
    text += fmt::format("{}  {}  {}\n", terminal.clean(file.path), word_of(verdict.answer), verdict.claim);
  return text;
}

std::string history_text(const JudgedFile& file, const Terminal& terminal) {
  const Judged& judged = file.judged;
  std::vector<Line> lines;
  lines.emplace_back();
  lines.push_back(Line()
                      .add(Style::heading, terminal.clean(file.path))
                      .add(fmt::format("   {}{}   {}", name_of(judged.model), judged.recognised ? " (recognised)" : "",
                                       counts_of(judged))));
  for (const histories::ClaimVerdict& verdict : judged.asked)
    if (!verdict.why.empty()) add(lines, terminal, Style::waits, "unknown", verdict.claim + ": " + verdict.why);
  if (judged.weakest_broken)
    add(lines, terminal, Style::fault, "broken", name_of(*judged.weakest_broken) + " is the weakest");
  if (!judged.strongest.empty())
    add(lines, terminal, Style::good, "holds",
        names_of(judged.strongest) + (judged.strongest.size() == 1 ? " is the strongest" : " are the strongest"));
  for (const check::Anomaly& anomaly : judged.anomalies) {
    lines.emplace_back();
    lines.push_back(Line()
                        .add(" ")
                        .add(Style::fault, terminal.glyphs().fault)
                        .add(" ")
                        .add(Style::bold, terminal.clean(anomaly.name)));
    add(lines, terminal, Style::plain, "why", anomaly.why);
    if (!anomaly.cycle.empty()) {
      lines.emplace_back();
      add_picture(lines, terminal, anomaly);
    }
  }
  if (!judged.involved.empty()) lines.emplace_back();
  for (const histories::InvolvedTransaction& one : judged.involved) {
    const std::string transaction = one.str();
    const std::size_t name = std::min(transaction.find(' '), transaction.size());
    add(lines, terminal, Style::bold, terminal.clean(transaction.substr(0, name)),
        transaction.substr(std::min(name + 2, transaction.size())));
  }
  std::string rules;
  for (const std::string& rule : judged.rules) rules += (rules.empty() ? "" : ", ") + rule;
  if (!rules.empty()) add(lines, terminal, Style::dim, "rules", "the order of versions was inferred by: " + rules);
  for (const std::string& note : judged.notes) add(lines, terminal, Style::dim, "note", note);
  if (!file.page.empty()) add(lines, terminal, Style::dim, "page", file.page);
  return str(lines, terminal);
}

}  // namespace lockstep::cli
