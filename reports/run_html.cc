// run_html.cc: one function a section.
#include "reports/run_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/record/comparison.h"
#include "reports/comparison_html.h"
#include "reports/escape.h"
#include "reports/explorer.h"
#include "reports/figures_html.h"
#include "reports/lanes_svg.h"
#include "reports/matrix_html.h"
#include "reports/page.h"
#include "reports/player.h"
#include "reports/run_summary_html.h"
#include "reports/search_html.h"
#include "reports/text.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::Run;

constexpr std::size_t kRowsAtOnce = 500;
constexpr std::size_t kLanesInTable = 6;  ///< actors that get a column each in the table of steps

const char* class_of(LaneState state) {
  switch (state) {
    case LaneState::gone:
      return "l";
    case LaneState::alive:
      return "l a";
    case LaneState::holds:
      return "l hh";
    case LaneState::waits:
      return "l ww";
  }
  return "l";
}

const char* sign_of(Mark mark) {
  static constexpr const char* kSigns[] = {"●", "■", "▒", "✗", "✓", "↻", "◆", "»", "·"};
  return kSigns[static_cast<std::size_t>(mark)];
}

std::string told(const LaneRow& row) {
  std::string text = fmt::format("<span class=\"sign1\">{}</span>", sign_of(row.mark));
  text += row.sql.empty() ? html(row.text) : fmt::format("<span title=\"{}\">{}</span>", html(row.sql), html(row.text));
  if (!row.status.empty()) text += "<i>" + html(row.status) + "</i>";
  for (const std::string& line : row.more) text += "<small>" + html(line) + "</small>";
  return text;
}

const char* tone_of(Mark mark) {
  return mark == Mark::fault ? " x" : mark == Mark::good ? " k" : mark == Mark::cycle ? " q" : "";
}

/// The story in words: a column for each actor, as far as there is room.
std::string steps_table(const Run& run, const std::vector<LaneRow>& rows, const std::string& id) {
  const bool wide = run.actors.size() <= kLanesInTable;
  Table all{
      .caption = fmt::format("Steps of {}; times in ms{}", run.scenario, run.virtual_time ? " of virtual time" : ""),
      .columns = {{"step", true}, {"ms", true}},
      .rows = {},
      .sortable = false,
      .tall = rows.size() > 24,
      .look = "steps tell",
      .id = id};
  if (wide) {
    all.look = "steps wide";
    all.least_width = 124 + 130 * static_cast<int>(run.actors.size());
    for (const std::string& actor : run.actors) all.columns.push_back({actor});
  } else {
    all.columns.push_back({"actor"});
    all.columns.push_back({"what"});
  }
  for (const LaneRow& row : rows) {
    std::vector<Cell>& cells = all.rows.emplace_back();
    cells.emplace_back(row.step == 0 ? "" : std::to_string(row.step));
    cells.push_back(Cell::number(static_cast<double>(row.at_ns) / 1e6, 2));
    if (!wide) {
      cells.emplace_back(row.actor == record::kNobody ? "" : run.actors[static_cast<std::size_t>(row.actor)]);
      cells.emplace_back(Html{told(row)});
      cells.back().look = "l" + std::string(tone_of(row.mark));
      continue;
    }
    if (row.actor == record::kNobody) {
      cells.emplace_back(Html{told(row)});
      cells.back().look = "l a" + std::string(tone_of(row.mark));
      cells.back().spans = run.actors.size();
      continue;
    }
    for (std::size_t lane = 0; lane < run.actors.size(); ++lane) {
      const bool mine = row.actor == static_cast<int>(lane);
      Cell cell = mine ? Cell(Html{told(row)}) : Cell("");
      cell.look = class_of(row.lanes[lane]) + std::string(mine ? tone_of(row.mark) : "");
      cells.push_back(std::move(cell));
    }
  }
  return table(all);
}

