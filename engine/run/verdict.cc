// verdict.cc: see verdict.h.
#include "engine/run/verdict.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <thread>

#include "engine/record/run_json.h"
#include "engine/record/sites.h"
#include "engine/run/explain.h"
#include "engine/run/remedy.h"
#include "engine/store/backend.h"
#include "engine/sync/lock_order.h"

namespace lockstep {
namespace {

using record::Verdict;

bool any_fault(const record::Run& run, std::initializer_list<Fault> faults) {
  if (run.outcomes.faults.empty()) return false;
  return std::any_of(faults.begin(), faults.end(),
                     [&](Fault f) { return run.outcomes.faults.contains(std::string(name_of(f))); });
}

/// The actors that lost every attempt to a fault that is safe to retry, while another actor finished its work. An actor
/// that was given one attempt does not count: to lose once is no more than an abort. (A run with a time-out or a broken
/// deadlock is called after that, since it says more of why.)
std::vector<std::string> starved_in(const RunState& state) {
  std::vector<std::string> starved;
  bool somebody_got_done = false;
  for (const auto& actor : state.actors) {
    if (!actor->has_finished() || actor->stopping()) continue;
    const std::optional<Error>& ending = actor->ending();
    somebody_got_done = somebody_got_done || !ending;
    const bool lost = ending && is_retry_safe(ending->fault) && actor->attempts() > 1 && actor->commits() == 0;
    if (lost) starved.push_back(actor->name);
  }
  if (!somebody_got_done) starved.clear();
  return starved;
}

/// A body that ended with a fault that is no reason to run it again, and that nobody has handled.
struct UnhandledError {
  std::string actor;
  Error error;
};

/// A mistake in the program itself: a statement that no store could take, a request that makes no sense where it
/// stands.
bool is_of_program(const Error& error) { return error.fault == Fault::invalid || error.fault == Fault::unsupported; }

bool is_of_application(const Error& error) {
  return error.fault == Fault::constraint || error.fault == Fault::refused || error.fault == Fault::internal;
}

/// Those of the program first; within each kind in the order of the actors.
std::vector<UnhandledError> unhandled_in(const RunState& state) {
  std::vector<UnhandledError> found;
  for (const auto& wanted : {is_of_program, is_of_application}) {
    for (const auto& actor : state.actors) {
      if (!actor->has_finished() || !actor->ending() || !wanted(*actor->ending())) continue;
      found.push_back({actor->name, *actor->ending()});
    }
  }
  return found;
}

/// "T2 23505: insert …: duplicate key value …"
std::string text_of(const UnhandledError& unhandled) {
  const auto& [actor, error] = unhandled;
  std::string_view said = error.message;
  if (said.starts_with(actor + ": ")) said.remove_prefix(actor.size() + 2);
  const std::string_view code = error.code.empty() ? name_of(error.fault) : std::string_view(error.code);
  return said.empty() ? fmt::format("{} {}", actor, code) : fmt::format("{} {}: {}", actor, code, said);
}

/// What decides a verdict beside what is in the run.
struct Signs {
  bool avoided = false;
  bool timed_out = false;
  bool starved = false;
  const std::vector<UnhandledError>& unhandled;
};

Verdict verdict_of(const record::Run& run, const Signs& signs) {
  const bool broken = std::any_of(run.invariants.begin(), run.invariants.end(), [](const auto& i) { return !i.held; });
  // Whatever else such a run shows, it is not what the scenario is about.
  if (!signs.unhandled.empty() && is_of_program(signs.unhandled.front().error)) return Verdict::error;
  // An invariant speaks of the end, and a stuck run has none. It may also rely on every actor's success, which a
  // starved run has not. There a broken invariant stands beside the verdict.
  if (run.ending == record::Ending::stuck) return run.cycles.empty() ? Verdict::hung : Verdict::deadlock;
  if (broken && !signs.starved) return Verdict::anomaly;
  const bool timed_out =
      signs.timed_out || any_fault(run, {Fault::lock_timeout, Fault::statement_timeout, Fault::idle_timeout});
  if (any_fault(run, {Fault::deadlock})) return Verdict::deadlock;
  // When no store broke a cycle and it did not last, a time-out broke it.
  if (timed_out || !run.cycles.empty()) return Verdict::timeout;
  if (signs.starved) return Verdict::starved;
  if (!signs.unhandled.empty()) return Verdict::error;
  if (signs.avoided || any_fault(run, {Fault::unsafe_claim, Fault::claim_exceeded})) return Verdict::avoided;
  if (any_fault(run, {Fault::serialization_failure, Fault::validation_failure, Fault::certification_failure,
                      Fault::wounded, Fault::died, Fault::no_wait_conflict, Fault::busy, Fault::busy_snapshot,
                      Fault::version_changed, Fault::invalid, Fault::unsupported, Fault::internal})) {
    return Verdict::abort;
  }
  return Verdict::clean;
}

std::string plural(std::uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : one.ends_with('y') ? "" : "s");
}

std::string retries_of(const record::Run& run) {
  return run.outcomes.retries == 1 ? "1 retry" : fmt::format("{} retries", run.outcomes.retries);
}

std::string summary_of_hung(const record::Run& run, Nanos limit) {
  const std::string waits = waits_at_end(run);
  if (!waits.empty()) return waits;
  if (run.events.empty()) return "somebody waits for ever, and no cycle of locks explains it";
  return fmt::format("the limit of {} ms was over before everybody had ended",
                     std::chrono::duration_cast<std::chrono::milliseconds>(limit).count());
}

std::string main_summary_of(const record::Run& run, const std::vector<std::string>& starved,
                            const std::vector<UnhandledError>& unhandled, Nanos limit) {
  switch (run.verdict) {
    case Verdict::clean:
      return fmt::format("{} committed, {} aborted", run.outcomes.committed, run.outcomes.aborted);
    case Verdict::deadlock:
      if (run.ending == record::Ending::stuck) return "nobody breaks it: every actor of the cycle waits for ever";
      return fmt::format("found and broken: {}, {}", plural(run.victims.size(), "victim"), retries_of(run));
    case Verdict::abort:
      return fmt::format("{} given up, {}", plural(run.outcomes.aborted, "transaction"), retries_of(run));
    case Verdict::timeout:
      return fmt::format("{}{}, {}", run.cycles.empty() ? "" : "a deadlock that only a time-out ended: ",
                         plural(run.outcomes.aborted, "transaction") + " given up", retries_of(run));
    case Verdict::anomaly: {
      const auto broken =
          std::find_if(run.invariants.begin(), run.invariants.end(), [](const auto& i) { return !i.held; });
      return fmt::format("broken: {}{}", broken->text,
                         broken->detail.empty() ? "" : fmt::format(" ({})", broken->detail));
    }
    case Verdict::avoided:
      return "the state stayed safe: a request waited although what it asked for was free";
    case Verdict::starved:
      return fmt::format("{} never got done, run again or not; others did", fmt::join(starved, ", "));
    case Verdict::hung:
      return summary_of_hung(run, limit);
    case Verdict::error:
      return text_of(unhandled.front());
    case Verdict::crashed:  // of programs alone, which have their own
      break;
  }
  return {};
}

/// Errors that nobody handled are told of beside every verdict.
std::string summary_of(const record::Run& run, const std::vector<std::string>& starved,
                       const std::vector<UnhandledError>& unhandled, Nanos limit) {
  std::string summary = main_summary_of(run, starved, unhandled, limit);
  for (std::size_t i = run.verdict == Verdict::error ? 1 : 0; i < unhandled.size(); ++i)
    summary += fmt::format("; {}{}", run.verdict == Verdict::error ? "" : "not handled: ", text_of(unhandled[i]));
  return summary;
}

/// The longest wait of anybody against what the scenario allows.
record::Invariant judged_waits(const RunState& state, Nanos most) {
  const auto ms = [](Nanos span) { return fmt::format("{:.3g} ms", static_cast<double>(span.count()) / 1e6); };
  const auto longest = std::max_element(state.actors.begin(), state.actors.end(), [](const auto& a, const auto& b) {
    return a->longest_wait().span < b->longest_wait().span;
  });
  record::Invariant invariant{.text = fmt::format("nobody waits longer than {}", ms(most)), .held = true, .detail = {}};
  if (longest == state.actors.end() || (*longest)->longest_wait().span <= most) return invariant;
  const auto& [span, what] = (*longest)->longest_wait();
  invariant.held = false;
  invariant.detail =
      fmt::format("{} waited {}{}{}", (*longest)->name, ms(span), what.object.empty() ? "" : " for ", what.object);
  return invariant;
}

/// Writes down the potential deadlocks. One whose actors did wait for each other in a cycle has happened, and is left
/// out.
void note_lock_order(const RunState& state, record::Run& run) {
  if (state.lock_order == nullptr) return;
  std::vector<record::OrderViolation> potential = state.lock_order->violations(run.actors);
  std::erase_if(potential, [&run](const record::OrderViolation& violation) {
    return std::any_of(run.cycles.begin(), run.cycles.end(), [&violation](const std::vector<std::string>& cycle) {
      return cycle.size() == violation.size() && std::all_of(violation.begin(), violation.end(), [&](const auto& leg) {
               return std::find(cycle.begin(), cycle.end(), leg.actor) != cycle.end();
             });
    });
  });
  if (!potential.empty()) run.documents[record::kLockOrderDocument] = record::to_json(potential);
}

void note_sites(const RunState& state, record::Run& run) {
  std::vector<std::string> by_step;
  for (const std::source_location& where : state.sites())
    by_step.push_back(where.line() == 0 ? std::string() : sync::text_of(where));
  if (!by_step.empty()) run.documents[record::kSitesDocument] = record::sites_to_json(by_step);
}

std::string values_of(const Final& end) {
  std::string text;
  for (const auto& [key, value] : end.state()) {
    if (text.size() > 120) return text + " …";
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  }
  return text;
}

}  // namespace

