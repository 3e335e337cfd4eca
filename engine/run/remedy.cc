// remedy.cc: see remedy.h.
#include "engine/run/remedy.h"

#include <algorithm>

#include "engine/run/replay.h"
#include "engine/store/backend.h"

namespace lockstep {
namespace {

using record::Verdict;

constexpr int kRetriesEnough = 10;

/// 0: well. 1: after a retry that succeeds. 2: in any other way.
int rank_of(Verdict verdict, bool gave_up) {
  if (verdict == Verdict::clean || verdict == Verdict::avoided) return 0;
  return verdict == Verdict::abort && !gave_up ? 1 : 2;
}

/// By what the scenario expects; 3: it does not run there, or is not judged.
int rank_at(const Pattern& pattern, const std::string& store, const std::string& protocol) {
  const std::optional<Verdict> expected = pattern.expected(store, protocol);
  return expected ? rank_of(*expected, false) : 3;
}

bool may_retry(const Pattern& pattern) {
  return std::none_of(pattern.tuning.begin(), pattern.tuning.end(),
                      [](const auto& option) { return option.first == "retries" && option.second == "0"; });
}

/// The protocol of the same store at which the same pattern ends best, if better than `rank`.
std::string better_protocol(const Pattern& pattern, const record::Run& run, int rank) {
  const BackendKind* const kind = backend_named(run.store);
  std::string best;
  if (kind == nullptr) return best;
  for (const ProtocolTraits& each : kind->protocols) {
    const int there = rank_at(pattern, run.store, each.name);
    if (there < rank && !(there == 1 && !may_retry(pattern))) {
      best = each.name;
      rank = there;
    }
  }
  return best;
}

std::optional<Remedy> own_fix(const Scenario& scenario, const Pattern& pattern, const record::Run& run, int rank) {
  const Pattern* const fixed = pattern.fix_pattern.empty() ? nullptr : scenario.pattern_named(pattern.fix_pattern);
  if (fixed == nullptr) return std::nullopt;
  const int there = rank_at(*fixed, run.store, run.protocol);
  if (there >= rank || (there == 1 && !may_retry(*fixed))) return std::nullopt;
  return Remedy{.sentence = pattern.fix, .pattern = fixed->name, .has_command = true};
}

}  // namespace

bool is_mended(Verdict verdict, bool gave_up) { return rank_of(verdict, gave_up) < 2; }

bool gave_up(const record::Run& run) {
  return std::any_of(run.events.begin(), run.events.end(), [](const record::Event& event) {
    return event.kind == record::EventKind::finish && event.fault && is_retry_safe(*event.fault);
  });
}

std::optional<Remedy> remedy_of(const Scenario& scenario, const Pattern& pattern, const record::Run& run) {
  const bool spent = gave_up(run);
  const int rank = rank_of(run.verdict, spent);
  if (rank == 0 || run.documents.contains(record::kProgramErrorDocument)) return std::nullopt;
  // Against an abort, to run the transaction again is as good as another pattern that does no better.
  if (auto own = own_fix(scenario, pattern, run, run.verdict == Verdict::abort ? 1 : rank)) return own;
  if (run.verdict == Verdict::abort) {
    if (!spent && run.outcomes.retries > 0) {
      return Remedy{.sentence = "be ready to run the transaction again: here the second try went through",
                    .has_command = true};
    }
    if (spent && run.outcomes.retries < static_cast<std::uint64_t>(kRetriesEnough) &&
        pattern.expected(run.store, run.protocol) == Verdict::abort) {
      return Remedy{.sentence = "run the transaction again", .retries = kRetriesEnough, .has_command = true};
    }
    return std::nullopt;
  }
  if (std::string protocol = better_protocol(pattern, run, rank); !protocol.empty()) {
    const bool retried = rank_at(pattern, run.store, protocol) == 1;
    return Remedy{.sentence = retried ? "a protocol that refuses it, and a transaction that is ready to run again"
                                      : "a protocol under which it does not come about",
                  .protocol = std::move(protocol),
                  .has_command = true};
  }
  if (run.verdict == Verdict::deadlock && run.ending == record::Ending::complete && run.outcomes.retries > 0 &&
      !spent) {
    return Remedy{.sentence = "be ready to run the victim again, as happened here"};
  }
  return std::nullopt;
}

namespace {

/// For a POSIX shell.
std::string in_quotes(const std::string& text) {
  std::string safe = "'";
  for (const char c : text) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return safe + "'";
}

}  // namespace

std::string command_of(const Remedy& remedy, const record::Run& run) {
  if (!remedy.has_command) return {};
  std::string command = "lockstep run " + run.scenario;
  const BackendKind* const kind = backend_named(run.store);
  if (kind != nullptr && kind != &default_backend()) command += " --store " + run.store;
  const std::string& protocol = remedy.protocol.empty() ? run.protocol : remedy.protocol;
  if (kind != nullptr && protocol != kind->protocols.front().name) command += " --protocol " + protocol;
  if (const auto dsn = run.environment.find(kDsnOption); dsn != run.environment.end())
    command += " --dsn " + in_quotes(dsn->second);
  command += " --pattern " + (remedy.pattern.empty() ? run.pattern : remedy.pattern);
  if (remedy.retries) command += " --retries " + std::to_string(*remedy.retries);
  return command;
}

}  // namespace lockstep
