// actor_steps.cc: see actor_steps.h.
#include "cli/commands/actor_steps.h"

#include <fmt/format.h>

#include <vector>

#include "reports/lane_rows.h"

namespace lockstep::cli {
namespace {

constexpr Nanos kTryLimit = std::chrono::seconds(1);

}  // namespace

ActorSteps steps_of(const Scenario& scenario, const Pattern& pattern) {
  RunRequest request;
  request.pattern = pattern.name;
  request.executor = "coroutines";
  request.limit = kTryLimit;
  for (const std::string& store : pattern.stores()) {
    const BackendKind* const kind = backend_named(store);
    const bool here = kind == nullptr || kind->traits.waits == Waits::in_process;
    if (here && request.store.empty()) request.store = store;
  }
  if (request.store.empty()) return {};
  const Result<record::Run> tried = run(scenario, request);
  if (!tried) return {};
  std::vector<std::vector<std::string>> done(tried->actors.size());
  for (const record::Event& event : tried->events) {
    if (event.actor == record::kNobody) continue;
    auto& steps = done[static_cast<std::size_t>(event.actor)];
    if (event.kind == record::EventKind::retry) steps.clear();
    if (event.kind == record::EventKind::request) steps.push_back(reports::operation_text(event));
  }
  ActorSteps all;
  for (std::size_t i = 0; i < done.size(); ++i) all[tried->actors[i]] = fmt::format("{}", fmt::join(done[i], ", "));
  return all;
}

}  // namespace lockstep::cli
