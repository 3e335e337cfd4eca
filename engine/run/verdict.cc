// verdict.cc: see verdict.h.
#include "engine/run/verdict.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <thread>

#include "engine/record/sites.h"
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

Verdict verdict_of(const record::Run& run, bool avoided, bool timed_out, bool starved) {
  const bool broken = std::any_of(run.invariants.begin(), run.invariants.end(), [](const auto& i) { return !i.held; });
  // An invariant speaks of the end, and a stuck run has none. It may also rely on every actor's success, which a
  // starved run has not. There a broken invariant stands beside the verdict.
  if (run.ending == record::Ending::stuck) return run.cycles.empty() ? Verdict::hung : Verdict::deadlock;
  if (broken && !starved) return Verdict::anomaly;
  timed_out = timed_out || any_fault(run, {Fault::lock_timeout, Fault::statement_timeout, Fault::idle_timeout});
  if (any_fault(run, {Fault::deadlock})) return Verdict::deadlock;
  // When no store broke a cycle and it did not last, a time-out broke it.
  if (timed_out || !run.cycles.empty()) return Verdict::timeout;
  if (starved) return Verdict::starved;
  if (avoided || any_fault(run, {Fault::unsafe_claim, Fault::claim_exceeded})) return Verdict::avoided;
  if (any_fault(run, {Fault::serialization_failure, Fault::validation_failure, Fault::wounded, Fault::died,
                      Fault::no_wait_conflict, Fault::busy, Fault::busy_snapshot, Fault::version_changed,
                      Fault::invalid, Fault::unsupported, Fault::internal})) {
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

std::string summary_of(const record::Run& run, const std::vector<std::string>& starved) {
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
      return "somebody waits for ever, and no cycle of locks explains it";
  }
  return {};
}

/// The command that shows the fix at the same store and protocol; empty when the pattern does not run there.
std::string fix_command_of(const Scenario& scenario, const Pattern& pattern, const record::Run& run) {
  const Pattern* const fixed = pattern.fix_pattern.empty() ? nullptr : scenario.pattern_named(pattern.fix_pattern);
  if (fixed == nullptr || !fixed->expected(run.store, run.protocol)) return {};
  std::string command = "lockstep run " + run.scenario;
  const BackendKind* const kind = backend_named(run.store);
  if (kind != nullptr && kind != &default_backend()) command += " --store " + run.store;
  if (kind != nullptr && run.protocol != kind->protocols.front().name) command += " --protocol " + run.protocol;
  return command + " --pattern " + fixed->name;
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

void judge(const Scenario& scenario, const Pattern& pattern, const Final& end, RunState& state, record::Run& run) {
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
    for (const InvariantSpec& spec : scenario.invariants()) {
      record::Invariant invariant{.text = spec.text, .held = spec.holds(end), .detail = {}};
      if (!invariant.held) invariant.detail = values_of(end);
      state.emit({.kind = record::EventKind::invariant,
                  .object = invariant.text,
                  .detail = invariant.held ? "held" : "broken: " + invariant.detail});
      run.invariants.push_back(std::move(invariant));
    }
  }
  const std::vector<std::string> starved = starved_in(state);
  run.verdict = verdict_of(run, state.avoidances > 0, state.timeouts > 0, !starved.empty());
  if (!run.expected && (run.verdict == Verdict::anomaly || run.verdict == Verdict::hung)) {
    run.expected = pattern.expected(run.store, run.protocol);
  }
  run.summary = summary_of(run, starved);
  if (run.verdict != Verdict::clean && run.verdict != Verdict::avoided) {
    run.fix = pattern.fix;
    run.fix_command = fix_command_of(scenario, pattern, run);
  }
  note_lock_order(state, run);
  run.events = state.take_events();  // which also puts the sites in order
  note_sites(state, run);
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
