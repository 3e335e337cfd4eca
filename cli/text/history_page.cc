// history_page.cc: verdicts as texts, for reports/history_html.h.
#include "cli/text/history_page.h"

#include <algorithm>
#include <array>

#include "cli/args/version.h"
#include "reports/history_html.h"

namespace lockstep::cli {
namespace {

using check::Judgement;
using check::Level;
using check::Ordering;
using reports::HistoryAnswer;

constexpr std::array<std::pair<Level, const char*>, 6> kForbids = {{
    {Level::read_uncommitted, "G0, one element twice in a list"},
    {Level::read_committed, "also G1a, G1b, G1c; reads of a key that do not fit together"},
    {Level::read_atomic, "also a transaction that does not agree with itself"},
    {Level::repeatable_read, "what read-committed does, and every cycle"},
    {Level::snapshot, "what read-atomic does, and every cycle without two rw edges in a row"},
    {Level::serializable, "what read-atomic does, and every cycle"},
}};

reports::HistoryClaim claim_of(const histories::ClaimVerdict& verdict) {
  const HistoryAnswer answer = verdict.answer == Judgement::holds    ? HistoryAnswer::holds
                               : verdict.answer == Judgement::broken ? HistoryAnswer::broken
                                                                     : HistoryAnswer::unknown;
  return {verdict.claim, answer, verdict.why};
}

std::vector<reports::HistoryLevel> levels_of(const histories::Judged& judged) {
  std::vector<reports::HistoryLevel> levels;
  if (judged.levels.empty()) return levels;
  const auto claim = [&judged](Level level, Ordering ordering) {
    const std::string name = name_of(check::Claim{level, ordering});
    const auto found = std::find_if(judged.levels.begin(), judged.levels.end(),
                                    [&name](const histories::ClaimVerdict& one) { return one.claim == name; });
    return found == judged.levels.end() ? reports::HistoryClaim{.name = name} : claim_of(*found);
  };
  for (const auto& [level, forbids] : kForbids)
    levels.push_back({name_of(check::Claim{level, Ordering::none}), forbids, claim(level, Ordering::none),
                      claim(level, Ordering::session), claim(level, Ordering::real_time)});
  return levels;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

reports::HistoryAnomaly anomaly_of(const check::Anomaly& anomaly, const histories::Judged& judged) {
  reports::HistoryAnomaly one{.name = anomaly.name, .proof = lines_of(anomaly.why), .cycle = {}, .taking_part = {}};
  for (const check::Dependency& step : anomaly.cycle) one.cycle.push_back({step.from, step.to, step.what});
  for (const histories::InvolvedTransaction& its : judged.involved)
    if (std::find(anomaly.transactions.begin(), anomaly.transactions.end(), its.number) != anomaly.transactions.end())
      one.taking_part.push_back(its.name);
  return one;
}

}  // namespace

std::string history_page(const JudgedFile& file, const std::string& command, const std::string& nonce) {
  const histories::Judged& judged = file.judged;
  reports::JudgedHistory page;
  page.file = file.path;
  page.model = std::string(name_of(judged.model));
  page.counts = counts_of(judged);
  page.command = command;
  page.recognised = judged.recognised;
  page.levels = levels_of(judged);
  page.rules = judged.rules;
  page.notes = judged.notes;
  for (const histories::ClaimVerdict& verdict : judged.asked) page.asked.push_back(claim_of(verdict));
  if (judged.weakest_broken) page.weakest_broken = name_of(*judged.weakest_broken);
  for (const check::Claim claim : judged.strongest) page.strongest_holding.push_back(name_of(claim));
  for (const check::Anomaly& anomaly : judged.anomalies) page.anomalies.push_back(anomaly_of(anomaly, judged));
  for (const histories::InvolvedTransaction& one : judged.involved)
    page.transactions.push_back({one.name, one.line, one.process, one.outcome, one.operations});
  return reports::history_page(page, kVersion, nonce);
}

}  // namespace lockstep::cli
