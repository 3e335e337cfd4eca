// compare.cc: from names to strategies, round after round.
#include "engine/load/compare.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/suggest.h"
#include "engine/load/history_probe.h"
#include "engine/load/thread_limit.h"
#include "engine/store/joins.h"

namespace lockstep::load {
namespace {

using record::ComparedGroup;
using record::ComparedRow;

struct Strategy {
  std::string name, protocol, pattern;
};

Error refusal(std::string message) { return {Fault::invalid, {}, std::move(message)}; }

std::vector<std::string> patterns_of(const Scenario& scenario, std::string_view store) {
  std::vector<std::string> names;
  for (const Pattern& pattern : scenario.patterns()) {
    if (scenario.runs_under_load(pattern) && pattern.runs_on(store)) names.push_back(pattern.name);
  }
  return names;
}

bool is_in(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<Strategy> strategy_named(const std::string& name, const std::vector<std::string>& protocols,
                                const std::vector<std::string>& patterns) {
  if (is_in(patterns, name)) return Strategy{name, protocols.front(), name};
  if (is_in(protocols, name)) return Strategy{name, name, patterns.front()};
  const std::size_t slash = name.find('/');
  if (slash != std::string::npos) {
    const std::string protocol = name.substr(0, slash), pattern = name.substr(slash + 1);
    if (!is_in(protocols, protocol)) return refusal(unknown_name("protocol", protocol, protocols));
    if (!is_in(patterns, pattern)) return refusal(unknown_name("pattern", pattern, patterns));
    return Strategy{name, protocol, pattern};
  }
  std::vector<std::string> all = patterns;
  all.insert(all.end(), protocols.begin(), protocols.end());
  return refusal(unknown_name("strategy", name, all));
}

bool runs_with(const Scenario& scenario, const CompareRequest& request, const std::string& pattern,
               const std::string& protocol) {
  const BackendKind& kind = *backend_named(request.round.store);
  return scenario.pattern_named(pattern)->runs_on(kind, *kind.protocol_named(protocol));
}

/// Every pattern at the store's first protocol, and the first pattern at each other one, as far as they run there.
std::vector<std::string> usual_strategies(const Scenario& scenario, const CompareRequest& request) {
  const std::vector<std::string> protocols = backend_named(request.round.store)->protocol_names();
  const std::vector<std::string> patterns = patterns_of(scenario, request.round.store);
  std::vector<std::string> usual;
  for (const std::string& pattern : patterns) {
    if (runs_with(scenario, request, pattern, protocols.front())) usual.push_back(pattern);
  }
  for (std::size_t i = 1; i < protocols.size(); ++i) {
    if (runs_with(scenario, request, patterns.front(), protocols[i])) usual.push_back(protocols[i]);
  }
  return usual;
}

Result<std::vector<Strategy>> strategies_of(const Scenario& scenario, const CompareRequest& request) {
  const std::vector<std::string> protocols = backend_named(request.round.store)->protocol_names();
  const std::vector<std::string> patterns = patterns_of(scenario, request.round.store);
  std::vector<Strategy> all;
  for (const std::string& name : request.strategies) {
    Result<Strategy> one = strategy_named(name, protocols, patterns);
    if (!one) return one.error();
    if (!runs_with(scenario, request, one->pattern, one->protocol)) {
      return refusal(fmt::format("{} with the pattern {} does not run with {}/{}", scenario.name, one->pattern,
                                 request.round.store, one->protocol));
    }
    all.push_back(std::move(*one));
  }
  return all;
}

/// What the ranks of a job cannot do together; empty: they can.
std::string not_for_ranks(const Scenario& scenario, const CompareRequest& request) {
  const Ranks* const ranks = request.round.ranks;
  if (ranks == nullptr || !ranks->are_several()) return {};
  const BackendKind& kind = *backend_named(request.round.store);
  const auto& own = kind.traits.own_options;
  if (std::find(own.begin(), own.end(), kJoinsOption) == own.end()) {
    return fmt::format("a load of {} ranks needs a store that all of them reach, with --dsn; {} is in one process",
                       ranks->size(), request.round.store);
  }
  if (!kind.is_server_named(request.round.dsn.of(kind))) {
    return fmt::format("a load of {} ranks needs one server for all of them: --dsn names it", ranks->size());
  }
  if (scenario.make_world() != nullptr)
    return fmt::format("the sessions of {} share objects of one process, which ranks cannot", scenario.name);
  const auto fewest = std::min_element(request.sessions.begin(), request.sessions.end());
  if (*fewest < ranks->size())
    return fmt::format("{} ranks need at least as many sessions; --sessions {} is fewer", ranks->size(), *fewest);
  return {};
}

/// One group for each combination, with a row for each strategy.
std::vector<ComparedGroup> groups_of(const Scenario& scenario, const CompareRequest& request,
                                     const std::vector<Strategy>& strategies) {
  std::vector<ComparedGroup> groups;
  for (const std::string& executor : request.executors) {
    for (const double theta : request.thetas) {
      for (const int read_percent : request.read_percents) {
        for (const int sessions : request.sessions) {
          ComparedGroup group{.store = request.round.store,
                              .executor = executor,
                              .sessions = sessions,
                              .theta = theta,
                              .read_percent = read_percent,
                              .rows = request.rows,
                              .rate = request.round.rate,
                              .helpers = 0,
                              .strategies = {}};
          for (const Strategy& strategy : strategies) {
            ComparedRow row;
            row.strategy = strategy.name;
            row.store = group.store;
            row.protocol = strategy.protocol;
            row.pattern = strategy.pattern;
            row.executor = executor;
            row.sessions = sessions;
            row.theta = theta;
            row.read_percent = read_percent;
            row.rate = group.rate;
            row.expected_correct = !scenario.pattern_named(strategy.pattern)->is_unsafe(row.store, row.protocol);
            group.strategies.push_back(std::move(row));
          }
          groups.push_back(std::move(group));
        }
      }
    }
  }
  return groups;
}

Nanos history_of(const CompareRequest& request) {
  const auto measured = static_cast<double>(request.round.measured.count());
  return Nanos(static_cast<std::int64_t>(measured * request.history_percent / 100));
}

RoundRequest round_of(const CompareRequest& request, const ComparedRow& row, int round) {
  RoundRequest one = request.round;
  one.protocol = row.protocol;
  one.pattern = row.pattern;
  one.executor = row.executor;
  one.sessions = row.sessions;
  one.history = history_of(request);
  if (request.on_history)
    one.on_history = [&request, &row](const check::History& history) { request.on_history(row, history); };
  // Every strategy has the same keys in the n-th round.
  one.shape = {.rows = request.rows,
               .theta = row.theta,
               .read_percent = row.read_percent,
               .seed = request.round.shape.seed + static_cast<std::uint64_t>(round)};
  return one;
}

double ms(Nanos span) { return static_cast<double>(span.count()) / 1e6; }

/// Adds a round to its strategy; `latency` holds what its rounds had so far.
void take(ComparedRow& row, Histogram& latency, const RoundResult& result) {
  row.rounds.push_back({.seconds = result.seconds,
                        .committed = result.committed,
                        .correct = result.broken.empty() && result.anomaly.empty(),
                        .note = result.note});
  if (!result.broken.empty()) {
    if (row.invariant_broken++ == 0) row.broken = result.broken;
  }
  if (!result.anomaly.empty()) {
    if (row.history_broken++ == 0) row.anomaly = result.anomaly, row.proof = result.proof;
  }
  if (row.gave_up.empty()) row.gave_up = result.gave_up;
  row.given_up += result.given_up;
  if (!result.note.empty()) return;
  row.claim = name_of(result.claim);
  row.on_record += result.on_record;
  latency.merge(result.latency);
  row.committed += result.committed;
  row.retries += result.retries;
  row.refused += result.refused;
  if (backend_named(row.store)->traits.waits == Waits::in_process) {
    row.waits = row.waits.value_or(0) + result.waits;
    row.wait_s = row.wait_s.value_or(0) + static_cast<double>(result.waited.count()) / 1e9;
  }
  for (const auto& [fault, count] : result.aborts) row.aborts[fault] += count;
  row.cpu_s += result.cpu_s;
  if (result.server_cpu_s) row.server_cpu_s = row.server_cpu_s.value_or(0) + *result.server_cpu_s;
  row.peak_rss_bytes = std::max(row.peak_rss_bytes, result.peak_rss_bytes);
  if (result.server_rss_bytes) row.server_rss_bytes = result.server_rss_bytes;
}

void describe(ComparedRow& row, const Histogram& latency) {
  row.p50_ms = ms(latency.quantile(0.5));
  row.p90_ms = ms(latency.quantile(0.9));
  row.p99_ms = ms(latency.quantile(0.99));
  row.p999_ms = ms(latency.quantile(0.999));
  row.max_ms = ms(latency.max());
  row.histogram = latency.buckets();
}

void note_rates(record::Comparison& comparison) {
  for (const ComparedGroup& group : comparison.groups) {
    for (const ComparedRow& row : group.strategies) {
      const double reached = row.committed_per_s.median;
      if (row.rate > 0 && reached > 0 && reached < 0.95 * row.rate) {
        comparison.notes.push_back(
            fmt::format("{}: the rate {:.0f} a second is above what it can do with {} sessions; reached: {:.0f}",
                        row.strategy, row.rate, row.sessions, reached));
      }
    }
  }
}

/// "SQLite 3.40.1" is said to block by its name alone.
void note_helpers(Compared& compared) {
  const auto& groups = compared.comparison.groups;
  const auto offloaded =
      std::find_if(groups.begin(), groups.end(), [](const auto& group) { return group.helpers > 0; });
  if (offloaded == groups.end()) return;
  compared.comparison.notes.push_back(fmt::format("{}'s calls block: under {} they run on at most {} helper threads",
                                                  compared.store_version.substr(0, compared.store_version.find(' ')),
                                                  offloaded->executor, offloaded->helpers));
}

record::Comparison begun(const Scenario& scenario, const CompareRequest& request) {
  const auto seconds = [](Nanos span) { return static_cast<double>(span.count()) / 1e9; };
  record::Comparison comparison;
  comparison.workload = scenario.name;
  comparison.title = scenario.title();
  comparison.round_s = seconds(request.round.measured);
  comparison.warmup_s = seconds(request.round.warmup);
  comparison.ramp_s = seconds(request.round.ramp);
  comparison.think_ms = ms(request.round.think);
  comparison.rounds = request.rounds;
  comparison.workers = request.round.workers;
  comparison.retry = name_of(request.round.retry);
  comparison.driver_ns = driver_cost_ns();
  return comparison;
}

/// Runs the rounds; the sweep of one comparison.
class Sweep {
 public:
  Sweep(const Scenario& scenario, const CompareRequest& request, const StopSource* stop,
        const std::function<void(const CompareProgress&)>& progress)
      : scenario_(scenario), request_(request), stop_(stop), progress_(progress) {}

  Result<void> run(Compared& compared) {
    auto& groups = compared.comparison.groups;
    for (ComparedGroup& group : groups) all_ += request_.rounds * static_cast<int>(group.strategies.size());
    for (ComparedGroup& group : groups) {
      std::vector<Histogram> latencies(group.strategies.size());
      const Result<void> done = rounds_of(group, latencies, compared);
      for (std::size_t i = 0; i < latencies.size(); ++i) describe(group.strategies[i], latencies[i]);
      if (!done) return done;
      if (compared.comparison.ending != record::Ending::complete) break;
    }
    return {};
  }

 private:
  Result<void> rounds_of(ComparedGroup& group, std::vector<Histogram>& latencies, Compared& compared) {
    for (int round = 0; round < request_.rounds; ++round) {
      for (std::size_t i = 0; i < group.strategies.size(); ++i) {
        // Every other round goes backwards, so that no strategy always runs after the same neighbour.
        const std::size_t turn = round % 2 == 0 ? i : group.strategies.size() - 1 - i;
        ComparedRow& row = group.strategies[turn];
        tell(row);
        Result<RoundResult> result = run_round(scenario_, round_of(request_, row, round), stop_);
        if (!result) {
          // Finished rounds are kept. Without any, the result is the reason.
          const bool was_told = result.fault() == Fault::cancelled;
          if (done_ == 0 || !(is_environment(result.fault()) || was_told)) return result.error();
          const bool is_alone = request_.round.ranks == nullptr || request_.round.ranks->lost().empty();
          row.rounds.push_back({.note = (is_alone && !was_told ? "the store failed: " : "") + result.error().message});
          if (was_told) {
            compared.comparison.ending = record::Ending::interrupted;
            return {};
          }
          compared.comparison.ending = record::Ending::unavailable;
          return {};
        }
        take(row, latencies[turn], *result);
        group.helpers = result->helpers;
        ++done_;
        compared.store_version = result->store_version;
        for (const auto& [name, value] : result->environment) compared.environment[name] = value;
        std::vector<std::string>& notes = compared.comparison.notes;
        if (!result->caveat.empty() && std::find(notes.begin(), notes.end(), result->caveat) == notes.end())
          notes.push_back(result->caveat);
        if (result->store_failed) compared.comparison.ending = record::Ending::unavailable;
        const bool is_gone = request_.round.ranks != nullptr && !request_.round.ranks->lost().empty();
        const bool is_told = result->stopped || (stop_ != nullptr && stop_->requested());
        // A rank that dies takes the others with it, by the same signal as ^C.
        if (is_told && !is_gone) compared.comparison.ending = record::Ending::interrupted;
        if (compared.comparison.ending != record::Ending::complete) return {};
      }
    }
    return {};
  }

  void tell(const ComparedRow& row) const {
    if (!progress_) return;
    const Nanos each = request_.round.measured + request_.round.warmup + request_.round.ramp + history_of(request_);
    progress_({.done = done_,
               .all = all_,
               .doing = fmt::format("{}, {} sessions", row.strategy, row.sessions),
               .left_s = static_cast<double>((all_ - done_) * each.count()) / 1e9});
  }

  const Scenario& scenario_;
  const CompareRequest& request_;
  const StopSource* const stop_;
  const std::function<void(const CompareProgress&)>& progress_;
  int done_ = 0, all_ = 0;
};

}  // namespace

Result<CompareRequest> resolve(const Scenario& scenario, CompareRequest request) {
  if (!scenario.runs_under_load()) {
    return refusal(fmt::format(
        "{} does not run under load: no body of it can be performed over and over (lockstep help compare names those "
        "that can)",
        scenario.name));
  }
  std::vector<std::string> stores;
  for (const BackendKind& kind : backends()) stores.emplace_back(kind.name);
  const BackendKind* const kind = backend_named(request.round.store);
  if (kind == nullptr) return refusal(unknown_name("store", request.round.store, stores));
  const std::vector<std::string> patterns = patterns_of(scenario, kind->name);
  if (patterns.empty()) return refusal(fmt::format("{} does not run on {} under load", scenario.name, kind->name));
  if (request.strategies.empty()) request.strategies = usual_strategies(scenario, request);
  if (Result<std::vector<Strategy>> known = strategies_of(scenario, request); !known) return known.error();
  if (std::string wrong = not_for_ranks(scenario, request); !wrong.empty()) return refusal(std::move(wrong));
  for (const std::string& executor : request.executors) {
    if (executor != "threads" && executor != "coroutines")
      return refusal(unknown_name("executor", executor, {"threads", "coroutines"}));
    const auto most = std::max_element(request.sessions.begin(), request.sessions.end());
    if (executor != "threads" || most == request.sessions.end()) continue;
    // Found out in the middle of a comparison, it would cost all that was measured before.
    if (const int possible = most_threads(); *most > possible) {
      return refusal(fmt::format(
          "{} sessions are as many threads, and this machine lets this program make {} at most; --executor coroutines "
          "needs no thread for each",
          *most, possible));
    }
  }
  if (!request.read_percents.empty() && !scenario.has_reads()) {
    return refusal(
        fmt::format("{} has no share of reads to choose: its transactions are all of one kind", scenario.name));
  }
  const bool is_uneven =
      std::any_of(request.thetas.begin(), request.thetas.end(), [](double theta) { return theta != 0; });
  if (!scenario.has_rows_to_choose() && (is_uneven || request.rows > 0)) {
    return refusal(fmt::format("every session of {} works on the same rows: there are none to choose, by {}",
                               scenario.name, is_uneven ? "theta" : "number"));
  }
  if (is_uneven && !scenario.chooses_rows()) {
    return refusal(fmt::format("{} takes its rows in order: theta, how unevenly rows are chosen, means nothing to it",
                               scenario.name));
  }
  if (request.rows == 0) request.rows = scenario.rows_of_load_default();
  if (request.read_percents.empty()) request.read_percents = {scenario.read_percent_default()};
  return request;
}

Result<Compared> compare(const Scenario& scenario, const CompareRequest& asked, const StopSource* stop,
                         const std::function<void(const CompareProgress&)>& progress) {
  const Result<CompareRequest> request = resolve(scenario, asked);
  if (!request) return request.error();
  const Result<std::vector<Strategy>> strategies = strategies_of(scenario, *request);
  Compared compared;
  compared.comparison = begun(scenario, *request);
  compared.comparison.groups = groups_of(scenario, *request, *strategies);
  if (Result<void> run = Sweep(scenario, *request, stop, progress).run(compared); !run) return run.error();
  if (request->round.ranks != nullptr && !request->round.ranks->leads()) return compared;
  for (ComparedGroup& group : compared.comparison.groups) rank(group, request->round.shape.seed);
  compared.comparison.verdict = verdict_of(compared.comparison.groups);
  note_rates(compared.comparison);
  note_helpers(compared);
  if (const BackendKind& kind = *backend_named(request->round.store); kind.traits.waits == Waits::external) {
    compared.comparison.notes.push_back(
        fmt::format("waits for locks in {} are not counted: what they cost is in the latency", kind.traits.title));
  }
  if (request->round.claim) {
    compared.comparison.notes.push_back(fmt::format(
        "histories were held against {}, not against what each protocol promises", name_of(*request->round.claim)));
  }
  if (request->round.rate == 0) {
    compared.comparison.notes.emplace_back("closed loop: p99 hides queueing; --rate N runs an open loop");
  }
  return compared;
}

}  // namespace lockstep::load
