// run_monitor.cc: see monitor.h.
#include "engine/executors/run_monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep {
namespace {

constexpr Nanos kIntervalMax = std::chrono::milliseconds(50);

}  // namespace

void RunMonitor::look() {
  interval_ = std::min(interval_ * 2, kIntervalMax);
  if (run_.stop_requested()) {
    run_.end_as(record::Ending::interrupted);
    run_.stop_all(Fault::cancelled);
    return;
  }
  if (run_.elapsed() > run_.limit) {
    run_.end_as(record::Ending::stuck);
    run_.stop_all(Fault::hung);
    return;
  }

  const WaitGraph graph = run_.wait_graph();
  std::map<std::vector<int>, std::vector<std::uint32_t>> standing;
  bool hopeless = false;
  for (const std::vector<int>& cycle : graph.cycles()) {
    std::vector<std::uint32_t> steps;
    for (const int actor : cycle) steps.push_back(run_.actors[static_cast<std::size_t>(actor)]->waiting_step());
    const auto before = seen_.find(cycle);
    if (before != seen_.end() && before->second == steps) {
      const WaitGraph::Breaker breaker = graph.breaker_of(cycle);
      run_.note_cycle(cycle, std::string(name_of(breaker)));
      hopeless = hopeless || breaker == WaitGraph::Breaker::nobody;
    }
    standing.emplace(cycle, std::move(steps));
  }
  seen_ = std::move(standing);

  const bool all_wait = std::all_of(run_.actors.begin(), run_.actors.end(), [](const auto& actor) {
    return actor->has_finished() || actor->waiting_step() != 0;
  });
  if (hopeless && all_wait) {
    run_.end_as(record::Ending::stuck);
    run_.stop_all(Fault::hung);
  }
}

}  // namespace lockstep
