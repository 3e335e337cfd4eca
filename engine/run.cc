// run.cc: one run from its coordinates to its verdict.
#include "engine/run.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "engine/conductor.h"
#include "engine/pause.h"
#include "engine/schedule/schedule.h"
#include "engine/suggest.h"
#include "engine/verdict.h"

namespace lockstep {
namespace {

constexpr int kRetriesDefault = 10;

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

std::vector<std::string> protocol_names(const BackendKind& kind) {
  std::vector<std::string> names;
  for (const auto& [name, summary] : kind.protocols) names.push_back(name);
  return names;
}

/// The protocols of `kind` that the pattern says something about.
std::vector<std::string> supported_protocols(const Pattern& pattern, const BackendKind& kind) {
  std::vector<std::string> names;
  for (const auto& [name, summary] : kind.protocols) {
    if (pattern.expected(kind.name, name)) names.push_back(name);
  }
  return names;
}

std::optional<std::string> tuned(const Pattern& pattern, std::string_view option) {
  for (const auto& [name, value] : pattern.tuning) {
    if (name == option) return value;
  }
  return std::nullopt;
}

/// Rolls back what a body left open.
Task<> give_back(Context& context) { co_await context.db.abort(); }

/// How long to wait before attempt + 1: anything up to a limit that doubles ("full jitter"; M. Brooker, "Exponential
/// backoff and jitter", 2015), so that two actors which give up for each other do not meet again for ever.
Nanos back_off(int attempt, std::mt19937_64& random) {
  constexpr std::int64_t kFirst = 100'000;
  constexpr std::int64_t kMost = 10'000'000;
  const std::int64_t limit = std::min(kMost, kFirst << std::min(attempt, 16));
  return Nanos(std::uniform_int_distribution<std::int64_t>(0, limit)(random));
}

/// How an actor runs its body again.
struct Retries {
  int most = 0;
  bool backs_off = false;  ///< waits in between; a schedule says itself who goes next
};

/// The root of every actor: runs the body, gives back what it left open, and runs it again where that is safe.
Task<> act(Context& context, const std::function<Task<>(Context&)>& body, Actor& actor, Retries retries) {
  for (int attempt = 1;; ++attempt) {
    const std::uint64_t commits_before = actor.commits();
    const Result<void> ended = co_await tried(body(context));
    if (actor.transaction_open()) {
      if (actor.session->in_transaction()) {
        (void)co_await tried(give_back(context));
      } else {
        actor.note_transaction(Verb::abort, std::nullopt);
      }
    }
    if (ended.ok()) co_return;
    actor.note_refusal(ended.error());
    const bool again = is_retry_safe(ended.fault()) && attempt <= retries.most && actor.commits() == commits_before &&
                       !actor.stopping();
    if (!again) co_await fail(ended.error());
    actor.run.retries.fetch_add(1, std::memory_order_relaxed);
    actor.emit({.kind = record::EventKind::retry, .detail = std::to_string(attempt)});
    if (retries.backs_off) co_await pause(back_off(attempt, context.random));
  }
}

}  // namespace

Result<RunRequest> resolve(const Scenario& scenario, RunRequest request) {
  if (request.pattern.empty()) {
    // The first pattern that runs on the store asked for.
    for (const Pattern& pattern : scenario.patterns()) {
      const auto stores = pattern.stores();
      if (request.store.empty() || std::find(stores.begin(), stores.end(), request.store) != stores.end()) {
        request.pattern = pattern.name;
        break;
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
  if (request.store.empty())
    request.store = std::find(stores.begin(), stores.end(), "kv") != stores.end() ? "kv" : stores.front();
  if (std::find(stores.begin(), stores.end(), request.store) == stores.end()) {
    if (request.store != "none" && backend_named(request.store) == nullptr) {
      return refusal(unknown_name("store", request.store, store_names()));
    }
    return refusal(fmt::format("{} with the pattern {} does not run on the store {}; it runs on: {}", scenario.name,
                               pattern->name, request.store, fmt::join(stores, ", ")));
  }
  if (request.store == "none") {
    if (!request.protocol.empty() && request.protocol != "none") {
      return refusal(fmt::format("{} uses in-process locks alone: it has no protocol", scenario.name));
    }
    request.protocol = "none";
  } else {
    const BackendKind& kind = *backend_named(request.store);
    const std::vector<std::string> supported = supported_protocols(*pattern, kind);
    if (request.protocol.empty()) request.protocol = supported.front();
    if (std::find(supported.begin(), supported.end(), request.protocol) == supported.end()) {
      const std::vector<std::string> all = protocol_names(kind);
      if (std::find(all.begin(), all.end(), request.protocol) == all.end()) {
        return refusal(fmt::format("{}; {} has: {}",
                                   fmt::format("no protocol \"{}\" for {}", request.protocol, kind.name) +
                                       (nearest(request.protocol, all).empty()
                                            ? std::string()
                                            : fmt::format("; did you mean \"{}\"?", nearest(request.protocol, all))),
                                   kind.name, fmt::join(all, ", ")));
      }
      return refusal(fmt::format("{} with the pattern {} does not run with {}/{}; it runs with: {}", scenario.name,
                                 pattern->name, kind.name, request.protocol, fmt::join(supported, ", ")));
    }
  }
  if (request.executor != "threads" && request.executor != "coroutines") {
    return refusal(unknown_name("executor", request.executor, {"threads", "coroutines"}));
  }
  return request;
}

Result<record::Run> run(const Scenario& scenario, const RunRequest& asked, const StopSource* stop) {
  Result<RunRequest> resolved = resolve(scenario, asked);
  if (!resolved) return resolved.error();
  const RunRequest& request = *resolved;
  const Pattern& pattern = *scenario.pattern_named(request.pattern);
  const bool threads = request.executor == "threads";
  const bool free = request.schedule == "free";
  const bool in_process = request.store == "none";

  record::Run result;
  result.scenario = scenario.name;
  result.title = scenario.title();
  result.store = request.store;
  result.protocol = request.protocol;
  result.pattern = request.pattern;
  result.executor = request.executor;
  result.seed = request.seed;
  // The scenario speaks of its own schedule. Under another one a broken invariant or a hang that it does not expect is
  // still not as expected (judge()).
  if (request.schedule.empty()) result.expected = pattern.expected(request.store, request.protocol);
  result.why = pattern.why;
  result.started_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::now()));
  describe_environment(result);
  for (const ActorSpec& spec : pattern.actors) result.actors.push_back(spec.name);

  // A schedule is checked before anything is started.
  std::unique_ptr<Schedule> schedule;
  if (!free) {
    const bool own = request.schedule.empty();
    Result<std::unique_ptr<Schedule>> parsed = scripted(own ? pattern.schedule : request.schedule, result.actors, !own);
    if (!parsed) return parsed.error();
    schedule = std::move(*parsed);
  }

  const bool virtual_time = !free && request.store != "postgres";
  RunState state(virtual_time, request.recording, request.limit, stop);
  result.virtual_time = virtual_time;

  std::unique_ptr<Backend> backend;
  if (!in_process) {
    BackendOptions options{.protocol = request.protocol, .dsn = request.dsn};
    const auto milliseconds_of = [&](std::string_view option) -> std::optional<Nanos> {
      const auto text = tuned(pattern, option);
      return text ? std::optional<Nanos>(std::chrono::milliseconds(std::stoll(*text))) : std::nullopt;
    };
    options.lock_timeout = request.lock_timeout.value_or(milliseconds_of("lock-timeout-ms").value_or(kNever));
    options.statement_timeout = milliseconds_of("statement-timeout-ms").value_or(kNever);
    options.deadlock_timeout =
        request.deadlock_timeout.value_or(milliseconds_of("deadlock-timeout-ms").value_or(options.deadlock_timeout));
    options.connect_timeout = request.connect_timeout.value_or(options.connect_timeout);
    options.blocking = free && threads;
    options.clock = &state.clock();
    options.observer = &state;
    Result<std::unique_ptr<Backend>> opened = backend_named(request.store)->open(options);
    if (!opened) return opened.error();
    backend = std::move(*opened);
    if (auto ready = backend->set_up(scenario.rows(), pattern.ddl); !ready) return ready.error();
    result.store_version = backend->capabilities().version;
    for (auto& [name, value] : backend->environment()) result.environment[name] = value;
  }

  // However this function is left: the executor goes first, then the sessions, then their backend.
  struct SessionsEnd {
    RunState& state;
    ~SessionsEnd() {
      for (const auto& actor : state.actors) actor->session.reset();
    }
  } const sessions_end{state};

  const std::shared_ptr<void> world = scenario.make_world();
  std::unique_ptr<Conductor> conductor;
  if (!free) conductor = std::make_unique<Conductor>(state, *schedule);
  std::vector<std::unique_ptr<Context>> contexts;
  const std::unique_ptr<Executor> executor = threads
                                                 ? make_threads_executor(state, conductor.get())
                                                 : make_coroutines_executor(state, conductor.get(), request.workers);
  const Retries retries{.most = std::stoi(tuned(pattern, "retries").value_or(std::to_string(kRetriesDefault))),
                        .backs_off = free};
  for (std::size_t i = 0; i < pattern.actors.size(); ++i) {
    auto actor = std::make_unique<Actor>(static_cast<int>(i), pattern.actors[i].name, state, *executor);
    if (backend) {
      Result<std::unique_ptr<Session>> session = backend->open_session(actor->index, actor->name);
      if (!session) return session.error();
      actor->session = std::move(*session);
    }
    state.actors.push_back(std::move(actor));
  }
  for (const auto& actor : state.actors) {
    const ActorSpec& spec = pattern.actors[static_cast<std::size_t>(actor->index)];
    std::seed_seq seed{request.seed, static_cast<std::uint64_t>(actor->index)};
    contexts.push_back(std::make_unique<Context>(Context{.db = Database(actor->session),
                                                         .name = actor->name,
                                                         .random = std::mt19937_64(seed),
                                                         .world_type = scenario.world_type(),
                                                         .world_object = world.get()}));
    actor->set_body(act(*contexts.back(), spec.body, *actor, retries));
  }

  const RealClock real;
  const Nanos started = real.now();
  state.start_clock();
  Result<void> followed;
  if (conductor) {
    followed = conductor->conduct(*executor);
  } else {
    executor->run_free(state.actors);
  }
  result.wall_ms = static_cast<double>((real.now() - started).count()) / 1e6;
  if (!followed) return followed.error();
  result.schedule = free ? "free" : schedule_text(conductor->taken(), result.actors);

  State rows;
  if (backend && state.ending() != record::Ending::interrupted) {
    for (const auto& actor : state.actors) actor->session.reset();
    if (Result<State> final_rows = backend->final_state(); final_rows) {
      rows = std::move(*final_rows);
    } else {
      state.note(fmt::format("the final state cannot be read: {}", final_rows.error().message));
      state.end_as(record::Ending::unavailable);
    }
  }
  const Final end(std::move(rows), backend.get(), scenario.world_type(), world.get());
  judge(scenario, pattern, end, state, result);
  return result;
}

}  // namespace lockstep
