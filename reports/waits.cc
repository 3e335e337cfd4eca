// waits.cc: finds the waits that stood together.
#include "reports/waits.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "engine/record/sites.h"

namespace lockstep::reports {
namespace {

using record::Event;
using record::EventKind;
using record::Run;

struct Standing {
  std::uint32_t step = 0;
  std::string object;
  std::vector<int> others;
  bool event = false;
};
using StandingWaits = std::map<int, Standing>;

void follow(StandingWaits& standing, const Event& event) {
  switch (event.kind) {
    case EventKind::wait:
      standing[event.actor] = {event.step,
                               event.verb == "execute" ? std::string(record::fact_of(event, "lock")) : event.object,
                               event.others, event.verb == "wait" || event.verb == "pause"};
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

/// The operations that took what the actors hold.
class Holds {
 public:
  void follow(const Event& event) {
    if (event.kind == EventKind::release) taken_.erase({event.actor, event.object});
    if (event.kind != EventKind::grant) return;
    if (event.verb == "begin" || event.verb == "commit" || event.verb == "abort") {
      std::erase_if(taken_, [&](const auto& each) { return each.first.first == event.actor && each.second.of_store; });
    } else if (event.verb == "release" || event.verb == "unlock") {
      taken_.erase({event.actor, event.object});
    } else if (!event.object.empty()) {
      taken_.try_emplace({event.actor, event.object}, Taken{event.step, is_of_store(event.verb)});
    }
  }
  /// 0: not known.
  std::uint32_t step_that_took(int actor, const std::string& object) const {
    const auto found = taken_.find({actor, object});
    return found == taken_.end() ? 0 : found->second.step;
  }

 private:
  struct Taken {
    std::uint32_t step;
    bool of_store;  ///< given back at the end of the transaction
  };
  static bool is_of_store(std::string_view verb) {
    constexpr std::array<std::string_view, 5> kOfStore = {"read", "write", "insert", "add", "erase"};
    return std::any_of(kOfStore.begin(), kOfStore.end(),
                       [verb](std::string_view each) { return verb.starts_with(each); });
  }
  std::map<std::pair<int, std::string>, Taken> taken_;
};

/// Lines of the source by the numbers of operations.
class Sites {
 public:
  explicit Sites(const Run& run) {
    const auto document = run.documents.find(record::kSitesDocument);
    if (document == run.documents.end()) return;
    if (auto read = record::sites_of(document->second)) by_step_ = std::move(*read);
  }
  std::string of(std::uint32_t step) const {
    return step == 0 || step > by_step_.size() ? std::string() : by_step_[step - 1];
  }

 private:
  std::vector<std::string> by_step_;
};

std::string name_of(int actor, const Run& run) {
  return actor == record::kNobody ? "somebody else" : run.actors[static_cast<std::size_t>(actor)];
}

std::vector<int> turned(std::vector<int> cycle) {
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

/// Takes down what stands at one moment.
class Snapshot {
 public:
  Snapshot(const Run& run, const Sites& sites, const StandingWaits& standing, const Holds& holds)
      : run_(run), sites_(sites), standing_(standing), holds_(holds) {}

  /// The waits on `cycle`, and beside it.
  void take(const std::vector<int>& cycle, Waits& waits) const {
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      const auto wait = standing_.find(cycle[i]);
      const Standing of_cycle = wait == standing_.end() ? Standing() : wait->second;
      Want want = want_of(cycle[i], of_cycle, cycle[(i + 1) % cycle.size()]);
      want.event = false;
      waits.cycle.push_back(std::move(want));
    }
    for (const auto& [actor, wait] : standing_) {
      if (actor == record::kNobody || std::find(cycle.begin(), cycle.end(), actor) != cycle.end()) continue;
      for (const int other : wait.others) waits.others.push_back(want_of(actor, wait, other));
      if (wait.others.empty()) {
        waits.others.push_back({name_of(actor, run_), wait.object, "", wait.event, sites_.of(wait.step)});
      }
    }
  }

 private:
  Want want_of(int actor, const Standing& wait, int other) const {
    return {name_of(actor, run_), wait.object,          name_of(other, run_),
            wait.event,           sites_.of(wait.step), sites_.of(holds_.step_that_took(other, wait.object))};
  }
  const Run& run_;
  const Sites& sites_;
  const StandingWaits& standing_;
  const Holds& holds_;
};

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
  Holds holds;
  const Sites sites(run);
  std::vector<std::vector<int>> cycles;
  for (const Event& event : run.events) {
    // A run that got stuck is ended by faults; what stood before the first of them is the answer.
    const bool ends = event.fault && (*event.fault == Fault::hung || *event.fault == Fault::cancelled);
    if (ends && before_end.empty()) before_end = standing;
    std::vector<int> cycle;
    if (event.kind == EventKind::cycle) cycle = turned(event.others);
    // A server may report a deadlock before the run has seen the cycle.
    if (event.fault == Fault::deadlock && cycles.empty()) cycle = turned(cycle_through(event.actor, standing));
    const bool known = std::find(cycles.begin(), cycles.end(), cycle) != cycles.end();
    if (!cycle.empty() && !known) {
      cycles.push_back(cycle);
      if (cycles.size() == 1) Snapshot(run, sites, standing, holds).take(cycle, waits);
    }
    follow(standing, event);
    if (before_end.empty()) holds.follow(event);
  }
  if (cycles.empty()) {
    const bool stuck = run.verdict == record::Verdict::hung || run.ending != record::Ending::complete;
    if (stuck) Snapshot(run, sites, before_end.empty() ? standing : before_end, holds).take({}, waits);
  } else {
    waits.more_cycles = cycles.size() - 1;
  }
  return waits;
}

}  // namespace lockstep::reports
