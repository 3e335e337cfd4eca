// player.cc: the rows as data, and the moment to begin with as HTML.
#include "reports/player.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>

#include "reports/data.h"
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

  std::string data(const std::vector<LaneRow>& rows, std::size_t start, const std::optional<Data>& begin) {
    Json all = Json::array(), given = Json::array();
    for (const LaneRow& row : rows) all.push_back(row_of(row));
    if (begin) {
      for (const auto& [key, row] : begin->committed) given.push_back({word(key), word(row.value.value_or(""))});
    }
    return harmless({{"actors", run_.actors},
                     {"unit", run_.virtual_time ? "ms (virtual)" : "ms"},
                     {"start", start},
                     {"verdict", name_of(run_.verdict)},
                     {"given", begin ? std::move(given) : Json(nullptr)},
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
    const bool ends = row.actor >= 0 && row.lanes[actor] == LaneState::gone && !gone_[actor];
    if (ends) gone_[actor] = true;
    if (ends || !row.asked.empty()) all.push_back(ends ? 1 : 0);
    if (!row.asked.empty()) all.push_back(word(row.asked));
    return all;
  }

  Json change_of(const Change& change) {
    Json all = Json::array({static_cast<int>(change.kind), change.actor, word(change.object)});
    if (change.kind == Change::Kind::wait) all.push_back(change.others);
    if (change.kind == Change::Kind::take)
      all.push_back(word(!change.how.empty() ? change.how : change.shared ? "shared" : ""));
    if (change.kind == Change::Kind::write) all.push_back(word(change.value));
    if (change.kind == Change::Kind::write && change.erased) all.push_back(1);
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
      append(objects[held.object].first, held.of(run.actors[i]));
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

std::string version_text(const Data::Row& row, const record::Run& run) {
  std::string text = row.value ? html(*row.value) : "<i>no such row</i>";
  text += fmt::format(" <span class=\"dim\">v{}{}</span>", row.version,
                      row.by < 0 ? "" : " by " + html(run.actors[static_cast<std::size_t>(row.by)]));
  return text;
}

/// A line for each actor that has something to say of the row.
std::string lines_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "<br>") + line;
  return text.empty() ? "–" : text;
}

/// The rows of the store: what is committed, what is written and not committed, what snapshots see.
std::string data_rows(const record::Run& run, const Data& data) {
  std::set<std::string> keys;
  for (const auto& [key, row] : data.committed) keys.insert(key);
  for (const Data::Actor& actor : data.actors) {
    for (const auto& [key, value] : actor.written) keys.insert(key);
  }
  std::string rows;
  for (const std::string& key : keys) {
    const auto committed = data.committed.find(key);
    std::vector<std::string> written, seen;
    for (std::size_t i = 0; i < data.actors.size(); ++i) {
      const Data::Actor& actor = data.actors[i];
      const std::string name = "<b>" + html(run.actors[i]) + "</b> ";
      if (const auto own = actor.written.find(key); own != actor.written.end())
        written.push_back(name + (own->second ? html(*own->second) : "erased"));
      if (!actor.view) continue;
      const auto old = actor.view->find(key);
      const Data::Row row = old == actor.view->end() ? Data::Row() : old->second;
      const bool is_old = committed != data.committed.end() && committed->second.version > row.version;
      seen.push_back(name + version_text(row, run) + (is_old ? " <span class=\"wait\">older</span>" : ""));
    }
    fmt::format_to(std::back_inserter(rows), "<tr><td class=\"mono\">{}<td>{}<td>{}<td>{}\n", html(key),
                   committed == data.committed.end() ? "–" : version_text(committed->second, run), lines_of(written),
                   lines_of(seen));
  }
  return rows.empty() ? "<tr><td colspan=\"4\" class=\"dim\">no rows" : rows;
}

std::string what_reads_see(record::ReadsSee reads) {
  switch (reads) {
    case record::ReadsSee::latest:
      return "A plain read sees what was committed last, or its own write.";
    case record::ReadsSee::statement:
      return "A plain read sees what was committed when its statement began, or its own write.";
    case record::ReadsSee::snapshot:
      return "All plain reads of a transaction see one moment, its snapshot, or its own writes.";
  }
  return {};
}

std::string data_table(const record::Run& run, const Data& data, const DataTold& told) {
  std::string caption = "Rows of the store after this row; v2: its second change since the begin. " +
                        (told.reads_are_dirty ? "A plain read sees what was written last, committed or not."
                                              : what_reads_see(told.reads));
  if (told.by_times) {
    caption += " Nobody steered this run: commits stand in the order in which their answers came";
    if (told.reads == record::ReadsSee::snapshot) caption += ", a snapshot where its first statement was asked for";
    caption += ". What reads gave agrees with that.";
  }
  return "<table class=\"data\"><caption>" + caption +
         "</caption><thead><tr><th scope=\"col\">row</th><th scope=\"col\">committed</th><th scope=\"col\">written, "
         "not "
         "committed</th><th scope=\"col\">a snapshot sees</th></tr></thead><tbody data-p=\"data\">" +
         data_rows(run, data) + "</tbody></table>\n";
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
  const DataTold told = data_told(run, rows);
  std::string text = fmt::format(
      "<div data-player=\"{}\">\n<div class=\"controls\" role=\"group\" aria-label=\"step through the run\">", id);
  text += button("first", "Start") + button("back", "← Back", "b go") + button("next", "Next →", "b go") +
          button("last", "End");
  const bool cycle = rows[telling].mark == Mark::cycle;
  text += button("telling", cycle ? "◆ The cycle" : "The moment that matters");
  text +=
      "<button type=\"button\" class=\"b\" data-go=\"predict\" aria-pressed=\"false\">Predict before you see</button>";
  text += fmt::format(
      "<input type=\"range\" min=\"0\" max=\"{}\" value=\"{}\" data-p=\"slider\" aria-label=\"row of the "
      "story\"></div>\n",
      rows.size(), telling + 1);
  text +=
      "<p class=\"now\" data-p=\"now\" aria-live=\"polite\">" + now_text(run, rows, telling) +
      "</p>\n<div class=\"ask controls\" data-p=\"ask\" role=\"group\" aria-label=\"your prediction\" hidden></div>\n"
      "<p class=\"said controls\" data-p=\"said\" aria-live=\"polite\" hidden></p>\n<div class=\"two\"><div>";
  text += "<table><caption>Lock table after this row" +
          std::string(told.locks_are_told
                          ? ""
                          : ": the store was not asked, so these are the locks that the operations must have got") +
          "</caption><thead><tr><th scope=\"col\">what</th><th scope=\"col\">held "
          "by</th><th "
          "scope=\"col\">wanted by</th></tr></thead><tbody data-p=\"locks\">" +
          lock_rows(run, standing) + "</tbody></table></div>\n<div>";
  const std::string graph = graph_of(run, standing, id + "-now");
  text += graph.empty()
              ? fmt::format("<p class=\"dim\">{} actors are too many for a picture; the table has them all.</p>",
                            run.actors.size())
              : graph;
  text += "</div></div>\n";
  if (told.begin) {
    Data data = *told.begin;
    for (std::size_t row = 0; row <= telling; ++row) {
      for (const Change& change : rows[row].changes) data.apply(change);
    }
    text += "<div class=\"scroll\">" + data_table(run, data, told) + "</div>\n";
  } else if (!told.untold.empty()) {
    text += "<p class=\"dim\">" + html(told.untold) + "</p>\n";
  }
  text +=
      "<p class=\"dim controls\">Keys: ← back, → next, Home, End. A row of the steps or a sign in the "
      "lanes goes "
      "there. The address keeps the place.</p>";
  text += fmt::format(
      "<noscript><p class=\"dim\">Scripts are off: this is the moment that tells most. The table of steps has the "
      "whole story.</p></noscript>\n<script type=\"application/json\" id=\"{}-data\">{}</script></div>\n",
      id, RowData(run).data(rows, telling + 1, told.begin));
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
