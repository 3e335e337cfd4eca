// sync_runs.h: runs small scenarios of in-process locks alone, for tests.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/run/run.h"
#include "engine/scenario/scenario.h"

namespace lockstep::sync::testing {

/// Where a scenario runs: "threads" or "coroutines", under a script or free.
struct Place {
  std::string executor;
  bool free = false;
};

inline std::string name_of(const ::testing::TestParamInfo<Place>& info) {
  return info.param.executor + (info.param.free ? "_free" : "_scripted");
}

inline std::vector<Place> all_places() {
  return {{"threads", false}, {"coroutines", false}, {"threads", true}, {"coroutines", true}};
}

/// Runs the scenario's last pattern. `schedule`: entries that cannot go are passed over. `limit` is for those that are
/// meant to hang under the free schedule.
inline record::Run run_at(const Scenario& scenario, const Place& place, const std::string& schedule = {},
                          Nanos limit = std::chrono::seconds(20)) {
  RunRequest request;
  request.store = "none";
  request.executor = place.executor;
  if (place.free) request.schedule = "free";
  request.limit = limit;
  Result<record::Run> run = lockstep::run(Scenario(scenario).schedule(schedule), request);
  if (!run) {
    ADD_FAILURE() << run.error().message;
    return {};
  }
  return std::move(*run);
}

/// One line an event, without its time: "T1 grant lock A".
inline std::vector<std::string> told(const record::Run& run) {
  std::vector<std::string> lines;
  for (const record::Event& event : run.events) {
    const std::string actor =
        event.actor == record::kNobody ? std::string("-") : run.actors[static_cast<std::size_t>(event.actor)];
    std::string line = fmt::format("{} {} {} {}", actor, record::name_of(event.kind), event.verb, event.object);
    if (event.fault) line += fmt::format(" {}", lockstep::name_of(*event.fault));
    if (!event.detail.empty()) line += fmt::format(" [{}]", event.detail);
    for (const int other : event.others)
      line += fmt::format(" >{}", other < 0 ? "?" : run.actors[static_cast<std::size_t>(other)]);
    lines.push_back(std::move(line));
  }
  return lines;
}

/// The actors whose events are of this kind and verb, in order.
inline std::vector<std::string> actors_of(const record::Run& run, record::EventKind kind, const std::string& verb) {
  std::vector<std::string> names;
  for (const record::Event& event : run.events) {
    if (event.kind == kind && event.verb == verb && event.actor >= 0)
      names.push_back(run.actors[static_cast<std::size_t>(event.actor)]);
  }
  return names;
}

/// The fault that ended the actor's body, by name; empty when it ended well.
inline std::string ending_of(const record::Run& run, const std::string& actor) {
  for (const record::Event& event : run.events) {
    if (event.kind != record::EventKind::finish || run.actors[static_cast<std::size_t>(event.actor)] != actor) continue;
    return event.fault ? std::string(lockstep::name_of(*event.fault)) : std::string();
  }
  return "did not finish";
}

/// For failures: the whole story.
inline std::string story(const record::Run& run) { return fmt::format("{}", fmt::join(told(run), "\n")); }

using Cycles = std::vector<std::vector<std::string>>;

}  // namespace lockstep::sync::testing
