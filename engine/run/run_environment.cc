// run_environment.cc: sets a run up, performs it, takes it down.
#include "engine/run/run_environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "engine/actor/transactions.h"
#include "engine/executors/executors.h"
#include "engine/executors/offloaded_session.h"
#include "engine/gdb/registry.h"
#include "engine/record/known_rows.h"
#include "engine/record/moments.h"
#include "engine/run/coordinates.h"
#include "engine/run/verdict.h"

namespace lockstep {
namespace {

constexpr int kRetriesDefault = 10;

bool waits_in_process(const RunRequest& request) {
  const BackendKind* const kind = backend_named(request.store);
  return kind == nullptr || kind->traits.waits == Waits::in_process;
}

/// The one transaction of an actor of a scenario: its body.
class BodyOfActor {
 public:
  BodyOfActor(Context& context, const std::function<Task<>(Context&)>& body, Actor& actor)
      : context_(context), body_(body), actor_(actor) {}

  bool next() { return !std::exchange(has_begun_, true); }
  static std::optional<Nanos> time_to_begin() { return Nanos(0); }
  Task<> body() {
    actor_.begin_attempt();
    committed_before_ = actor_.all_commits();
    context_.random = drawn_;
    context_.acknowledged = {};
    return body_(context_);
  }
  static void gave_back(const Result<void>&) {}
  static void committed() {}
  AfterFault after_fault(const Error& why, bool may_try, int attempt) {
    actor_.note_refusal(why);
    if (!may_try) {
      const bool has_committed = actor_.all_commits() != committed_before_;
      if (has_committed && is_retry_safe(why.fault) && !actor_.stopping())
        context_.note("is not run again: a part of its body has committed already");
      return AfterFault::fails;
    }
    actor_.run.retries.fetch_add(1, std::memory_order_relaxed);
    actor_.emit({.kind = record::EventKind::retry, .detail = std::to_string(attempt)});
    return AfterFault::tries_again;
  }
  Database& database() { return context_.db; }
  Random& pauses() { return pauses_; }

