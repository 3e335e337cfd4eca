// isolation.h: an isolation spec as its own tool runs it: permutations of named steps, and a text that is compared byte
// for byte. A store that can do that says so in BackendKind::run_isolation_spec.
//
// What a spec means: PostgreSQL's sources, src/test/isolation/README.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep {

struct IsolationStep {
  std::string name, sql;
};

struct IsolationSession {
  std::string name;
  std::optional<std::string> setup, teardown;
  std::vector<IsolationStep> steps;
};

/// Where a step stands.
struct IsolationPlace {
  std::size_t session = 0;
  std::size_t step = 0;
  friend bool operator==(const IsolationPlace&, const IsolationPlace&) = default;
};

/// Delays the report of a step, never its launch.
struct IsolationMarker {
  enum class Kind : std::uint8_t {
    once,     ///< it counts as waiting at its first try
    step,     ///< until that step is reported
    notices,  ///< until the session of that step has given so many notices more
  };
  Kind kind = Kind::once;
  IsolationPlace place = {};
  int notices = 0;
};

struct IsolationEntry {
  IsolationPlace place;
  std::vector<IsolationMarker> markers = {};
};

struct IsolationSpec {
  std::string name;  ///< of the file, without its folder and its extension
  std::vector<std::string> setups;
  std::optional<std::string> teardown;
  std::vector<IsolationSession> sessions;
  std::vector<std::vector<IsolationEntry>> permutations;  ///< empty: every interleaving of the steps, depth first
};

struct IsolationOptions {
  std::string dsn;                ///< empty: the store's default
  std::string protocol;           ///< empty: the server's own
  std::optional<Nanos> limit;     ///< after which a step is cancelled; nullopt: as the store's tool has it
  std::function<bool()> stopped;  ///< ^C; asked again and again
  /// Both are called in the order in which the tool writes to standard output and standard error.
  std::function<void(std::string_view)> out, err;
};

/// Runs the spec on a database of its own. Gives the exit code of the tool: 0 also when steps fail, 1 when the run
/// could not go on (the reason went to `err`). Fault::unavailable without a server, Fault::permission when the role may
/// not make a database, Fault::cancelled after ^C.
using RunIsolationSpec = Result<int> (*)(const IsolationSpec& spec, const IsolationOptions& options);

}  // namespace lockstep
