// run.cc: one run from its coordinates to its verdict.
#include "engine/run/run.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/suggest.h"
#include "engine/executors/offloaded_session.h"
#include "engine/run/coordinates.h"
#include "engine/run/replay.h"
#include "engine/run/run_environment.h"
#include "engine/run/verdict.h"
#include "engine/schedule/schedule.h"

namespace lockstep {
namespace {

Error refusal(std::string message) { return {Fault::invalid, {}, std::move(message)}; }

std::vector<std::string> pattern_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const Pattern& pattern : scenario.patterns()) names.push_back(pattern.name);
  return names;
}

std::vector<std::string> store_names() {
  std::vector<std::string> names;
  for (const BackendKind& kind : backends()) names.emplace_back(kind.name);
  return names;
}

/// Checks the protocol, or chooses the first of the store that the pattern runs with.
Result<void> resolve_protocol(const Scenario& scenario, const Pattern& pattern, RunRequest& request) {
  if (request.store == record::kNoStore) {
    if (!request.protocol.empty() && request.protocol != record::kNoProtocol)
      return refusal(fmt::format("{} uses in-process locks alone: it has no protocol", scenario.name));
    request.protocol = record::kNoProtocol;
    return {};
  }
  const BackendKind& kind = *backend_named(request.store);
  std::vector<std::string> supported;
  for (const ProtocolTraits& protocol : kind.protocols) {
    if (pattern.runs_on(kind, protocol)) supported.push_back(protocol.name);
  }
  if (request.protocol.empty()) request.protocol = supported.front();
  if (std::find(supported.begin(), supported.end(), request.protocol) != supported.end()) return {};
  const std::vector<std::string> all = kind.protocol_names();
  if (kind.protocol_named(request.protocol) != nullptr) {
    return refusal(fmt::format("{} with the pattern {} does not run with {}/{}; it runs with: {}", scenario.name,
                               pattern.name, kind.name, request.protocol, fmt::join(supported, ", ")));
  }
  const std::string near = nearest(request.protocol, all);
  return refusal(fmt::format("no protocol \"{}\" for {}{}; {} has: {}", request.protocol, kind.name,
                             near.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", near), kind.name,
                             fmt::join(all, ", ")));
}

}  // namespace

bool knows_footprints(const RunRequest& resolved) {
  const BackendKind* const kind = backend_named(resolved.store);
  return kind == nullptr || kind->traits.footprints == Footprints::known;
}

Result<RunRequest> resolve(const Scenario& scenario, RunRequest request) {
  if (request.pattern.empty()) {
    // The first pattern with an expectation for the store asked for, else the first that can run there.
    for (const bool named : {true, false}) {
      for (const Pattern& pattern : scenario.patterns()) {
        const bool runs =
            request.store.empty() || (named ? pattern.names_store(request.store) : pattern.runs_on(request.store));
        if (runs && request.pattern.empty()) request.pattern = pattern.name;
      }
    }
    if (request.pattern.empty()) request.pattern = scenario.patterns().front().name;
  }
  const Pattern* const pattern = scenario.pattern_named(request.pattern);
  if (pattern == nullptr) {
    return refusal(
        fmt::format("{}: {}", scenario.name, unknown_name("pattern", request.pattern, pattern_names(scenario))));
  }
  const std::vector<std::string> stores = pattern->stores();
  if (request.store.empty()) {
    const auto preferred = std::find(stores.begin(), stores.end(), default_backend().name);
    request.store = preferred != stores.end() ? *preferred : stores.front();
  }
  if (!pattern->runs_on(request.store)) {
    if (request.store != record::kNoStore && backend_named(request.store) == nullptr) {
      return refusal(unknown_name("store", request.store, store_names()));
    }
    return refusal(fmt::format("{} with the pattern {} does not run on the store {}; it runs on: {}", scenario.name,
                               pattern->name, request.store, fmt::join(stores, ", ")));
  }
  if (Result<void> resolved = resolve_protocol(scenario, *pattern, request); !resolved) return resolved.error();
  if (request.executor != "threads" && request.executor != "coroutines") {
    return refusal(unknown_name("executor", request.executor, {"threads", "coroutines"}));
  }
  return request;
}

record::Run run_at(const Scenario& scenario, const RunRequest& request, const RunEnvironment& environment) {
  const Pattern& pattern = environment.pattern();
  record::Run result;
  result.scenario = scenario.name;
  result.title = scenario.title();
  result.store = request.store;
  result.protocol = request.protocol;
  result.pattern = request.pattern;
  result.executor = request.executor;
  result.seed = request.seed;
  if (request.schedule.empty()) result.expected = pattern.expected(request.store, request.protocol);
  result.started_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::now()));
  describe_environment(result);
  for (const ActorSpec& spec : pattern.actors) result.actors.push_back(spec.name);
  if (const Backend* const backend = environment.backend()) {
    result.store_version = backend->capabilities().version;
    for (auto& [name, value] : backend->environment()) result.environment[name] = value;
    if (environment.offloads_calls()) {
      result.environment[request.store + ".calls"] = fmt::format("block: on at most {} helper threads", kCallersMost);
    }
  }
  note_options(request, result);
  result.virtual_time = environment.is_in_virtual_time();
  return result;
}

Result<record::Run> run(const Scenario& scenario, const RunRequest& asked, const StopSource* stop) {
  Result<RunRequest> resolved = resolve(scenario, asked);
  if (!resolved) return resolved.error();
  const RunRequest& request = *resolved;
  const Pattern& pattern = *scenario.pattern_named(request.pattern);
  const bool free = request.schedule == "free";
  std::vector<std::string> actors;
  for (const ActorSpec& spec : pattern.actors) actors.push_back(spec.name);

  // A schedule is checked before anything is started.
  std::unique_ptr<Schedule> schedule;
  if (!free) {
    const bool own = request.schedule.empty();
    Result<std::unique_ptr<Schedule>> parsed = scripted(own ? pattern.schedule : request.schedule, actors, !own);
    if (!parsed) return parsed.error();
    schedule = std::move(*parsed);
  }

  Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, request, stop);
  if (!opened) return opened.error();
  RunEnvironment& environment = **opened;
  record::Run result = run_at(scenario, request, environment);
  if (Result<void> followed = environment.perform(schedule.get()); !followed) return followed.error();
  result.schedule = free ? "free" : schedule_text(environment.taken(), actors);
  environment.judge(result);
  return result;
}

}  // namespace lockstep