void judge(const Scenario& scenario, const Pattern& pattern, const Final& end, Nanos longest_wait, RunState& state,
           record::Run& run) {
  for (const auto& actor : state.actors) {
    const std::optional<Error>& error = actor->ending();
    if (error && is_environment(error->fault) && error->fault != Fault::internal)
      state.end_as(record::Ending::unavailable);
  }
  run.ending = state.ending();
  run.outcomes = {
      .committed = state.committed, .aborted = state.aborted, .retries = state.retries, .faults = state.faults()};
  const auto names = [&](const std::vector<int>& actors) {
    std::vector<std::string> list;
    for (const int actor : actors) list.push_back(run.actors[static_cast<std::size_t>(actor)]);
    return list;
  };
  // A stuck run shows only the cycles that still stand: one that was broken explains no wait at the end.
  for (const auto& cycle : run.ending == record::Ending::stuck ? state.cycles_at_end() : state.cycles())
    run.cycles.push_back(names(cycle));
  run.victims = names(state.victims());

  if (run.ending == record::Ending::complete || run.ending == record::Ending::stuck) {
    const auto add = [&](record::Invariant invariant) {
      state.emit({.kind = record::EventKind::invariant,
                  .object = invariant.text,
                  .detail = invariant.held ? "held" : "broken: " + invariant.detail});
      run.invariants.push_back(std::move(invariant));
    };
    for (const InvariantSpec& spec : scenario.invariants()) {
      const Held found = spec.holds(end);
      add({.text = spec.text,
           .held = found.held,
           .detail = found.held            ? std::string()
                     : found.wrong.empty() ? values_of(end)
                                           : found.wrong});
    }
    if (longest_wait != kNever) add(judged_waits(state, longest_wait));
  }
  const std::vector<std::string> starved = starved_in(state);
  const std::vector<UnhandledError> unhandled = unhandled_in(state);
  run.verdict = verdict_of(run, {.avoided = state.avoidances > 0,
                                 .timed_out = state.timeouts > 0,
                                 .starved = !starved.empty(),
                                 .unhandled = unhandled});
  run.documents.erase(record::kProgramErrorDocument);
  if (!unhandled.empty() && is_of_program(unhandled.front().error)) {
    const auto& [actor, error] = unhandled.front();
    run.documents[record::kProgramErrorDocument] = record::program_error_json(actor, error);
  }
  const bool own_schedule = run.expected.has_value();
  const bool is_never_well =
      run.verdict == Verdict::anomaly || run.verdict == Verdict::hung || run.verdict == Verdict::error;
  if (!run.expected && is_never_well) run.expected = pattern.expected(run.store, run.protocol);
  note_lock_order(state, run);
  run.events = state.take_events();  // which also puts the sites in order
  note_sites(state, run);
  run.summary = summary_of(run, starved, unhandled, state.limit);
  if (!state.recording) return;
  // The scenario's own sentences name who does what in its own schedule.
  run.why = own_schedule && run.ending != record::Ending::interrupted ? pattern.why_of(run) : std::string();
  if (run.why.empty()) run.why = explain(run);
  const std::optional<Remedy> remedy = remedy_of(scenario, pattern, run);
  run.fix = remedy ? remedy->sentence : std::string();
  run.fix_command = remedy ? command_of(*remedy, run) : std::string();
}

void describe_environment(record::Run& run) {
  run.environment["compiler"] = fmt::format("{} {}", __VERSION__, __cplusplus);
  run.environment["cores"] = std::to_string(std::thread::hardware_concurrency());
  if (utsname system{}; ::uname(&system) == 0)
    run.environment["kernel"] = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
}

std::string schedule_text(const std::vector<Choice>& taken, const std::vector<std::string>& actors) {
  std::string text;
  for (const Choice& choice : taken) {
    if (!text.empty()) text += ' ';
    text += name_of(choice, actors[static_cast<std::size_t>(choice.actor)]);
  }
  return text;
}

}  // namespace lockstep
