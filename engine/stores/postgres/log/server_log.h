// server_log.h: the entries of a PostgreSQL server log, whichever of its three forms it has.
//
// Sources: PostgreSQL's manual, "Error Reporting and Logging" (log_destination, log_line_prefix, the columns of csvlog,
// the keys of jsonlog). An entry of the plain form has its DETAIL, HINT, CONTEXT and STATEMENT in lines of their own,
// under the same prefix; what is longer than a line goes on in lines that begin with a tab.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::postgres {

/// One entry. A field that the log does not give is empty.
struct LogEntry {
  std::size_t line = 0;          ///< where it begins, from 1
  std::string time = {};         ///< as it stands there
  std::string process = {};      ///< the backend's pid, in digits
  std::string session = {};      ///< session id (%c) where there is one: pids are used again
  std::string application = {};  ///< application_name
  std::string transaction = {};  ///< virtual transaction id (%v)
  std::string severity = {};     ///< "LOG", "ERROR", …
  std::string code = {};         ///< SQLSTATE
  std::string message = {}, detail = {}, context = {}, statement = {};

  /// What tells two sessions apart.
  const std::string& who() const noexcept { return session.empty() ? process : session; }
};

/// The form is found out. `prefix`: log_line_prefix of the plain form; empty: any that has the pid in brackets, as the
/// default `%m [%p] ` has. Fault::invalid, with the setting to change: no entry in it, entries without a pid, a prefix
/// that fits no line. What is no entry is passed over.
Result<std::vector<LogEntry>> read_server_log(std::string_view text, const std::string& prefix);

}  // namespace lockstep::postgres
