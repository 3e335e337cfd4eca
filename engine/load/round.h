// round.h: one round of load: a fresh store, N sessions that perform a scenario's body over and over, and the result.
//
// Each session has an actor, a clock and counts of its own (session_executor.h); they are added up when the round is
// over. The store is opened, filled and checked anew for every round, so a round knows nothing of the one before.
//
// The ranks of an MPI job make a round together, each with a part of the sessions. Rank 0 opens the store, fills it and
// checks it, the others join. They start when all are ready, and each measures by its own clock: no two are compared.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "engine/actor/run_state.h"
#include "engine/check/isolation.h"
#include "engine/ranks/ranks.h"
#include "engine/record/comparison.h"
#include "engine/scenario/scenario.h"
#include "engine/store/backend.h"
#include "kv/base/histogram.h"

namespace lockstep::load {

/// What a session does after an abort that is safe to retry.
enum class Retry : std::uint8_t {
  immediate,  ///< at once
  jitter,     ///< after a random time below a limit that doubles from 0.1 ms up to 10 ms (Brooker, 2015: "full jitter")
};
std::string_view name_of(Retry retry) noexcept;
std::optional<Retry> retry_named(std::string_view name) noexcept;

struct RoundRequest {
  std::string store{default_backend().name};
  std::string protocol;
  std::string pattern;
  std::string executor = "threads";
  Dsns dsn;
  bool durable = false;  ///< commits on a server of the program's own wait for the disk
  Shape shape;
  int sessions = 1;
  int workers = 2;  ///< threads of the coroutines executor
  Nanos warmup = std::chrono::milliseconds(500);
  Nanos measured = std::chrono::seconds(2);
  Nanos ramp{0};  ///< the sessions start spread over this time, before the warm-up ends
  /// After the measured time the load goes on for so long with its history on record (history_probe.h); 0 = no history.
  Nanos history{0};
  std::optional<check::Level> claim;  ///< what the history is held against; default: what the protocol promises
  /// Is given the history that was on record, before it is judged.
  std::function<void(const check::History&)> on_history = {};
  Nanos think{0};   ///< between two transactions of a session
  double rate = 0;  ///< transactions a second of all sessions together, in an open loop; 0 = closed loop
  Retry retry = Retry::jitter;
  int retries_most = 1000;         ///< of one transaction; then it is counted as given up
  std::uint64_t commits_most = 0;  ///< of each session, which ends then; 0 = when the time is over
  /// The processes that make the load together, each of which makes the same request: sessions and rate are of all.
  /// Histories are of rank 0's sessions alone, whose probes nobody else meets. nullptr: this process alone.
  Ranks* ranks = nullptr;
};

struct RoundResult {
  Histogram latency;  ///< of what was committed: from the intended start to the commit, retries included
  std::uint64_t committed = 0, retries = 0, refused = 0, waits = 0;
  std::map<std::string, std::uint64_t> aborts;  ///< by name_of(Fault)
  Nanos waited{0};
  double seconds = 0;  ///< measured
  double cpu_s = 0;    ///< of this process, in the measured time
  std::optional<double> server_cpu_s;
  std::uint64_t peak_rss_bytes = 0;
  std::optional<std::uint64_t> server_rss_bytes;
  std::string broken;  ///< the first invariant that does not hold, with values; empty: all hold
  check::Level claim = check::Level::serializable;  ///< what the history was held against
  std::uint64_t on_record = 0;                      ///< transactions of the history that committed
  std::string anomaly;                              ///< the first that the history shows; empty: none
  std::string proof;                                ///< of it, a line a step
  std::uint64_t given_up = 0;  ///< transactions that could not be tried again, or were tried too often
  std::string gave_up;         ///< why the first of them was given up
  std::string note;            ///< why the round does not count: interrupted, or the store failed; empty: it does
  bool store_failed = false;
  bool stopped = false;  ///< a rank of the job was told to stop
  std::string store_version;
  int helpers = 0;  ///< the most threads at once that made the store's blocking calls; 0: no call blocks
  std::vector<std::pair<std::string, std::string>> environment;
  std::string caveat;  ///< of the store (Capabilities::caveat)
};

/// Runs the round of a pattern that runs under load; the result of ranks is rank 0's. Fault::invalid, with both
/// numbers, when there are fewer connections or descriptors than sessions. Fault::unavailable and other faults of the
/// environment when the store cannot be opened. A store that fails later gives a result with a note.
Result<RoundResult> run_round(const Scenario& scenario, const RoundRequest& request, const StopSource* stop);

/// What the driver itself costs a transaction, in nanoseconds of CPU: a session whose body does nothing.
double driver_cost_ns();

}  // namespace lockstep::load
