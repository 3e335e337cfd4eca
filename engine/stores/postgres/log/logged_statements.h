// logged_statements.h: the statements of a PostgreSQL log, with their parameters.
//
// What the server writes of a statement: `statement: SQL` before it runs (log_statement; the simple protocol), `execute
// NAME: SQL` with the parameters in DETAIL (the extended one), and with log_min_duration_statement `duration: N ms`
// before these words, behind its end. There a bind has the parameters before the statement waits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/stores/postgres/log/server_log.h"

namespace lockstep::postgres {

struct LoggedStatement {
  std::string sql;             ///< parameters in their places, without a semicolon at its end
  bool is_bind = false;        ///< it may not have run: the line of its execution follows
  bool is_at_end = false;      ///< the line was written when the statement had ended
  std::string without_values;  ///< as it was prepared
  std::string unknown = {};    ///< the parameters whose values the log does not tell: "$1, $2"
};

/// What the entry says of a statement; nullopt: nothing.
std::optional<LoggedStatement> logged_statement(const LogEntry& entry);

/// `sql` with the values of `parameters` ("$1 = '7', $2 = NULL") in the places of its parameters. Literals, quoted
/// names, dollar quotes and comments are left alone. One without a value becomes `:p1`, and is named in `unknown`.
std::string with_parameters(std::string_view sql, std::string_view parameters, std::string& unknown);

/// Without a semicolon and blanks at its end.
std::string_view without_semicolon(std::string_view sql);

enum class TransactionEdge { none, begin, commit, rollback };
/// Whether the statement begins or ends a transaction, by its first words.
TransactionEdge edge_of(std::string_view sql);

}  // namespace lockstep::postgres
