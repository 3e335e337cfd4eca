// player.cc: the rows as data, and the moment to begin with as HTML.
#include "reports/player.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "reports/escape.h"
#include "reports/page.h"
#include "reports/spans.h"
#include "reports/text.h"
#include "reports/wait_svg.h"
#include "reports/waits.h"

namespace lockstep::reports {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 9> kMarks = {"op",    "grant", "wait", "fault", "good",
                                                    "retry", "cycle", "time", "note"};
static_assert(kMarks.size() == static_cast<std::size_t>(Mark::note) + 1);

/// The rows in few bytes: every text once.
class RowData {
 public:
  explicit RowData(const record::Run& run) : run_(run), gone_(run.actors.size(), false) { word(""); }

  std::string data(const std::vector<LaneRow>& rows, std::size_t start) {
    Json all = Json::array();
    for (const LaneRow& row : rows) all.push_back(row_of(row));
    return harmless({{"actors", run_.actors},
                     {"unit", run_.virtual_time ? "ms (virtual)" : "ms"},
                     {"start", start},
                     {"words", words_},
                     {"rows", std::move(all)}});
  }

 private:
  Json row_of(const LaneRow& row) {
    Json changes = Json::array();
    for (const Change& change : row.changes) changes.push_back(change_of(change));
    Json all = Json::array({row.step, fmt::format("{:.2f}", static_cast<double>(row.at_ns) / 1e6), row.actor,
                            name_of(row.mark), word(row.text), word(row.status), std::move(changes)});
    const auto actor = static_cast<std::size_t>(row.actor);
    if (row.actor >= 0 && row.lanes[actor] == LaneState::gone && !gone_[actor]) {
      gone_[actor] = true;
      all.push_back(1);
    }
    return all;
  }

  Json change_of(const Change& change) {
    Json all = Json::array({static_cast<int>(change.kind), change.actor, word(change.object)});
    if (change.kind == Change::Kind::wait) all.push_back(change.others);
    if (change.kind == Change::Kind::take && change.shared) all.push_back(1);
    return all;
  }

  std::size_t word(const std::string& text) {
    const auto [known, fresh] = numbers_.try_emplace(text, words_.size());
    if (fresh) words_.push_back(text);
    return known->second;
  }

  const record::Run& run_;
  std::vector<bool> gone_;
  std::vector<std::string> words_;
  std::unordered_map<std::string, std::size_t> numbers_;
};

/// Whether `to` can be reached from `from` along the waits.
bool reaches(const Standing& standing, int from, int to) {
  std::vector<bool> seen(standing.actors.size(), false);
  std::vector<int> open = {from};
  while (!open.empty()) {
    const int at = open.back();
    open.pop_back();
    if (at == to) return true;
    if (at < 0 || seen[static_cast<std::size_t>(at)]) continue;
    seen[static_cast<std::size_t>(at)] = true;
    const Standing::Actor& actor = standing.actors[static_cast<std::size_t>(at)];
    if (actor.waits) open.insert(open.end(), actor.others.begin(), actor.others.end());
  }
  return false;
}

std::string graph_of(const record::Run& run, const Standing& standing, const std::string& id) {
  std::vector<GraphNode> nodes;
  std::vector<GraphEdge> edges;
  std::string words;
  for (std::size_t i = 0; i < standing.actors.size(); ++i) {
    const Standing::Actor& actor = standing.actors[i];
    nodes.push_back({run.actors[i], !actor.held.empty(), actor.waits, actor.state == LaneState::gone});
    if (!actor.waits) continue;
    for (const int other : actor.others) {
      if (other < 0 || static_cast<std::size_t>(other) == i) continue;
      edges.push_back({i, static_cast<std::size_t>(other), actor.wanted.empty() ? "waits" : "wants " + actor.wanted,
                       reaches(standing, other, static_cast<int>(i))});
      words +=
          (words.empty() ? "" : ", ") + run.actors[i] + " waits for " + run.actors[static_cast<std::size_t>(other)];
    }
  }
  return wait_svg(nodes, edges, "Wait-for graph at this moment", words.empty() ? "Nobody waits." : words, id);
}

std::string lock_rows(const record::Run& run, const Standing& standing) {
  std::map<std::string, std::pair<std::string, std::string>> objects;
  const auto append = [](std::string& list, const std::string& name) { list += (list.empty() ? "" : ", ") + name; };
  for (std::size_t i = 0; i < standing.actors.size(); ++i) {
    for (const Standing::Held& held : standing.actors[i].held) {
      append(objects[held.object].first, run.actors[i] + (held.shared ? " (shared)" : ""));
    }
    if (standing.actors[i].waits) append(objects[standing.actors[i].wanted].second, run.actors[i]);
  }
  if (objects.empty()) return "<tr><td colspan=\"3\" class=\"dim\">nothing is held, nobody waits";
  std::string rows;
  for (const auto& [object, who] : objects) {
    fmt::format_to(std::back_inserter(rows), "<tr><td class=\"mono\">{}<td>{}<td{}>{}\n",
                   html(object.empty() ? "(rows of a statement)" : object), html(who.first.empty() ? "–" : who.first),
                   who.second.empty() ? "" : " class=\"wait\"", html(who.second.empty() ? "–" : who.second));
  }
  return rows;
}

std::string button(const char* go, const char* words, const char* look = "b") {
  return fmt::format("<button type=\"button\" class=\"{}\" data-go=\"{}\">{}</button>", look, go, words);
}

std::string now_text(const record::Run& run, const std::vector<LaneRow>& rows, std::size_t at) {
  const LaneRow& row = rows[at];
  std::string text = fmt::format("<span class=\"at\">row {} of {}", at + 1, rows.size());
  if (row.step != 0) text += fmt::format(" · step {}", row.step);
  text += fmt::format(" · {:.2f} {}</span>", static_cast<double>(row.at_ns) / 1e6,
                      run.virtual_time ? "ms (virtual)" : "ms");
  if (row.actor >= 0) text += "<b>" + html(run.actors[static_cast<std::size_t>(row.actor)]) + "</b>";
  text += html(row.text);
  if (!row.status.empty()) {
    text += fmt::format("<span class=\"{}\"> — {}</span>", row.mark == Mark::wait ? "wait" : "dim", html(row.status));
  }
  return text;
}

}  // namespace

