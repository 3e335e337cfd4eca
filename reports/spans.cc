// spans.cc: plays the changes of the rows.
#include "reports/spans.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace lockstep::reports {

std::vector<Span> spans_of(const std::vector<LaneRow>& rows) {
  std::vector<Span> spans;
  std::map<std::pair<int, std::string>, std::size_t> holds;  // index into spans
  std::map<int, std::size_t> waits;
  const auto end = [&](std::size_t span, std::size_t row) {
    spans[span].to = row;
    spans[span].to_ns = rows[row].at_ns;
  };
  const auto begin = [&](Span::Kind kind, const Change& change, std::size_t row) {
    spans.push_back({.kind = kind,
                     .shared = change.shared,
                     .how = change.how,
                     .actor = change.actor,
                     .object = change.object,
                     .others = change.others,
                     .from = row,
                     .to = rows.size(),
                     .from_ns = rows[row].at_ns,
                     .to_ns = rows.back().at_ns});
    return spans.size() - 1;
  };
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (const Change& change : rows[row].changes) {
      const auto held = holds.find({change.actor, change.object});
      const auto waiting = waits.find(change.actor);
      switch (change.kind) {
        case Change::Kind::take:
          if (held != holds.end()) {
            spans[held->second].shared = spans[held->second].shared && change.shared;
          } else {
            holds[{change.actor, change.object}] = begin(Span::Kind::hold, change, row);
          }
          break;
        case Change::Kind::give:
          if (held == holds.end()) break;
          end(held->second, row);
          holds.erase(held);
          break;
        case Change::Kind::wait:
          if (waiting == waits.end()) waits[change.actor] = begin(Span::Kind::wait, change, row);
          break;
        case Change::Kind::go_on:
          if (waiting == waits.end()) break;
          end(waiting->second, row);
          waits.erase(waiting);
          break;
        default:  // of the data
          break;
      }
    }
  }
  return spans;
}

Standing standing_after(const std::vector<LaneRow>& rows, std::size_t actors, std::size_t last) {
  Standing standing;
  standing.actors.resize(actors);
  for (std::size_t row = 0; row <= last && row < rows.size(); ++row) {
    for (const Change& change : rows[row].changes) {
      Standing::Actor& actor = standing.actors[static_cast<std::size_t>(change.actor)];
      const auto held = std::find_if(actor.held.begin(), actor.held.end(),
                                     [&change](const Standing::Held& h) { return h.object == change.object; });
      switch (change.kind) {
        case Change::Kind::take:
          if (held == actor.held.end()) {
            actor.held.push_back({change.object, change.shared, change.how});
          } else {
            held->shared = held->shared && change.shared;
            held->how = change.how;
          }
          break;
        case Change::Kind::give:
          if (held != actor.held.end()) actor.held.erase(held);
          break;
        case Change::Kind::wait:
          actor.waits = true;
          actor.wanted = change.object;
          actor.others = change.others;
          break;
        case Change::Kind::go_on:
          actor.waits = false;
          actor.wanted.clear();
          actor.others.clear();
          break;
        default:  // of the data
          break;
      }
    }
    for (std::size_t i = 0; i < actors && i < rows[row].lanes.size(); ++i) {
      standing.actors[i].state = rows[row].lanes[i];
    }
  }
  return standing;
}

std::size_t telling_row(const std::vector<LaneRow>& rows) {
  const auto first = [&rows](Mark mark) {
    return static_cast<std::size_t>(
        std::find_if(rows.begin(), rows.end(), [mark](const LaneRow& row) { return row.mark == mark; }) - rows.begin());
  };
  if (const std::size_t cycle = first(Mark::cycle); cycle < rows.size()) return cycle;
  if (const std::size_t fault = first(Mark::fault); fault < rows.size()) {
    // What stood before it says more than the empty table after it.
    return fault > 0 ? fault - 1 : 0;
  }
  for (std::size_t row = rows.size(); row-- > 0;) {
    if (rows[row].mark == Mark::wait) return row;
  }
  // Nobody waited: the moment from which on somebody sees what is no longer so.
  std::set<int> looking;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    bool installs = false;
    for (const Change& change : rows[row].changes) {
      if (change.kind == Change::Kind::look) looking.insert(change.actor);
      if (change.kind == Change::Kind::blind) looking.erase(change.actor);
      installs = installs || change.kind == Change::Kind::install;
    }
    if (installs && !looking.empty()) return row;
  }
  return rows.empty() ? 0 : rows.size() - 1;
}

}  // namespace lockstep::reports
