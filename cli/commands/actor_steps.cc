// actor_steps.cc: see actor_steps.h.
#include "cli/commands/actor_steps.h"

#include <fmt/format.h>

#include <vector>

#include "cli/args/script_files.h"
#include "reports/lane_rows.h"

namespace lockstep::cli {
namespace {

constexpr Nanos kTryLimit = std::chrono::seconds(1);

/// As the file has them, each on one line.
ActorSteps written_steps(const spec::SpecPattern& written, const Pattern& pattern) {
  ActorSteps all;
  for (std::size_t s = 0; s < written.sessions.size(); ++s) {
    std::string& steps = all[pattern.actors[s].name];
    for (const spec::Step& step : written.sessions[s].steps) {
      if (!steps.empty()) steps += "; ";
      if (!step.name.empty()) steps += step.name + " ";
      for (std::size_t i = 0; i < step.text.size(); ++i) {
        const char c = step.text[i] == '\n' || step.text[i] == '\t' ? ' ' : step.text[i];
        if (c != ' ' || steps.empty() || steps.back() != ' ') steps += c;
      }
    }
  }
  return all;
}

}  // namespace

ActorSteps steps_of(const Scenario& scenario, const Pattern& pattern) {
  if (const script::Script* const file = script_of(scenario))
    return written_steps(file->pattern_named(pattern.name), pattern);
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
