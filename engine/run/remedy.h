// remedy.h: what mends a run, where something does: another pattern, another protocol, or to run it again.
#pragma once

#include <optional>
#include <string>

#include "engine/record/run.h"
#include "engine/scenario/scenario.h"

namespace lockstep {

struct Remedy {
  std::string sentence;
  // The coordinates at which it can be seen, where they differ from those of the run. Without any, the sentence is all.
  std::string protocol = {};
  std::string pattern = {};
  std::optional<int> retries = {};
  bool has_command = false;
};

/// What mends `run`, judged but for its fix: its own pattern's fix, else a stronger level or another protocol, else to
/// run the transaction again. nullopt: nothing is to be mended, or nothing true can be said. What has a command ends
/// better by what the scenario expects there; `lockstep check` runs it.
std::optional<Remedy> remedy_of(const Scenario& scenario, const Pattern& pattern, const record::Run& run);

/// The command line of a remedy of `run`.
std::string command_of(const Remedy& remedy, const record::Run& run);

/// True of a run that has nothing to be mended: it ended well, or after a retry that succeeded. `gave_up`: somebody's
/// last attempt failed.
bool is_mended(record::Verdict verdict, bool gave_up);

/// True when somebody's last attempt failed in a way that was worth another one.
bool gave_up(const record::Run& run);

}  // namespace lockstep
