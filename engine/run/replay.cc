// replay.cc: the recorded schedule, with every event compared.
#include "engine/run/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/run/run_environment.h"
#include "engine/run/verdict.h"
#include "engine/schedule/schedule.h"

namespace lockstep {
namespace {

using record::Event;
using record::EventKind;

/// How often the server may choose another victim before that counts as a difference.
constexpr int kOtherVictimsMost = 20;

constexpr const char* kRetriesOption = "option retries";
constexpr const char* kWaitsAtMostOption = "option waits-at-most";
constexpr const char* kLockTimeoutOption = "option lock-timeout-ns";
constexpr const char* kDeadlockTimeoutOption = "option deadlock-timeout-ns";

/// True for events that are no part of the story: the judgement, and what was measured.
bool is_beside(const Event& event) { return event.kind == EventKind::invariant || event.kind == EventKind::figure; }

/// True for what a server decides by itself, or names by its own numbers. It differs from run to run.
bool is_in_passing(const Event& event) {
  return event.kind == EventKind::wait || event.kind == EventKind::cycle || event.kind == EventKind::note ||
         event.kind == EventKind::notice || event.kind == EventKind::time || event.kind == EventKind::invariant;
}

std::string story_of(const Event& event, const std::vector<std::string>& actors) {
  const auto name = [&](int actor) {
    return actor < 0 ? std::string("nobody") : actors[static_cast<std::size_t>(actor)];
  };
  std::string text = fmt::format("{} {}", name(event.actor), record::name_of(event.kind));
  for (const std::string& part : {event.verb, event.object, event.detail}) {
    if (!part.empty()) text += " " + part;
  }
  if (event.fault) text += fmt::format(" {} {}", name_of(*event.fault), event.code);
  for (const int other : event.others) text += " → " + name(other);
  return text;
}

/// Follows the recorded schedule while everything is as recorded.
class Replayed final : public Schedule {
 public:
  Replayed(const record::Run& recorded, std::vector<Choice> order, std::size_t until, RunState& run,
           bool waits_for_detection)
      : waits_for_detection_(waits_for_detection),
        recorded_(recorded),
        order_(std::move(order)),
        until_(std::min(until, order_.size())),
        run_(run),
        lanes_(recorded.actors.size() + 1) {
    for (const Event& event : recorded.events) {
      if (!is_beside(event) && (recorded.virtual_time || !is_in_passing(event))) {
        lane_of(event).expected.push_back(&event);
      }
    }
  }

  bool may_choose_timeout() const noexcept override { return at_ < order_.size() && order_[at_].timeout; }

  bool waits_for_detection(Nanos) const noexcept override { return waits_for_detection_; }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    if (left_) return any(candidates);
    compare();
    if (divergence_ || at_ == until_) return end();
    const Choice choice = order_[at_];
    const Candidate& named = candidates[static_cast<std::size_t>(choice.actor)];
    if (choice.timeout ? !named.may_time_out : !named.enabled) {
      divergence_ = Divergence{.seq = seen_ + 1,
                               .recorded = "the step of " + name_of(choice, std::string(named.name)),
                               .happened = fmt::format("{} {}", named.name, named.finished ? "has finished" : "waits")};
      return end();
    }
    ++at_;
    return choice;
  }

  /// The run has become another one; from here on it is not compared.
  void overruled() override { left_ = true; }

