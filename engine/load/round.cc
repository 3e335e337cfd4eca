// round.cc: opens the store, makes the sessions, watches the time, adds up.
#include "engine/load/round.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>

#include "engine/executors/offloaded_session.h"
#include "engine/load/session.h"
#include "engine/load/usage.h"

namespace lockstep::load {
namespace {

/// How long the last transactions may take when a round's time is over: as long as the longest wait. Then they are told
/// to end.
constexpr Nanos kGrace = std::chrono::seconds(5);
constexpr Nanos kSlice = std::chrono::milliseconds(20);

// The size of a history: enough for thousands of meetings of probes, little enough to be judged in some milliseconds.
constexpr std::size_t kProbeRecordsMost = 10'000;
constexpr std::uint32_t kProbeRowsLeast = 64, kProbeRowsMost = 4096;

/// Checked before the load begins: whether the server and this process can have so many connections.
Result<void> check_room(const BackendKind& kind, Backend& backend, int sessions) {
  if (kind.traits.sql) {
    if (auto enough = runtime::need_descriptors(static_cast<std::uint64_t>(sessions) * 2 + 16,
                                                fmt::format("a load of {} sessions", sessions));
        !enough) {
      return enough;
    }
  }
  return backend.room_for(sessions);
}

/// A store, and the sessions on it. Members are destroyed in reverse order.
class Round {
 public:
  Round(const Scenario& scenario, const RoundRequest& request, const StopSource* stop)
      : scenario_(scenario),
        request_(request),
        stop_(stop),
        choices_(request.shape),
        plan_{.request = request,
              .scenario = scenario,
              .pattern = *scenario.pattern_named(request.pattern),
              .choices = choices_,
              .world = scenario.make_world()},
        latch_(static_cast<std::size_t>(request.sessions)) {}

  ~Round() {
    for (const auto& session : sessions_) session->actor.session.reset();
  }

  Result<void> open();
  RoundResult run();

 private:
  bool on_threads() const { return request_.executor == "threads"; }
  bool offloads_calls() const { return !on_threads() && !backend_->capabilities().nonblocking; }
  Result<void> make_sessions();
  void start();
  void watch(RoundResult& result);
  void prepare_history(State& given);
  void measure(RoundResult& result);
  void judge(RoundResult& result, const std::vector<std::int64_t>& versions) const;
  bool wait_until(Nanos moment);
  void add_up(RoundResult& result);
  void settle(RoundResult& result);

