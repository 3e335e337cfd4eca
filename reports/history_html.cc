// history_html.cc: one function a section: verdict, what is not known, levels, anomalies, how it was judged.
#include "reports/history_html.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string_view>

#include "reports/append.h"
#include "reports/escape.h"
#include "reports/page.h"
#include "reports/wait_svg.h"

namespace lockstep::reports {
namespace {

using Meaning = std::pair<std::string_view, std::string_view>;

constexpr std::array<Meaning, 13> kAnomalies = {{
    {"G0", "Dirty write: transactions overwrote each other in a circle."},
    {"G1a", "Aborted read: what was read was not committed, or nobody wrote it."},
    {"G1b", "Intermediate read: what was read is not the last that its writer wrote there."},
    {"G1c", "Circular information flow: each read or overwrote what the one before it wrote."},
    {"G-single", "Read skew: a reader missed a write that came before something that it saw."},
    {"G-nonadjacent", "A circle with reads of old versions, no two of them in a row: no snapshots can show it."},
    {"G2-item", "Write skew and its kin: each read what the next one overwrote. Snapshots let it through."},
    {"lost update", "Two transactions read one version, and both overwrote it."},
    {"internal", "A transaction does not agree with what it had itself read or written before."},
    {"incompatible order", "The reads of one key do not fit together: no order of its writes explains both."},
    {"duplicate elements", "One write stands in a list twice."},
    {"lost write", "A committed write is not there at the end."},
    {"stale absence", "A key was not found, though it was there all the time."},
}};

constexpr std::array<Meaning, 5> kEdges = {{
    {"ww", "the second overwrote what the first wrote"},
    {"wr", "the second read what the first wrote"},
    {"rw", "the second overwrote what the first read"},
    {"process", "the first came before the second in their process"},
    {"time", "the first had ended before the second began"},
}};

constexpr std::array<Meaning, 4> kRules = {{
    {"initial-state", "a read of nil comes before every write"},
    {"writes-follow-reads", "what a transaction read comes before what it writes to the same key"},
    {"sequential-keys", "each process meets a key's versions in their order"},
    {"linearizable-keys", "each key by itself follows real time"},
}};

template <std::size_t count>
std::string meaning_of(const std::array<Meaning, count>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [name](const Meaning& one) { return one.first == name; });
  return found == all.end() ? std::string() : std::string(found->second);
}

const char* sign_of(HistoryAnswer answer) {
  return answer == HistoryAnswer::holds ? "✓" : answer == HistoryAnswer::broken ? "✗" : "?";
}

const char* word_of(HistoryAnswer answer) {
  return answer == HistoryAnswer::holds ? "holds" : answer == HistoryAnswer::broken ? "broken" : "unknown";
}

HistoryAnswer answer_of(const JudgedHistory& history) {
  const auto any = [&history](HistoryAnswer answer) {
    return std::any_of(history.asked.begin(), history.asked.end(),
                       [answer](const HistoryClaim& claim) { return claim.answer == answer; });
  };
  if (any(HistoryAnswer::broken)) return HistoryAnswer::broken;
  return history.asked.empty() || any(HistoryAnswer::unknown) ? HistoryAnswer::unknown : HistoryAnswer::holds;
}

/// "snapshot-isolation broken".
std::string headline_of(const JudgedHistory& history) {
  if (history.asked.size() == 1)
    return fmt::format("{}: {}", history.asked.front().name, word_of(history.asked.front().answer));
  const auto count = [&history](HistoryAnswer answer) {
    return std::count_if(history.asked.begin(), history.asked.end(),
                         [answer](const HistoryClaim& claim) { return claim.answer == answer; });
  };
  std::string text = fmt::format("{} of {} hold", count(HistoryAnswer::holds), history.asked.size());
  if (const auto broken = count(HistoryAnswer::broken); broken > 0) text += fmt::format(", {} broken", broken);
  if (const auto unknown = count(HistoryAnswer::unknown); unknown > 0) text += fmt::format(", {} unknown", unknown);
  return text;
}

std::string verdict(const JudgedHistory& history) {
  const HistoryAnswer answer = answer_of(history);
  const char* const tone = answer == HistoryAnswer::holds ? "ok" : answer == HistoryAnswer::broken ? "bad" : "none";
  std::string how;
  if (!history.weakest_broken.empty())
    how = fmt::format("The weakest level that is broken: {}.", history.weakest_broken);
  if (!history.strongest_holding.empty())
    how += fmt::format("{}The strongest that {}: {}.", how.empty() ? "" : " ",
                       history.strongest_holding.size() == 1 ? "holds" : "hold",
                       fmt::join(history.strongest_holding, ", "));
  if (how.empty() && history.asked.size() == 1) how = history.asked.front().why;
  return fmt::format("<div class=\"verdict {}\"><p class=\"word\">{} {}</p><p class=\"how\">{}</p></div>\n", tone,
                     sign_of(answer), html(headline_of(history)), html(how));
}

Cell answer_cell(const HistoryClaim& claim) {
  Cell cell(fmt::format("{} {}", sign_of(claim.answer), word_of(claim.answer)));
  cell.look = claim.answer == HistoryAnswer::holds ? "mg" : claim.answer == HistoryAnswer::broken ? "mx" : "mf";
  return cell;
}

std::string asked(const JudgedHistory& history) {
  // Where every level was asked for, the table of levels has the answers.
  if (history.asked.size() < 2 || history.asked.size() == 3 * history.levels.size()) return {};
  Table all{
      .caption = "What the history was held against", .columns = {{"claim"}, {"answer"}}, .rows = {}, .look = "matrix"};
  for (const HistoryClaim& claim : history.asked) all.rows.push_back({claim.name, answer_cell(claim)});
  return section("asked", "What was asked", table(all));
}

/// Each reason once, with all that it keeps from being known.
std::string unknowns(const JudgedHistory& history) {
  std::vector<std::pair<std::string, std::vector<std::string>>> reasons;
  const auto note = [&reasons](const HistoryClaim& claim) {
    if (claim.answer != HistoryAnswer::unknown) return;
    const std::string why = claim.why.empty() ? "no reason is known" : claim.why;
    auto known = std::find_if(reasons.begin(), reasons.end(), [&why](const auto& one) { return one.first == why; });
    if (known == reasons.end()) known = reasons.insert(reasons.end(), {why, {}});
    if (std::find(known->second.begin(), known->second.end(), claim.name) == known->second.end())
      known->second.push_back(claim.name);
  };
  for (const HistoryClaim& claim : history.asked) note(claim);
  for (const HistoryLevel& level : history.levels)
    for (const HistoryClaim* claim : {&level.plain, &level.session, &level.real_time}) note(*claim);
  if (reasons.empty()) return {};
  std::string inner = "<p>Unknown is neither valid nor broken: the history does not tell.</p>\n<ul>";
  for (const auto& [why, names] : reasons)
    append(inner, "<li><b>{}</b> — {}</li>\n", html(why),
           names.size() == 3 * history.levels.size() ? "every level" : html(fmt::format("{}", fmt::join(names, ", "))));
  return section("unknown", "What is not known, and why", inner + "</ul>\n");
}

std::string levels(const JudgedHistory& history) {
  if (history.levels.empty()) return {};
  Table all{
      .caption = "Every level, from weak to strong. repeatable-read and snapshot-isolation do not imply each other",
      .columns = {{"level"}, {"plain"}, {"strong-session"}, {"strong"}, {"forbids"}},
      .rows = {},
      .sortable = false,
      .look = "matrix stack"};
  for (const HistoryLevel& level : history.levels)
    all.rows.push_back({level.name, answer_cell(level.plain), answer_cell(level.session), answer_cell(level.real_time),
                        level.forbids});
  return section("levels", "Levels",
                 table(all) + "<p>strong-session keeps the order of each process, strong that of real time.</p>\n");
}

// ---- anomalies

/// "rw" of "rw x".
std::string kind_of(const HistoryEdge& edge) { return edge.label.substr(0, edge.label.find(' ')); }

std::string picture(const HistoryAnomaly& anomaly, const std::string& id) {
  std::vector<GraphNode> nodes;
  std::vector<GraphEdge> edges;
  std::string words, key;
  const auto node = [&nodes](const std::string& name) {
    const auto known = std::find_if(nodes.begin(), nodes.end(), [&name](const GraphNode& n) { return n.name == name; });
    if (known != nodes.end()) return static_cast<std::size_t>(known - nodes.begin());
    nodes.push_back({.name = name});
    return nodes.size() - 1;
  };
  std::vector<std::string> kinds;
  for (const HistoryEdge& edge : anomaly.cycle) {
    const std::size_t from = node(edge.from), to = node(edge.to);
    edges.push_back({from, to, edge.label, true});
    append(words, "{}{} before {} by {}", words.empty() ? "" : ", ", edge.from, edge.to, edge.label);
    if (std::find(kinds.begin(), kinds.end(), kind_of(edge)) == kinds.end()) kinds.push_back(kind_of(edge));
  }
  const std::string svg = wait_svg(nodes, edges, "The cycle of " + anomaly.name, words + ".", id + "-cyc");
  if (svg.empty())
    return fmt::format("<p>{} transactions are too many for a picture; the table has them in order.</p>\n",
                       nodes.size());
  for (const std::string& kind : kinds)
    append(key, "<span style=\"white-space:normal\">{}: {}</span>", html(kind), html(meaning_of(kEdges, kind)));
  return figure(svg, key);
}

std::string cycle(const HistoryAnomaly& anomaly, const std::string& id) {
  const bool told = anomaly.proof.size() == anomaly.cycle.size();
  Table all{.caption = "Each came before the next, so each came before itself",
            .columns = {{"first"}, {"edge"}, {"then"}, {"because"}},
            .rows = {},
            .sortable = false,
            .look = "stack"};
  for (std::size_t i = 0; i < anomaly.cycle.size(); ++i) {
    const HistoryEdge& edge = anomaly.cycle[i];
    std::string because = told ? anomaly.proof[i] : "";
    // "T1 before T2: T2 read …" stands in the columns already.
    const std::string head = fmt::format("{} before {}: ", edge.from, edge.to);
    if (because.starts_with(head)) because.erase(0, head.size());
    all.rows.push_back({edge.from, edge.label, edge.to, because});
  }
  return picture(anomaly, id) + table(all);
}

/// Paragraphs; what is indented is a list.
std::string proof(const HistoryAnomaly& anomaly) {
  std::string text;
  bool listed = false;
  for (const std::string& line : anomaly.proof) {
    const bool indented = line.starts_with("  ");
    if (indented != listed) text += indented ? "<ul class=\"plain\">" : "</ul>\n";
    listed = indented;
    if (indented)
      append(text, "<li><code>{}</code></li>\n", html(std::string_view(line).substr(2)));
    else
      append(text, "<p>{}</p>\n", html(line));
  }
  return text + (listed ? "</ul>\n" : "");
}

std::string taking_part(const JudgedHistory& history, const HistoryAnomaly& anomaly) {
  Table all{.caption = "The transactions that take part",
            .columns = {{"transaction"}, {"line"}, {"process"}, {"operations"}},
            .rows = {},
            .sortable = false,
            .look = "stack"};
  for (const std::string& name : anomaly.taking_part) {
    const auto found = std::find_if(history.transactions.begin(), history.transactions.end(),
                                    [&name](const HistoryTransaction& one) { return one.name == name; });
    if (found == history.transactions.end()) continue;
    std::string operations;
    for (const std::string& operation : found->operations)
      append(operations, "{}<code>{}</code>", operations.empty() ? "" : "<br>", html(operation));
    all.rows.push_back({found->outcome.empty() ? found->name : fmt::format("{} ({})", found->name, found->outcome),
                        found->line, found->process, Html{operations}});
  }
  return all.rows.empty() ? std::string() : table(all);
}

std::string anomalies(const JudgedHistory& history) {
  std::string text;
  for (std::size_t i = 0; i < history.anomalies.size(); ++i) {
    const HistoryAnomaly& anomaly = history.anomalies[i];
    std::string base = anomaly.name;
    for (const std::string_view order : {"-realtime", "-process"})
      if (base.ends_with(order)) base.resize(base.size() - order.size());
    const std::string id = fmt::format("a{}", i + 1), meaning = meaning_of(kAnomalies, base);
    std::string inner = meaning.empty() ? "" : "<p>" + html(meaning) + "</p>\n";
    inner += anomaly.cycle.empty() ? proof(anomaly) : cycle(anomaly, id);
    text += section(id, "✗ " + anomaly.name, inner + taking_part(history, anomaly));
  }
  return text;
}

std::string how(const JudgedHistory& history) {
  std::string inner;
  if (!history.rules.empty()) {
    inner +=
        "<p>A read of a register shows one value. The order of its versions was inferred by these rules:</p>\n<ul>";
    for (const std::string& rule : history.rules) {
      const std::string meaning = meaning_of(kRules, rule);
      append(inner, "<li><code>{}</code>{}</li>\n", html(rule), meaning.empty() ? "" : ": " + html(meaning));
    }
    inner += "</ul>\n";
  } else if (history.model == "list-append") {
    inner +=
        "<p>The order of a key’s writes is that of the lists that were read. Writes that nobody read come last.</p>\n";
  }
  if (!history.notes.empty()) {
    inner += "<ul>";
    for (const std::string& note : history.notes) append(inner, "<li>{}</li>\n", html(note));
    inner += "</ul>\n";
  }
  return section("how", "How it was judged", inner + "<p>The same again:</p>" + command(history.command));
}

}  // namespace

std::string history_page(const JudgedHistory& history, const std::string& version, const std::string& nonce) {
  const std::string name = std::filesystem::path(history.file).filename().string();
  PageHead head{.title = fmt::format("{}: {} — Lockstep", name, headline_of(history)),
                .kind = "judged history",
                .headline = name,
                .subtitle = history.counts,
                .version = version,
                .nonce = nonce};
  std::string body =
      facts({{"file", history.file}, {"model", history.model + (history.recognised ? " (recognised)" : "")}});
  for (const std::string& part :
       {verdict(history), asked(history), unknowns(history), anomalies(history), levels(history), how(history)})
    body += part;
  return page(head, body);
}

}  // namespace lockstep::reports