std::string key_of_lanes() {
  return "<span><svg class=\"key\" width=\"22\" height=\"12\" aria-hidden=\"true\"><rect class=\"h\" width=\"22\" "
         "height=\"12\"/></svg>holds</span><span><svg class=\"key\" width=\"22\" height=\"12\" "
         "aria-hidden=\"true\"><rect "
         "class=\"h s\" x=\"1\" y=\"1\" width=\"20\" height=\"10\"/></svg>shares</span><span><svg class=\"key\" "
         "width=\"22\" "
         "height=\"12\" aria-hidden=\"true\"><rect class=\"w\" width=\"22\" height=\"12\"/><rect class=\"wb\" x=\".5\" "
         "y=\".5\" width=\"21\" height=\"11\"/></svg>waits</span><span>■ granted</span><span>● done</span><span>✗ "
         "fault</span><span>✓ commit</span><span>↻ retry</span><span>◆ cycle of waits</span>";
}

std::string lanes_section(const OpenRecording& recording, const std::string& id, int level) {
  const Run& run = recording.run;
  // Thousands of rows are laid out when they come into view.
  std::string inner = recording.rows.size() > kRowsAtOnce ? "<div class=\"big\">" : "<div>";
  inner += fmt::format("<div id=\"{}-lanes\">", id);
  inner += figure(lanes_svg(run, recording.rows, recording.spans, id + "-ls"), key_of_lanes()) + "</div>";
  inner += steps_table(run, recording.rows, id + "-steps") + "</div>";
  return section(id + "-lane", "Lanes", inner, level);
}

std::string lesson(const Run& run, const std::string& id, int level) {
  const bool trouble = run.verdict != record::Verdict::clean || run.expected == record::Verdict::clean;
  std::string inner;
  if (trouble && !run.why.empty()) inner += "<p><b>Why.</b> " + html(run.why) + "</p>\n";
  if (!run.fix.empty() || !run.fix_command.empty()) inner += "<p><b>Fix.</b> " + html(run.fix) + "</p>\n";
  if (!run.fix_command.empty()) inner += command(run.fix_command);
  return inner.empty() ? inner : section(id + "-why", "The lesson", inner, level);
}

std::string invariants(const Run& run) {
  if (run.invariants.empty()) return {};
  std::string text = "<ul class=\"plain\">\n";
  for (const record::Invariant& invariant : run.invariants) {
    text += fmt::format("<li class=\"{}\">{} {}{}</li>\n", invariant.held ? "good" : "bad",
                        invariant.held ? "✓ holds:" : "✗ broken:", html(invariant.text),
                        invariant.held || invariant.detail.empty() ? "" : " — " + html(invariant.detail));
  }
  return text + "</ul>\n";
}

std::string environment(const OpenRecording& recording, const std::string& id, int level) {
  const Run& run = recording.run;
  std::string inner;
  if (!run.command.empty()) inner += "<p>This run again:</p>" + command(run.command);
  if (!run.id.empty() && !run.actors.empty())
    inner += "<p>The same, step for step, and under a debugger:</p>" + command("lockstep replay " + run.id) +
             command("lockstep debug " + run.id);
  Table all{.caption = "Environment", .columns = {{"name"}, {"value"}}, .rows = {}, .sortable = false};
  const auto row = [&all](const char* name, const std::string& value) {
    if (!value.empty()) all.rows.push_back({name, value});
  };
  row("schedule", run.schedule);
  row("seed", std::to_string(run.seed));
  row("started", run.started_at);
  row("took", fmt::format("{:.1f} ms", run.wall_ms));
  row("clock", run.virtual_time ? "virtual: 0.01 ms a step" : "the machine's");
  row("store", run.store == record::kNoStore ? "none: in-process locks" : run.store + " " + run.store_version);
  for (const auto& [name, value] : run.environment) all.rows.push_back({name, value});
  return section(id + "-env", "Environment and command", inner + table(all), level);
}

std::string raw_data(const OpenRecording& recording, const std::string& id, int level, const std::vector<Link>& links) {
  std::string inner = "<ul>";
  for (const Link& link : links)
    inner += fmt::format("<li><a href=\"{}\">{}</a></li>", html(link.target), html(link.words));
  inner += "</ul>\n<p>The recording is a SQLite file with documented tables:</p>";
  const bool has_events = recording.events > 0;
  inner += command("sqlite3 " + recording.path + " \"" +
                   (has_events ? "SELECT actor, object, waits_for, waited_ms FROM waits ORDER BY waited_ms DESC"
                               : "SELECT name, content FROM document") +
                   "\"");
  return section(id + "-raw", "Raw data", inner, level);
}

}  // namespace

