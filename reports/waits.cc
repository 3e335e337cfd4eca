// waits.cc: finds the waits that stood together.
#include "reports/waits.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

namespace lockstep::reports {
namespace {

using record::Event;
using record::EventKind;
using record::Run;

struct Standing {
  std::string object;
  std::vector<int> others;
  bool event = false;
};
using StandingWaits = std::map<int, Standing>;

void follow(StandingWaits& standing, const Event& event) {
  switch (event.kind) {
    case EventKind::wait:
      standing[event.actor] = {event.verb == "execute" ? "" : event.object, event.others,
                               event.verb == "wait" || event.verb == "pause"};
      break;
    case EventKind::grant:
    case EventKind::fault:
    case EventKind::finish:
      standing.erase(event.actor);
      break;
    default:
      break;
  }
}

std::string name_of(int actor, const Run& run) {
  return actor == record::kNobody ? "somebody else" : run.actors[static_cast<std::size_t>(actor)];
}

std::vector<int> turned(std::vector<int> cycle) {
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

/// Adds the waits of those who are not on the cycle.
void add_others(Waits& waits, const StandingWaits& standing, const std::vector<int>& cycle, const Run& run) {
  for (const auto& [actor, wait] : standing) {
    if (actor == record::kNobody || std::find(cycle.begin(), cycle.end(), actor) != cycle.end()) continue;
    for (const int other : wait.others)
      waits.others.push_back({name_of(actor, run), wait.object, name_of(other, run), wait.event});
    if (wait.others.empty()) waits.others.push_back({name_of(actor, run), wait.object, "", wait.event});
  }
}

/// The waits on `cycle`, and beside it.
void keep(Waits& waits, const StandingWaits& standing, const std::vector<int>& cycle, const Run& run) {
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const auto wait = standing.find(cycle[i]);
    waits.cycle.push_back({name_of(cycle[i], run), wait == standing.end() ? "" : wait->second.object,
                           name_of(cycle[(i + 1) % cycle.size()], run)});
  }
  add_others(waits, standing, cycle, run);
}

/// The shortest cycle of standing waits through `actor`; empty when there is none.
std::vector<int> cycle_through(int actor, const StandingWaits& standing) {
  std::deque<std::vector<int>> paths = {{actor}};
  std::set<int> seen;
  while (!paths.empty()) {
    const std::vector<int> path = std::move(paths.front());
    paths.pop_front();
    const auto wait = standing.find(path.back());
    if (wait == standing.end()) continue;
    for (const int other : wait->second.others) {
      if (other == actor) return path;
      if (other == record::kNobody || !seen.insert(other).second) continue;
      paths.push_back(path);
      paths.back().push_back(other);
    }
  }
  return {};
}

}  // namespace

Waits waits_of(const Run& run) {
  Waits waits;
  StandingWaits standing, before_end;
  std::vector<std::vector<int>> cycles;
  for (const Event& event : run.events) {
    // A run that got stuck is ended by faults; what stood before the first of them is the answer.
    const bool ends = event.fault && (*event.fault == Fault::hung || *event.fault == Fault::cancelled);
    if (ends && before_end.empty()) before_end = standing;
    std::vector<int> cycle;
    if (event.kind == EventKind::cycle) cycle = turned(event.others);
    // A server may say "deadlock" before anybody else has looked.
    if (event.fault == Fault::deadlock && cycles.empty()) cycle = turned(cycle_through(event.actor, standing));
    const bool known = std::find(cycles.begin(), cycles.end(), cycle) != cycles.end();
    if (!cycle.empty() && !known) {
      cycles.push_back(cycle);
      if (cycles.size() == 1) keep(waits, standing, cycle, run);
    }
    follow(standing, event);
  }
  if (cycles.empty()) {
    const bool stuck = run.verdict == record::Verdict::hung || run.ending != record::Ending::complete;
    if (stuck) add_others(waits, before_end.empty() ? standing : before_end, {}, run);
  } else {
    waits.more_cycles = cycles.size() - 1;
  }
  return waits;
}

}  // namespace lockstep::reports