  /// Compares what has happened since the latest call. `at_end`: nothing more will.
  void compare(bool at_end = false) {
    if (divergence_ || ended_ || left_) return;
    for (Event& event : run_.events_from(seen_)) {
      ++seen_;
      if (is_beside(event) || (!recorded_.virtual_time && is_in_passing(event))) continue;
      Lane& lane = lane_of(event);
      const Event* const expected = lane.matched < lane.expected.size() ? lane.expected[lane.matched] : nullptr;
      if (expected == nullptr || !same(*expected, event)) {
        divergence_ =
            Divergence{.seq = event.seq,
                       .recorded = expected == nullptr ? "nothing more" : story_of(*expected, recorded_.actors),
                       .happened = story_of(event, recorded_.actors),
                       .is_victim = (expected != nullptr && expected->fault == Fault::deadlock) !=
                                    (event.fault == Fault::deadlock)};
        return;
      }
      ++lane.matched;
    }
    if (!at_end) return;
    for (const Lane& lane : lanes_) {
      if (divergence_ || lane.matched == lane.expected.size()) continue;
      const Event& missing = *lane.expected[lane.matched];
      divergence_ =
          Divergence{.seq = missing.seq, .recorded = story_of(missing, recorded_.actors), .happened = "nothing more"};
    }
  }

  const std::optional<Divergence>& divergence() const noexcept { return divergence_; }
  bool ended() const noexcept { return ended_; }
  std::size_t steps() const noexcept { return at_; }
  /// The number of events when the run ended. Later ones come from taking it down.
  std::size_t seen() const noexcept { return seen_; }

 private:
  /// Compares lists of events that each have an order of their own. For a store in this process that is one list. A
  /// server answers several actors in any order, so there each actor's events are a list.
  struct Lane {
    std::vector<const Event*> expected;
    std::size_t matched = 0;
  };
  Lane& lane_of(const Event& event) {
    return lanes_[recorded_.virtual_time ? 0 : static_cast<std::size_t>(event.actor + 1)];
  }

  bool same(const Event& a, const Event& b) const {
    const bool alike = a.actor == b.actor && (a.step == b.step || !recorded_.virtual_time) && a.kind == b.kind &&
                       a.verb == b.verb && a.object == b.object && a.fault == b.fault && a.code == b.code;
    if (!recorded_.virtual_time) return alike && (a.fault || a.detail == b.detail);
    return alike && a.detail == b.detail && a.others == b.others;
  }
  /// The recorded order where it can be followed, else the first actor that can go.
  Result<Choice> any(const std::vector<Candidate>& candidates) {
    while (at_ < order_.size()) {
      const Choice choice = order_[at_++];
      if (!choice.timeout && candidates[static_cast<std::size_t>(choice.actor)].enabled) return choice;
    }
    const auto first = std::find_if(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.enabled; });
    return Choice{first->actor, false};
  }
  Error end() {
    ended_ = true;
    return {Fault::cancelled, {}, {}};
  }

  const bool waits_for_detection_;
  const record::Run& recorded_;
  const std::vector<Choice> order_;
  const std::size_t until_;
  RunState& run_;
  std::vector<Lane> lanes_;
  std::size_t at_ = 0;
  std::size_t seen_ = 0;
  bool ended_ = false;
  bool left_ = false;  // the recorded order, for another
  std::optional<Divergence> divergence_;
};

std::optional<std::int64_t> number_in(const record::Run& run, const char* name) {
  const auto found = run.environment.find(name);
  if (found == run.environment.end()) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [rest, error] = std::from_chars(found->second.data(), end, number);
  return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

}  // namespace

void note_options(const RunRequest& request, record::Run& run) {
  if (request.retries) run.environment[kRetriesOption] = std::to_string(*request.retries);
  if (request.waits_at_most) run.environment[kWaitsAtMostOption] = std::to_string(request.waits_at_most->count());
  if (request.lock_timeout) run.environment[kLockTimeoutOption] = std::to_string(request.lock_timeout->count());
  if (request.deadlock_timeout)
    run.environment[kDeadlockTimeoutOption] = std::to_string(request.deadlock_timeout->count());
  const BackendKind* const kind = backend_named(run.store);
  if (std::string dsn = kind == nullptr ? std::string() : request.dsn.shown_of(*kind); !dsn.empty())
    run.environment[kDsnOption] = std::move(dsn);
}

