// run_monitor.cc: see monitor.h.
#include "engine/executors/run_monitor.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep {
namespace {

constexpr Nanos kIntervalMax = std::chrono::milliseconds(50);
/// A wait that nobody will end must have stood for so long: a thread that was let go may not have run yet.
constexpr Nanos kStandsFor = std::chrono::milliseconds(500);

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
  if ((hopeless && all_wait) || (all_wait && stands_for_ever(graph))) {
    run_.note_waits_for_signals();
    run_.end_as(record::Ending::stuck);
    run_.stop_all(Fault::hung);
  }
  if (!all_wait) waits_.clear();
}

/// Everybody waits, and nobody is left who could end one of these waits: they are for actors that have ended, that wait
/// so themselves, or for a signal.
bool RunMonitor::stands_for_ever(const WaitGraph& graph) {
  std::vector<std::uint32_t> waits;
  bool may_end = false;
  for (const auto& actor : run_.actors) {
    waits.push_back(actor->waiting_step());
    actor->while_waiting([&](Operation& operation) {
      bool is_held_up = false;
      for (const WaitForEdge& edge : graph.edges()) {
        if (edge.from != actor->index) continue;
        is_held_up = true;
        may_end = may_end || edge.to < 0;
      }
      // While it is with a server or a helper thread, only blockers tell a wait from work.
      const bool works = operation.may_block() && !is_held_up;
      may_end = may_end || works || operation.is_woken() || operation.has_limit_elsewhere();
      if (operation.may_block()) return;
      const Waiting& what = operation.waiting();
      may_end = may_end || what.deadline != kNever || what.retry_at != kNever || (what.external && !is_held_up);
    });
  }
  const auto cycles = graph.cycles();
  may_end = may_end || std::any_of(cycles.begin(), cycles.end(), [&graph](const std::vector<int>& cycle) {
              return graph.breaker_of(cycle) != WaitGraph::Breaker::nobody;
            });
  const Nanos now = run_.clock().now();
  if (may_end || waits != waits_) {
    waits_ = std::move(waits);
    waits_since_ = now;
    return false;
  }
  return now - waits_since_ >= kStandsFor;
}

}  // namespace lockstep
