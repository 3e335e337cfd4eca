// replay.h: a recorded run again, step for step, on real threads.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "engine/actor/run_state.h"
#include "engine/record/run.h"
#include "engine/scenario/scenario.h"
#include "engine/store/dsns.h"

namespace lockstep {

struct RunRequest;

struct ReplayOptions {
  std::string executor = "threads";
  /// Stops after this many steps of the schedule, once all that they caused has happened.
  std::size_t until = std::numeric_limits<std::size_t>::max();
  Dsns dsn = {};  ///< as RunRequest::dsn
  /// How often; from 2 on the threads stay from one time to the next, on one processor.
  std::uint64_t times = 1;
};

/// The first thing that was not as recorded.
struct Divergence {
  std::uint64_t seq = 0;   ///< of an event: its number, from 1
  std::size_t step = 0;    ///< of a schedule file (schedule_file.h): the number of the step, from 1; 0: an event
  std::string recorded;    ///< for people; "nothing more" when the recording ends before it
  std::string happened;    ///< likewise
  bool is_victim = false;  ///< a deadlock cost one of the two, and not the other
};

struct Replay {
  record::Run run;        ///< what happened, up to the stop or the divergence; without an id
  std::size_t steps = 0;  ///< of the schedule that were taken
  bool stopped = false;   ///< by `until`: nothing is judged
  std::optional<Divergence> divergence;
  std::uint64_t identical = 0;  ///< how often it was the same
  /// How often the server's clock chose another victim for a deadlock, and the whole was tried again.
  std::uint64_t other_victims = 0;
  double seconds = 0;  ///< that all of it took, the opening of the store not included
};

/// Runs `recorded` again, with its coordinates, seed, options and schedule. Every event is compared with the recorded
/// one before the next step is taken. Times are left out, and on a server what differs from session to session. Where
/// the server's clock chooses the victim of a deadlock (DeadlockBreaking::after_timeout), it is tried up to 20 times.
/// Fault::invalid for a run under the free schedule, which has no order of steps, and for a scenario, pattern or
/// protocol that is not there any more.
Result<Replay> replay(const Scenario& scenario, const record::Run& recorded, const ReplayOptions& options,
                      const StopSource* stop = nullptr);

/// The name in Run::environment of the server's DSN as it was typed, without passwords.
inline constexpr const char* kDsnOption = "option dsn";

/// The options of a run that its other coordinates do not tell, as they are kept in Run::environment.
void note_options(const RunRequest& request, record::Run& run);
void read_options(const record::Run& run, RunRequest& request);

}  // namespace lockstep