std::string coordinates(const Run& run) {
  // A comparison is of many protocols and patterns, under no schedule.
  if (run.documents.contains(record::kComparisonDocument)) {
    return facts(
        {{"store", run.store}, {"executor", run.executor}, {"seed", std::to_string(run.seed)}, {"run", run.id}});
  }
  return facts({{"store", run.store == record::kNoStore ? "in-process" : run.store},
                {"protocol", run.protocol == record::kNoProtocol ? "" : run.protocol},
                {"pattern", run.pattern},
                {"executor", run.executor},
                {"schedule", shortened(neutral(run.schedule), 60)},
                {"seed", std::to_string(run.seed)},
                {"run", run.id}});
}

std::string verdict_box(const Run& run) {
  // Of what nobody expected anything the box takes no side.
  const char* const tone = !run.expected ? "none" : run.as_expected() ? "ok" : "bad";
  std::string word(name_of(run.verdict));
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return static_cast<char>(c >= 'a' ? c - 32 : c); });
  // Anomalies of cells are what a matrix is there to show: it has no verdict of its own.
  if (const std::string cells = matrix_outcome(run); !cells.empty()) {
    return fmt::format(
        "<div class=\"verdict {}\"><p class=\"word\">{}</p><p class=\"how\">{}</p><p class=\"exp\">{}</p></div>\n",
        tone, html(cells), html(run.summary), html(expectation(run)));
  }
  return fmt::format(
      "<div class=\"verdict {}\"><p class=\"word\">{} {}</p><p class=\"how\">{}</p><p class=\"exp\">{}</p></div>\n",
      tone, sign_of_verdict(run.verdict), word, html(run.summary), html(expectation(run)));
}

std::string run_html(const OpenRecording& recording, const std::string& id, int level, const std::vector<Link>& links,
                     const Pages& pages) {
  const Run& run = recording.run;
  std::string text = coordinates(run);
  if (!recording.wrong.empty()) {
    text += "<div class=\"warn\" role=\"note\"><p><b>✗ This recording is damaged.</b> " + html(recording.wrong) +
            fmt::format("</p><p>What could still be read is shown: {} of {}.</p></div>\n",
                        grouped(recording.whole() ? run.events.size() : recording.summary->events),
                        counted(recording.events, "event", "events"));
  }
  const std::string compared = comparison_box(run);
  text += (compared.empty() ? verdict_box(run) : compared) + invariants(run);
  for (const std::string& inner : {matrix_html(run, id, level, pages), comparison_html(run, id, level)}) {
    if (!inner.empty()) return text + inner + environment(recording, id, level) + raw_data(recording, id, level, links);
  }
  const record::Outcomes& outcomes = run.outcomes;
  text += tiles({{"committed", grouped(outcomes.committed)},
                 {"aborted", grouped(outcomes.aborted)},
                 {"retries", grouped(outcomes.retries)},
                 {"events", grouped(recording.events)}});
  text += search_html(run, id, level);
  text += lesson(run, id, level);
  text += figures_html(run, id, level);
  if (const std::string inner = explorer(run, id + "-x"); !inner.empty()) {
    text += section(id + "-sched", "You are the scheduler", inner, level);
  }
  if (recording.whole()) {
    if (const std::string inner = player(run, recording.rows, id); !inner.empty()) {
      text += section(id + "-play", "Step through it", inner, level);
    }
    if (!recording.rows.empty() && !run.actors.empty()) text += lanes_section(recording, id, level);
    if (const std::string inner = cycle_picture(run, id); !inner.empty()) {
      const bool cycle = !run.cycles.empty();
      text += section(id + "-cycle", cycle ? "The cycle" : "Who waits", inner, level);
    }
  } else {
    text += summary_html(recording, id, level);
  }
  text += faults_html(run.outcomes.faults, id, level);
  text += environment(recording, id, level);
  text += raw_data(recording, id, level, links);
  return text;
}

}  // namespace lockstep::reports
