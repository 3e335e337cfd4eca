// round.cc: opens the store, makes the sessions, watches the time, adds up.
#include "engine/load/round.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>

#include "engine/executors/offloaded_session.h"
#include "engine/load/round_pack.h"
#include "engine/load/session.h"
#include "engine/load/usage.h"
#include "engine/store/joins.h"

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

/// The sessions of one rank.
struct Part {
  int first = 0, count = 0;
};

Part part_of(const RoundRequest& request) {
  if (request.ranks == nullptr) return {0, request.sessions};
  const std::int64_t all = request.sessions, size = request.ranks->size(), rank = request.ranks->rank();
  const auto begin = static_cast<int>(all * rank / size), end = static_cast<int>(all * (rank + 1) / size);
  return {begin, end - begin};
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
        part_(part_of(request)),
        latch_(static_cast<std::size_t>(part_.count)) {}

  ~Round() {
    for (const auto& session : sessions_) session->actor.session.reset();
  }

  Result<void> open();
  Result<RoundResult> run();

 private:
  bool is_joint() const { return request_.ranks != nullptr && request_.ranks->are_several(); }
  bool leads() const { return request_.ranks == nullptr || request_.ranks->leads(); }
  Result<void> open_store(const std::string& place);
  Result<void> fill_store();
  Result<std::string> agree(const Result<void>& own, const std::string& word);
  Result<void> gather(RoundResult& result, Counts& counts);
  bool has_shared_numbers() const { return choices_.board.newest() > 0; }
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
  Counts close_sessions();
  void settle(RoundResult& result, const Counts& counts);

  const Scenario& scenario_;
  const RoundRequest& request_;
  const StopSource* const stop_;
  const RealClock clock_;
  std::unique_ptr<Backend> backend_;
  Choices choices_;
  State given_;  // without the rows of a history
  Plan plan_;
  const Part part_;
  CompletionLatch latch_;
  std::vector<std::unique_ptr<runtime::Loop>> loops_;
  std::vector<std::unique_ptr<LoadSession>> sessions_;
  std::vector<std::thread> threads_;
  std::optional<debugging::RootGroup> shown_;  // the sessions on loops
};

/// `place`: what rank 0 has set up; empty: a place of its own.
Result<void> Round::open_store(const std::string& place) {
  const BackendKind& kind = *backend_named(request_.store);
  BackendOptions options{.protocol = request_.protocol,
                         .dsn = request_.dsn.of(kind),
                         .durable = request_.durable,
                         .blocking = on_threads(),
                         .clock = &clock_};
  plan_.pattern.tune(kind, options);
  if (!place.empty()) options.own.emplace_back(kJoinsOption, place);
  Result<std::unique_ptr<Backend>> opened = kind.open(options);
  if (!opened) return opened.error();
  backend_ = std::move(*opened);
  return {};
}

Result<void> Round::fill_store() {
  const BackendKind& kind = *backend_named(request_.store);
  if (Result<void> room = check_room(kind, *backend_, request_.sessions); !room) return room;
  given_ = scenario_.rows_of_load(request_.shape);
  State given = given_;
  if (request_.history > Nanos(0)) prepare_history(given);
  return backend_->set_up(given, plan_.pattern.ddl_on(request_.store, request_.shape));
}

Result<void> Round::open() {
  Result<void> ready;
  if (leads()) {
    ready = open_store({});
    if (ready) ready = fill_store();
  }
  if (!is_joint()) return ready ? make_sessions() : ready;
  const Result<std::string> place = agree(ready, ready && leads() ? place_of(backend_->environment()) : std::string());
  if (!place) return place.error();
  if (!leads()) ready = open_store(*place);
  if (ready) ready = make_sessions();
  const Result<std::string> all_ready = agree(ready, {});
  return all_ready ? Result<void>() : Result<void>(all_ready.error());
}

/// Waits until every rank is as far. Gives rank 0's word, or what is in the way of any of them: the same to all.
Result<std::string> Round::agree(const Result<void>& own, const std::string& word) {
  Packer piece;
  piece.put(own.ok()).put(own ? Fault::internal : own.fault()).put(own ? std::string_view() : own.error().message);
  const RankAnswer answer = request_.ranks->ask(piece.take(), [&word](const RankPieces& pieces) {
    for (const auto& each : pieces) {
      if (each && !Unpacker(*each).get<bool>()) return *each;
    }
    return Packer().put(true).put(Fault::internal).put(word).take();
  });
  if (!request_.ranks->lost().empty()) return Error{Fault::unavailable, {}, request_.ranks->lost()};
  if (answer.stopped) return Error{Fault::cancelled, {}, "interrupted"};
  Unpacker parts(answer.text);
  const bool is_good = parts.get<bool>();
  const auto fault = parts.get<Fault>();
  std::string text = parts.text();
  if (!is_good) return Error{fault, {}, std::move(text)};
  return text;
}

/// Few rows, so that probes meet; more for more sessions, so that these can go on.
void Round::prepare_history(State& given) {
  const auto sessions = static_cast<std::uint32_t>(part_.count);
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
  for (int i = part_.first; i < part_.first + part_.count; ++i) {
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

/// Gives what the sessions have counted for the invariants.
Counts Round::close_sessions() {
  Counts counts;
  for (const auto& session : sessions_) {
    session->actor.session.reset();
    counts += session->context.acknowledged;
  }
  return counts;
}

/// Adds up what all ranks have counted, on rank 0. All of them hear how the round ended.
Result<void> Round::gather(RoundResult& result, Counts& counts) {
  Packer piece;
  pack(result, piece.put(has_shared_numbers()));
  pack(counts, piece);
  const RankAnswer answer = request_.ranks->ask(piece.take(), [&](const RankPieces& pieces) {
    bool shared_numbers = has_shared_numbers();
    for (std::size_t rank = 1; rank < pieces.size(); ++rank) {
      if (!pieces[rank]) continue;
      Unpacker from(*pieces[rank]);
      shared_numbers = from.get<bool>() || shared_numbers;
      add(result, unpack_round(from));
      counts += unpack_counts(from);
    }
    return Packer().put(shared_numbers).put(result.store_failed).put(result.note).take();
  });
  if (const std::string& lost = request_.ranks->lost(); !lost.empty()) {
    result.store_failed = true;
    result.note = lost;
    return {};
  }
  Unpacker words(answer.text);
  if (words.get<bool>()) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("the sessions of {} tell each other what they have inserted, which the ranks of a job "
                             "cannot",
                             scenario_.name)};
  }
  words.get(result.store_failed);
  words.get(result.note);
  result.stopped = answer.stopped;
  if (result.stopped && result.note.empty()) result.note = "interrupted";
  return {};
}

/// Reads the final state and checks the invariants.
void Round::settle(RoundResult& result, const Counts& counts) {
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

Result<RoundResult> Round::run() {
  RoundResult result;
  start();
  watch(result);
  add_up(result);
  Counts counts = close_sessions();
  result.helpers = offloads_calls() ? kCallersMost : 0;
  result.peak_rss_bytes = own_peak_rss_bytes();
  if (is_joint()) {
    if (Result<void> gathered = gather(result, counts); !gathered) return gathered.error();
  }
  if (leads()) settle(result, counts);
  result.store_version = backend_->capabilities().version;
  result.environment = backend_->environment();
  if (is_joint()) result.environment.emplace_back("ranks", std::to_string(request_.ranks->size()));
  result.caveat = backend_->capabilities().caveat;
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
