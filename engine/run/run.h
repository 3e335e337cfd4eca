// run.h: runs a scenario once at given coordinates and says what happened.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "engine/actor/run_state.h"
#include "engine/executors/own_code_watch.h"
#include "engine/record/run.h"
#include "engine/scenario/scenario.h"
#include "engine/store/backend.h"

namespace lockstep {

/// The coordinates asked for. Empty = the scenario's or the store's default.
struct RunRequest {
  std::string store = {};     ///< default: default_backend() where the pattern names it, else the first that it names
  std::string protocol = {};  ///< default: the store's first
  std::string pattern = {};   ///< default: the scenario's first
  std::string executor = "threads";
  std::string schedule = {};  ///< empty = the pattern's own; "free"; or "T1 T2 T1 …" (strict)
  std::uint64_t seed = 1;
  Dsns dsn = {};                           ///< stores with StoreTraits::dsn; default: their own
  bool durable = false;                    ///< commits on a server of the program's own wait for the disk
  Nanos limit = std::chrono::seconds(30);  ///< longest run; then the verdict is `hung`
  /// On the machine's clock: a run that goes on then is given up, as after ^C. The budget of a search.
  Nanos until = kNever;
  std::optional<Nanos> lock_timeout = {};      ///< default: the pattern's, else the protocol's
  std::optional<Nanos> deadlock_timeout = {};  ///< of the server; default 50 ms
  std::optional<Nanos> connect_timeout = {};   ///< default 5 s
  int workers = 2;                             ///< of the coroutines executor under the free schedule
  std::optional<int> retries = {};             ///< of a body that gave up; default: the pattern's, else 10
  /// As Scenario::waits_at_most(), in its place.
  std::optional<Nanos> waits_at_most = {};
  bool recording = true;
  /// Under the free schedule: of an actor's transactions after its first 500 every n-th is on record; 1: all.
  std::uint32_t record_every = 16;
  /// Told, in a thread of its own, of an actor that keeps to its own code (own_code_watch.h), with the run as it is
  /// known then: the actor cannot be stopped, so whoever is told ends the program. Empty: nobody watches.
  std::function<void(const OwnCode&, record::Run&)> on_own_code = {};
  bool measure = false;  ///< bodies that measure do so at full size and give figures (Context::figure)
};

/// For a search: true when the store of a resolved request tells what each step touches, and when there is no store.
bool knows_footprints(const RunRequest& resolved);

/// Fills in the defaults and checks the names. Fault::invalid, one line with the nearest name or the list of what is
/// supported, when the scenario cannot run there.
Result<RunRequest> resolve(const Scenario& scenario, RunRequest request);

/// Runs the scenario. The returned run is complete but for its id, command and saving. Fault::invalid as resolve(), or
/// for a schedule that cannot be followed; Fault::unavailable and other faults of the environment when the store cannot
/// be opened. A store that fails later ends the run as Ending::unavailable, with the events up to then.
Result<record::Run> run(const Scenario& scenario, const RunRequest& request, const StopSource* stop = nullptr);

}  // namespace lockstep
