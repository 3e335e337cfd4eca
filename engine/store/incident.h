// incident.h: what the log of a server, or the server itself, tells of a deadlock or of a wait: enough to have it
// again.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep {

/// One deadlock, or one wait for a lock, as a story of sessions. A value.
struct Incident {
  enum class Kind { deadlock, wait };

  struct Participant {
    std::string name;    ///< a name of a scenario file
    std::string remark;  ///< for people: "process 742, billing"
    bool is_victim = false;
  };
  struct SessionStep {
    std::size_t session = 0;
    std::string sql;     ///< without a semicolon at its end
    std::string remark;  ///< why it is a guess, or what is to be filled in; empty: it stands in the log
  };

  Kind kind = Kind::deadlock;
  std::string when;                ///< as the server wrote it
  std::vector<std::string> words;  ///< the server's own
  std::vector<Participant> sessions;
  std::vector<SessionStep> statements;  ///< in the order of the log
  std::vector<std::string> missing;     ///< a sentence each: what the log does not tell, and what would have told it
  std::vector<std::string> relations;   ///< tables that the statements name
  /// SQL that makes these tables and the rows concerned; empty: not known.
  std::vector<std::string> setup;
  /// The command that writes the tables' definitions, for people; empty: pg_dump.
  std::string dump_command = {};
};

/// Where a store that is a server tells of its incidents. Functions, not null.
struct IncidentSource {
  /// What stands in its log, in that order. `form`: how a line of it begins, as the server's own setting has it; empty:
  /// to be found out. `waits`: also the waits that were no deadlock. Fault::invalid: it is no such log.
  Result<std::vector<Incident>> (*in_log)(std::string_view text, const std::string& form, bool waits);
  /// The waits in that database now. Sessions that no wait joins stand in separate incidents. Fault::unavailable: the
  /// server cannot be asked.
  Result<std::vector<Incident>> (*now)(const std::string& dsn);
  /// Fills in `setup` from the database: the tables and, when `rows`, the rows that the statements name.
  Result<void> (*bring_tables)(Incident& incident, const std::string& dsn, bool rows);
  std::string_view form_help;  ///< one line about `form`
};

/// The incident as a scenario file for the store of that name, its title and story in comments.
std::string scenario_file(const Incident& incident, const std::string& store);

}  // namespace lockstep