 private:
  Context& context_;
  const std::function<Task<>(Context&)>& body_;
  Actor& actor_;
  const Random drawn_ = context_.random;  ///< every attempt draws the same numbers
  Random pauses_ = context_.random;
  std::uint64_t committed_before_ = 0;  ///< the attempt in hand
  bool has_begun_ = false;
};

}  // namespace

Result<std::unique_ptr<RunEnvironment>> RunEnvironment::open(const Scenario& scenario, const RunRequest& request,
                                                             const StopSource* stop) {
  std::unique_ptr<RunEnvironment> environment(new RunEnvironment(scenario, request, stop));
  if (request.store == record::kNoStore) return environment;
  if (Result<void> opened = environment->open_store(); !opened) return opened.error();
  return environment;
}

RunEnvironment::RunEnvironment(const Scenario& scenario, const RunRequest& request, const StopSource* stop)
    : scenario_(scenario),
      request_(request),
      pattern_(*scenario.pattern_named(request.pattern)),
      free_(request.schedule == "free"),
      retries_(
          request.retries.value_or(std::stoi(pattern_.tuned("retries").value_or(std::to_string(kRetriesDefault))))),
      state_(!free_ && waits_in_process(request), request.recording, request.limit, stop) {
  state_.give_up_at = request.until;
  state_.observer = debugging::awaited();
}

RunEnvironment::~RunEnvironment() {
  watch_.reset();
  tear_down();
}

/// The actors stand or run on, so only what other threads may look at is told.
void RunEnvironment::tell_of_own_code(const OwnCode& found) {
  record::Run run = run_at(scenario_, request_, *this);
  run.schedule = conductor_ ? schedule_text(conductor_->taken(), run.actors) : "free";
  run.events = state_.events_from(0);
  run.verdict = record::Verdict::hung;
  run.ending = record::Ending::stuck;
  run.expected = pattern_.expected(request_.store, request_.protocol);
  const std::vector<std::source_location> sites = state_.sites();
  std::string where;
  if (found.step > 0 && found.step <= sites.size() && sites[found.step - 1].line() != 0)
    where = " in " + sync::text_of(sites[found.step - 1]);
  run.summary =
      fmt::format("{} has been in its own code for {:.1f} s since {}",
                  run.actors[static_cast<std::size_t>(found.actor)], static_cast<double>(found.span.count()) / 1e9,
                  found.step == 0 ? "its begin" : fmt::format("step {}{}", found.step, where));
  run.why = fmt::format(
      "The code between two operations blocks its thread or computes without an end. Only operations of the engine can "
      "be "
      "scheduled, seen and ended. Where it stands: gdb -p {}",
      ::getpid());
  request_.on_own_code(found, run);
}

Result<void> RunEnvironment::open_store() {
  const BackendKind& kind = *backend_named(request_.store);
  BackendOptions options{.protocol = request_.protocol, .dsn = request_.dsn.of(kind), .durable = request_.durable};
  pattern_.tune(kind, options);
  options.lock_timeout = request_.lock_timeout.value_or(options.lock_timeout);
  options.deadlock_timeout = request_.deadlock_timeout.value_or(options.deadlock_timeout);
  options.connect_timeout = request_.connect_timeout.value_or(options.connect_timeout);
  options.blocking = free_ && request_.executor == "threads";
  options.clock = &state_.clock();
  options.observer = &state_;
  Result<std::unique_ptr<Backend>> opened = kind.open(options);
  if (!opened) return opened.error();
  backend_ = std::move(*opened);
  state_.backend = backend_.get();
  state_.protocol = &backend_->protocol();
  // A protocol that looks at every wait as it begins finds a cycle at once.
  if (state_.protocol->deadlocks == DeadlockBreaking::after_timeout) detection_after_ = options.deadlock_timeout;
  return backend_->set_up(scenario_.rows(), pattern_.ddl_on(request_.store, scenario_.shape_of_run(request_.seed)));
}

/// Takes a performance down, however it ended. The order: the executor, the sessions, the world, the actors. Locks of
/// the world may still name actors, so these go last.
void RunEnvironment::tear_down() noexcept {
  executor_.reset();
  for (const auto& actor : state_.actors) actor->session.reset();
  contexts_.clear();
  conductor_.reset();
  world_.reset();
  choices_.reset();
  state_.actors.clear();
}

bool RunEnvironment::offloads_calls() const noexcept {
  return backend_ && free_ && request_.executor == "coroutines" && !backend_->capabilities().nonblocking;
}

/// Makes the world, the actors and their sessions.
Result<void> RunEnvironment::set_up_actors() {
  world_ = scenario_.make_world();
  if (scenario_.has_rows_to_choose()) choices_.emplace(scenario_.shape_of_run(request_.seed));
  state_.actors.reserve(pattern_.actors.size());
  contexts_.reserve(pattern_.actors.size());
  const RetryPolicy policy{.most = retries_, .backs_off = free_};
  for (std::size_t i = 0; i < pattern_.actors.size(); ++i) {
    const ActorSpec& spec = pattern_.actors[i];
    auto actor = std::make_unique<Actor>(static_cast<int>(i), spec.name, state_, *executor_);
    if (backend_) {
      Result<std::unique_ptr<Session>> session = backend_->open_session(actor->index, actor->name);
      if (!session) return session.error();
      actor->session = offloads_calls() ? make_offloaded_session(std::move(*session)) : std::move(*session);
    }
    state_.actors.push_back(std::move(actor));
  }
  for (const auto& actor : state_.actors) {
    contexts_.push_back(
        std::make_unique<Context>(Context{.db = Database(actor->session, request_.store),
                                          .name = actor->name,
                                          .random = Random(request_.seed, static_cast<std::uint64_t>(actor->index)),
                                          .measures = request_.measure,
                                          .index = static_cast<std::size_t>(actor->index),
                                          .world_type = scenario_.world_type(),
                                          .world_object = world_.get(),
                                          .actor = actor.get(),
                                          .choices = choices_ ? &*choices_ : nullptr}));
    const ActorSpec& spec = pattern_.actors[static_cast<std::size_t>(actor->index)];
    actor->set_body(perform_transactions(*actor, BodyOfActor(*contexts_.back(), spec.body, *actor), policy));
  }
  return {};
}

Result<void> RunEnvironment::perform(Schedule* schedule) {
  tear_down();
  state_.begin_anew();
  if (!as_new_ && backend_) {
    if (Result<void> ready =
            backend_->set_up(scenario_.rows(), pattern_.ddl_on(request_.store, scenario_.shape_of_run(request_.seed)));
        !ready)
      return ready;
  }
  as_new_ = false;
  if (state_.recording) lock_order_ = std::make_unique<sync::LockOrder>();
  state_.lock_order = lock_order_.get();
  state_.keeps_store_locks = schedule != nullptr && state_.recording && waits_in_process(request_);
  if (schedule != nullptr) conductor_ = std::make_unique<Conductor>(state_, *schedule, detection_after_);
  executor_ = request_.executor == "threads" ? make_threads_executor(state_, conductor_.get(), pool_.get())
                                             : make_coroutines_executor(state_, conductor_.get(), request_.workers);
  if (Result<void> ready = set_up_actors(); !ready) return ready;
  if (!conductor_ && state_.recording && state_.observer == nullptr) state_.write_apart(request_.record_every);
  if (state_.observer != nullptr) {
    state_.observer->begin(
        fmt::format("{} {} {} {}", scenario_.name, request_.store, request_.protocol, request_.pattern).c_str());
  }

  if (request_.on_own_code && !watch_ && state_.observer == nullptr) {
    watch_ = std::make_unique<OwnCodeWatch>(state_, scenario_.own_code_most(),
                                            [this](const OwnCode& found) { tell_of_own_code(found); });
  }
  const RealClock real;
  const Nanos started = real.now();
  state_.start_clock();
  Result<void> followed;
  if (conductor_) {
    followed = conductor_->conduct(*executor_);
  } else {
    if (watch_) watch_->free_run_begins();
    executor_->run_free(state_.actors);
    if (watch_) watch_->free_run_ends();
  }
  wall_ms_ = static_cast<double>((real.now() - started).count()) / 1e6;
  return followed;
}

/// Of a run on a store: what its page needs beside the events.
void RunEnvironment::note_moments(record::Run& run) const {
  constexpr std::size_t kRowsMost = 200;  // of a scenario; a page cannot show more
  if (!backend_ || !state_.recording) return;
  record::KnownRows known{.by_times = !conductor_, .asked_for_locks = state_.keeps_store_locks};
  const bool is_thinned = std::any_of(state_.actors.begin(), state_.actors.end(), [](const auto& actor) {
    const EventBuffer* const buffer = actor->buffer();
    return buffer != nullptr && buffer->kept() != buffer->transactions();
  });
  const bool has_too_many = scenario_.rows().size() > kRowsMost;
  if (has_too_many) known.untold = fmt::format("the scenario has {} rows", scenario_.rows().size());
  if (is_thinned) known.untold = "not every transaction of the run is on record";
  const bool is_whole = state_.ending() == record::Ending::complete || state_.ending() == record::Ending::stuck;
  if (is_whole && known.untold.empty()) known.ends = final_rows_;
  const check::Level level = state_.protocol->isolation;
  known.reads_are_dirty = level == check::Level::read_uncommitted;
  run.documents[record::kKnownRowsDocument] = record::to_json(known);
  if (has_too_many) return;
  const record::ReadsSee reads = !state_.protocol->reads_snapshot        ? record::ReadsSee::latest
                                 : level == check::Level::read_committed ? record::ReadsSee::statement
                                                                         : record::ReadsSee::snapshot;
  run.documents[record::kMomentsDocument] =
      record::to_json(record::Moments{.given = scenario_.rows(), .reads = reads, .locks = state_.locks_over_time()});
}

void RunEnvironment::judge(record::Run& run) {
  run.wall_ms = wall_ms_;
  State rows;
  if (backend_ && state_.ending() != record::Ending::interrupted) {
    for (const auto& actor : state_.actors) actor->session.reset();
    if (Result<State> final_rows = backend_->final_state(); final_rows) {
      rows = std::move(*final_rows);
    } else {
      state_.note(fmt::format("the final state cannot be read: {}", final_rows.error().message));
      state_.end_as(record::Ending::unavailable);
    }
  }
  final_rows_ = rows;
  note_moments(run);
  Counts counts;
  for (const auto& context : contexts_) counts += context->acknowledged;
  const Final end = Final(std::move(rows), backend_.get(), scenario_.world_type(), world_.get(), request_.store)
                        .with(scenario_.rows(), scenario_.shape_of_run(request_.seed), counts);
  lockstep::judge(scenario_, pattern_, end, request_.waits_at_most.value_or(scenario_.longest_wait()), state_, run);
}

void RunEnvironment::keep_threads() {
  if (!pool_) pool_ = std::make_unique<ThreadPool>();
}

const std::vector<Choice>& RunEnvironment::taken() const {
  static const std::vector<Choice> none;
  return conductor_ ? conductor_->taken() : none;
}

}  // namespace lockstep