  const Scenario& scenario_;
  const RoundRequest& request_;
  const StopSource* const stop_;
  const RealClock clock_;
  std::unique_ptr<Backend> backend_;
  Choices choices_;
  State given_;  // without the rows of a history
  Plan plan_;
  CompletionLatch latch_;
  std::vector<std::unique_ptr<runtime::Loop>> loops_;
  std::vector<std::unique_ptr<LoadSession>> sessions_;
  std::vector<std::thread> threads_;
  std::optional<debugging::RootGroup> shown_;  // the sessions on loops
};

Result<void> Round::open() {
  const BackendKind& kind = *backend_named(request_.store);
  BackendOptions options{.protocol = request_.protocol,
                         .dsn = request_.dsn.of(kind),
                         .durable = request_.durable,
                         .blocking = on_threads(),
                         .clock = &clock_};
  plan_.pattern.tune(kind, options);
  Result<std::unique_ptr<Backend>> opened = kind.open(options);
  if (!opened) return opened.error();
  backend_ = std::move(*opened);
  if (Result<void> room = check_room(kind, *backend_, request_.sessions); !room) return room;
  given_ = scenario_.rows_of_load(request_.shape);
  State given = given_;
  if (request_.history > Nanos(0)) prepare_history(given);
  if (Result<void> filled = backend_->set_up(given, plan_.pattern.ddl_on(request_.store, request_.shape)); !filled)
    return filled;
  return make_sessions();
}

/// Few rows, so that probes meet; more for more sessions, so that these can go on.
void Round::prepare_history(State& given) {
  const auto sessions = static_cast<std::uint32_t>(request_.sessions);
  ProbeConfig& probe_config = plan_.probe_config;
  probe_config.rows = std::clamp(8 * sessions, kProbeRowsLeast, kProbeRowsMost);
  probe_config.most = std::max<std::size_t>(kProbeRecordsMost / sessions, 16);
  probe_config.seed = request_.shape.seed;
  probe_config.clock = &clock_;
  for (auto& row : probe_rows(probe_config.rows)) given.push_back(std::move(row));
}

Result<void> Round::make_sessions() {
  if (!on_threads()) {
    for (int i = 0; i < request_.workers; ++i) loops_.push_back(std::make_unique<runtime::Loop>(i));
  }
  for (int i = 0; i < request_.sessions; ++i) {
    const auto index = static_cast<std::size_t>(i);
    std::unique_ptr<SessionExecutor> executor =
        on_threads() ? make_thread_session_executor(latch_)
                     : make_loop_session_executor(latch_, *loops_[index % loops_.size()]);
    auto session = std::make_unique<LoadSession>(plan_, index, std::move(executor));
    Result<std::unique_ptr<Session>> opened = backend_->open_session(i, session->actor.name);
    if (!opened) return opened.error();
    if (offloads_calls()) *opened = make_offloaded_session(std::move(*opened));
    if (plan_.probe_config.rows > 0)
      *opened = make_history_probe(std::move(*opened), plan_.probe_config, index, session->probe_records);
    session->actor.session = std::move(*opened);
    sessions_.push_back(std::move(session));
  }
  return {};
}

void Round::start() {
  plan_.started_at = clock_.now();
  plan_.measure_from = plan_.started_at + request_.ramp + request_.warmup;
  plan_.measure_until = plan_.measure_from + request_.measured;
  if (plan_.measure_until == plan_.started_at) plan_.probe_config.recording.store(true, std::memory_order_relaxed);
  for (const auto& session : sessions_) session->actor.set_body(drive(*session, plan_));
  if (on_threads()) {
    for (const auto& session : sessions_) {
      threads_.emplace_back([actor = &session->actor] {
        pthread_setname_np(pthread_self(), actor->name.substr(0, 15).c_str());
        actor->start();
      });
    }
    return;
  }
  shown_.emplace();
  for (const auto& session : sessions_) begin(*session->executor, session->actor, *shown_);
  for (const auto& loop : loops_) {
    threads_.emplace_back([one = loop.get()] { one->run(); });
  }
}

/// False when the round ends early: every session has ended, or ^C.
bool Round::wait_until(Nanos moment) {
  for (Nanos now = clock_.now(); now < moment; now = clock_.now()) {
    if (latch_.wait(std::min(kSlice, moment - now))) return false;
    if (stop_ != nullptr && stop_->requested()) return false;
  }
  return true;
}

void Round::measure(RoundResult& result) {
  if (!wait_until(plan_.measure_from)) return;
  const double cpu_before = own_cpu_s();
  const auto server_before = server_usage(*backend_);
  const bool whole = wait_until(plan_.measure_until);
  result.cpu_s = own_cpu_s() - cpu_before;
  result.seconds =
      static_cast<double>((std::min(clock_.now(), plan_.measure_until) - plan_.measure_from).count()) / 1e9;
  const auto server_after = whole ? server_usage(*backend_) : std::nullopt;
  if (server_before && server_after) {
    result.server_cpu_s = server_after->cpu_s - server_before->cpu_s;
    result.server_rss_bytes = server_after->rss_bytes;
  }
}

void Round::watch(RoundResult& result) {
  measure(result);
  if (request_.history > Nanos(0)) {
    plan_.probe_config.recording.store(true, std::memory_order_relaxed);
    wait_until(clock_.now() + request_.history);  // looking at the server took some time
  }
  if (stop_ != nullptr && stop_->requested()) result.note = "interrupted";
  plan_.stopping.store(true, std::memory_order_relaxed);
  if (!latch_.wait(kGrace)) {
    for (const auto& session : sessions_) session->actor.stop(Fault::cancelled);
    while (!latch_.wait(kSlice)) {
    }
    if (result.note.empty()) result.note = "sessions still waited 5 s after the end and were told to give up";
  }
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Round::add_up(RoundResult& result) {
  for (const auto& session : sessions_) {
    result.latency.merge(session->latency);
    result.committed += session->committed;
    result.retries += session->retries;
    result.refused += session->refused;
    const LoadSession::Waits waits = session->waits_then.value_or(session->waits_until_now());
    result.waits += waits.count - session->waits_before.count;
    result.waited += waits.span - session->waits_before.span;
    for (std::size_t fault = 0; fault < session->aborts.size(); ++fault) {
      if (session->aborts[fault] == 0) continue;
      result.aborts[std::string(lockstep::name_of(static_cast<Fault>(fault)))] += session->aborts[fault];
    }
    result.given_up += session->given_up;
    if (result.gave_up.empty()) result.gave_up = session->gave_up;
    if (session->failure && !result.store_failed) {
      result.store_failed = true;
      result.note = "the store failed: " + session->failure->message;
    }
  }
}

/// Holds the history against what was promised.
void Round::judge(RoundResult& result, const std::vector<std::int64_t>& versions) const {
  result.claim = request_.claim.value_or(backend_->protocol().isolation);
  std::vector<const ProbeRecords*> sessions;
  for (const auto& session : sessions_) {
    sessions.push_back(&session->probe_records);
    for (const ProbeRecord& one : session->probe_records)
      result.on_record += one.end == check::Transaction::End::committed ? 1 : 0;
  }
  const check::History history = history_of(sessions, versions);
  if (request_.on_history) request_.on_history(history);
  const auto anomalies = check::anomalies_of(history, result.claim);
  if (anomalies.empty()) return;
  result.anomaly = fmt::format("{} in the history, which {} forbids", anomalies.front().name, name_of(result.claim));
  result.proof = anomalies.front().why;
}

/// Reads the final state and checks the invariants.
void Round::settle(RoundResult& result) {
  Counts counts;
  for (const auto& session : sessions_) {
    session->actor.session.reset();
    counts += session->context.acknowledged;
  }
  if (result.store_failed) return;  // a commit may be in doubt: nothing can be said
  Result<State> state = backend_->final_state();
  if (!state) {
    result.note = "the final state cannot be read: " + state.error().message;
    return;
  }
  const std::vector<std::int64_t> versions = take_probe_rows(*state);
  if (!versions.empty() && result.note.empty()) judge(result, versions);
  const Final end = Final(std::move(*state), backend_.get(), scenario_.world_type(), plan_.world.get(), request_.store)
                        .with(given_, request_.shape, counts);
  for (const InvariantSpec& invariant : scenario_.invariants()) {
    const Held found = invariant.holds(end);
    if (found.held) continue;
    result.broken =
        fmt::format("{}: {}", invariant.text, found.wrong.empty() ? "it does not hold" : found.wrong.c_str());
    return;
  }
}

RoundResult Round::run() {
  RoundResult result;
  start();
  watch(result);
  add_up(result);
  settle(result);
  result.peak_rss_bytes = own_peak_rss_bytes();
  result.store_version = backend_->capabilities().version;
  result.environment = backend_->environment();
  result.caveat = backend_->capabilities().caveat;
  result.helpers = offloads_calls() ? kCallersMost : 0;
  return result;
}

Task<> nothing(Context&) { co_return; }

}  // namespace

std::string_view name_of(Retry retry) noexcept { return retry == Retry::immediate ? "immediate" : "jitter"; }

std::optional<Retry> retry_named(std::string_view name) noexcept {
  for (const Retry each : {Retry::immediate, Retry::jitter}) {
    if (name_of(each) == name) return each;
  }
  return std::nullopt;
}

Result<RoundResult> run_round(const Scenario& scenario, const RoundRequest& request, const StopSource* stop) {
  Round round(scenario, request, stop);
  if (Result<void> opened = round.open(); !opened) return opened.error();
  return round.run();
}

double driver_cost_ns() {
  const RoundRequest request;
  const Scenario scenario = lockstep::scenario("driver").pattern("nothing", "").session(nothing);
  const RealClock clock;
  Choices choices(request.shape);
  Plan plan{.request = request, .scenario = scenario, .pattern = scenario.patterns().front(), .choices = choices};
  plan.measure_until = kNever;
  CompletionLatch latch(1);
  LoadSession session(plan, 0, make_thread_session_executor(latch));
  session.actor.set_body(drive(session, plan));
  const double before = own_cpu_s();
  std::thread thread([&session] { session.actor.start(); });
  (void)latch.wait(std::chrono::milliseconds(30));
  plan.stopping.store(true, std::memory_order_relaxed);
  thread.join();
  const double spent = own_cpu_s() - before;
  return session.committed > 0 ? spent * 1e9 / static_cast<double>(session.committed) : 0;
}

}  // namespace lockstep::load