void read_options(const record::Run& run, RunRequest& request) {
  if (const auto retries = number_in(run, kRetriesOption)) request.retries = static_cast<int>(*retries);
  if (const auto most = number_in(run, kWaitsAtMostOption)) request.waits_at_most = Nanos(*most);
  if (const auto timeout = number_in(run, kLockTimeoutOption)) request.lock_timeout = Nanos(*timeout);
  if (const auto timeout = number_in(run, kDeadlockTimeoutOption)) request.deadlock_timeout = Nanos(*timeout);
}

Result<Replay> replay(const Scenario& scenario, const record::Run& recorded, const ReplayOptions& options,
                      const StopSource* stop) {
  if (recorded.schedule == "free") {
    return Error{Fault::invalid, {}, "a run under the free schedule cannot be replayed: it keeps no order of steps"};
  }
  RunRequest request{.store = recorded.store,
                     .protocol = recorded.protocol,
                     .pattern = recorded.pattern,
                     .executor = options.executor,
                     .schedule = recorded.schedule,
                     .seed = recorded.seed,
                     .dsn = options.dsn};
  read_options(recorded, request);
  Result<RunRequest> resolved = resolve(scenario, request);
  if (!resolved) return resolved.error();
  std::vector<std::string> names;
  for (const ActorSpec& spec : scenario.pattern_named(resolved->pattern)->actors) names.push_back(spec.name);
  if (names != recorded.actors) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} has the actors {}; the recording has {}", scenario.name, fmt::join(names, ", "),
                             fmt::join(recorded.actors, ", "))};
  }
  Result<std::vector<Choice>> order = choices_named(recorded.schedule, names);
  if (!order) return order.error();
  Result<std::unique_ptr<RunEnvironment>> opened = RunEnvironment::open(scenario, *resolved, stop);
  if (!opened) return opened.error();
  RunEnvironment& environment = **opened;

  Replay result;
  if (options.times > 1) environment.keep_threads();
  const RealClock clock;
  const Nanos begun = clock.now();
  std::size_t seen = 0;
  bool ended = false;
  const ProtocolTraits* const protocol = environment.state().protocol;
  const bool may_choose = protocol != nullptr && protocol->deadlocks == DeadlockBreaking::after_timeout;
  for (int others = 0; result.identical < options.times && !result.divergence;) {
    // Most recorded victims are the first that waited; every second try makes it the one that closed the circle.
    Replayed schedule(recorded, *order, options.until, environment.state(), others % 2 == 1);
    const Result<void> performed = environment.perform(&schedule);
    if (!performed && performed.fault() != Fault::cancelled) return performed.error();
    if (environment.state().ending() == record::Ending::interrupted) break;
    schedule.compare(!schedule.ended());
    result.steps = schedule.steps();
    ended = schedule.ended();
    seen = schedule.seen();
    if (!schedule.divergence()) {
      ++result.identical;
      others = 0;
    } else if (schedule.divergence()->is_victim && may_choose && ++others < kOtherVictimsMost) {
      ++result.other_victims;
    } else {
      result.divergence = schedule.divergence();
    }
  }
  result.seconds = std::chrono::duration<double>(clock.now() - begun).count();
  result.stopped = ended && !result.divergence;
  record::Run& run = result.run;
  run = recorded;
  run.id.clear();
  run.executor = resolved->executor;
  run.events.clear();
  if (ended) {
    run.ending = record::Ending::interrupted;  // by `until` or a divergence: what stands then stands
    run.events = environment.state().take_events();
    run.events.resize(std::min(run.events.size(), seen));
    return result;
  }
  run.outcomes = {};
  run.cycles.clear();
  run.victims.clear();
  run.invariants.clear();
  environment.judge(run);
  // The recording knows whether the schedule was the scenario's own, of which the scenario itself says why.
  if (run.verdict == recorded.verdict) {
    run.why = recorded.why;
    run.fix = recorded.fix;
    run.fix_command = recorded.fix_command;
  }
  return result;
}

}  // namespace lockstep
