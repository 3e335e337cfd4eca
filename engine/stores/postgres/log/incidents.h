// incidents.h: the deadlocks and lock waits of a PostgreSQL log, each with what the log tells of its transactions.
//
// Of a deadlock the server writes one ERROR, always: who waited for which lock of whom, and the statement that each one
// had in hand (cut at track_activity_query_size). What the transactions had done before stands in the log only with
// log_statement or log_min_duration_statement. Where it does not, one step a session is guessed: it has locked the rows
// that the other one waits for.
#pragma once

#include <string>
#include <vector>

#include "engine/store/incident.h"
#include "engine/stores/postgres/log/server_log.h"

namespace lockstep::postgres {

/// A session that waits, or that others wait for.
struct Party {
  std::string process;
  std::string in_hand = {};      ///< its statement, without or with a semicolon at its end; empty: not known
  std::string application = {};  ///< application_name
  bool is_victim = false;
  bool waits = true;  ///< false: it held what others waited for
};

/// The table and the condition of an UPDATE, DELETE or SELECT … FOR UPDATE of one table. False: it has another form.
bool table_and_condition(const std::string& sql, std::string& table, std::string& condition);

/// An incident of which only the statements in hand are known. `waits for` goes from each party to the one before it.
Incident incident_of(std::vector<Party> parties, Incident::Kind kind, std::vector<std::string> words);

/// In the order of the log. `waits`: also the waits for a lock that ended well (log_lock_waits).
std::vector<Incident> incidents_in(const std::vector<LogEntry>& log, bool waits);

}  // namespace lockstep::postgres