std::string_view name_of(Mark mark) noexcept { return kMarks[static_cast<std::size_t>(mark)]; }

std::string player(const record::Run& run, const std::vector<LaneRow>& rows, const std::string& id) {
  if (rows.empty() || run.actors.empty()) return {};
  const std::size_t telling = telling_row(rows);
  const Standing standing = standing_after(rows, run.actors.size(), telling);
  std::string text = fmt::format(
      "<div data-player=\"{}\">\n<div class=\"controls\" role=\"group\" aria-label=\"step through the run\">", id);
  text += button("first", "Start") + button("back", "← Back", "b go") + button("next", "Next →", "b go") +
          button("last", "End");
  const bool cycle = rows[telling].mark == Mark::cycle;
  text += button("telling", cycle ? "◆ The cycle" : "The moment that matters");
  text += fmt::format(
      "<input type=\"range\" min=\"0\" max=\"{}\" value=\"{}\" data-p=\"slider\" aria-label=\"row of the "
      "story\"></div>\n",
      rows.size(), telling + 1);
  text += "<p class=\"now\" data-p=\"now\" aria-live=\"polite\">" + now_text(run, rows, telling) +
          "</p>\n<div class=\"two\"><div>";
  text +=
      "<table><caption>Lock table after this row</caption><thead><tr><th scope=\"col\">what</th><th scope=\"col\">held "
      "by</th><th "
      "scope=\"col\">wanted by</th></tr></thead><tbody data-p=\"locks\">" +
      lock_rows(run, standing) + "</tbody></table></div>\n<div>";
  const std::string graph = graph_of(run, standing, id + "-now");
  text += graph.empty()
              ? fmt::format("<p class=\"dim\">{} actors are too many for a picture; the table has them all.</p>",
                            run.actors.size())
              : graph;
  text +=
      "</div></div>\n<p class=\"dim controls\">Keys: ← back, → next, Home, End. A row of the steps or a sign in the "
      "lanes goes "
      "there. The address keeps the place.</p>";
  text += fmt::format(
      "<noscript><p class=\"dim\">Scripts are off: this is the moment that tells most. The table of steps has the "
      "whole story.</p></noscript>\n<script type=\"application/json\" id=\"{}-data\">{}</script></div>\n",
      id, RowData(run).data(rows, telling + 1));
  return text;
}

std::string cycle_picture(const record::Run& run, const std::string& id) {
  const Waits waits = waits_of(run);
  std::vector<Want> wants = waits.cycle;
  wants.insert(wants.end(), waits.others.begin(), waits.others.end());
  if (wants.empty()) return {};
  std::vector<GraphNode> nodes;
  std::vector<GraphEdge> edges;
  const auto node = [&nodes](const std::string& name) {
    const auto known = std::find_if(nodes.begin(), nodes.end(), [&name](const GraphNode& n) { return n.name == name; });
    if (known != nodes.end()) return static_cast<std::size_t>(known - nodes.begin());
    nodes.push_back({.name = name});
    return nodes.size() - 1;
  };
  Table told{.caption = waits.cycle.empty() ? "Who waited when the run got stuck"
                                            : "Who waited for whom when the cycle closed",
             .columns = {{"who"}, {"wants"}, {"held by"}, {"on the cycle"}},
             .rows = {},
             .sortable = false};
  std::string words;
  for (std::size_t i = 0; i < wants.size(); ++i) {
    const Want& want = wants[i];
    const bool on_cycle = i < waits.cycle.size();
    const std::size_t from = node(want.from);
    nodes[from].waits = true;
    if (!want.to.empty()) {
      const std::size_t to = node(want.to);
      nodes[to].holds = true;
      const std::string label = want.object.empty() ? "waits" : (want.event ? "waits for " : "wants ") + want.object;
      edges.push_back({from, to, label, on_cycle});
      words += (words.empty() ? "" : ", ") + want.from + " waits for " + want.to;
    } else {
      words += (words.empty() ? "" : ", ") + want.from + " waits";
    }
    told.rows.push_back(
        {want.from, want.object.empty() ? "–" : want.object, want.to.empty() ? "–" : want.to, on_cycle ? "yes" : "no"});
  }
  std::string text = wait_svg(nodes, edges, told.caption, words + ".", id + "-cyc");
  if (!text.empty()) {
    text = figure(text, waits.cycle.empty() ? "" : "<span>thick: the cycle</span><span>dashed: other waits</span>");
  }
  text += table(told);
  if (waits.more_cycles > 0)
    text += "<p>" + counted(waits.more_cycles, "more cycle", "more cycles") + " closed later.</p>";
  return text;
}

}  // namespace lockstep::reports
