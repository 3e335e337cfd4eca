// session.h: one session of a load, and the loop that it runs.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "engine/executors/session_executor.h"
#include "engine/load/history_probe.h"
#include "engine/load/round.h"

namespace lockstep::load {

/// What all sessions of a round read. Written before they start, except `stopping`.
struct Plan {
  const RoundRequest& request;
  const Scenario& scenario;
  const Pattern& pattern;
  Choices& choices;
  Nanos measure_from{0}, measure_until{0};  ///< moments of the real clock
  Nanos started_at{0};
  std::atomic<bool> stopping{false};
  ProbeConfig probe_config = {};
  std::shared_ptr<void> world = {};  ///< of the scenario: theirs to share
};

/// Not thread-safe: it belongs to its own thread or loop until the session has ended.
struct LoadSession {
  LoadSession(const Plan& plan, std::size_t index, std::unique_ptr<SessionExecutor> where);

  RunState state;
  std::unique_ptr<SessionExecutor> executor;
  Actor actor;
  Context context;
  const Body& body;
  Random pauses;  ///< of back-offs; a source of their own, since a retried body draws the same numbers again

  // What the session saw in the measured time.
  Histogram latency;
  std::uint64_t committed = 0, retries = 0, refused = 0;
  struct Waits {
    std::uint64_t count = 0;
    Nanos span{0};
  };
  Waits waits_before;               ///< of the executor: those of the warm-up, which do not count
  std::optional<Waits> waits_then;  ///< when the measured time was over
  Waits waits_until_now() const { return {executor->waits(), executor->waited()}; }
  std::array<std::uint64_t, 64> aborts{};  ///< by Fault
  std::uint64_t given_up = 0;
  std::string gave_up;           ///< RoundResult::gave_up
  ProbeRecords probe_records;    ///< of the time after the measured one
  std::optional<Error> failure;  ///< of the environment; the session has ended with it
};

/// The body of the session's actor: transactions, one after the other, until the plan says stop.
Task<> drive(LoadSession& session, const Plan& plan);

}  // namespace lockstep::load
