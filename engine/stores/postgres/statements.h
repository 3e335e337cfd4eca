// statements.h: the portable verbs as SQL on the table kv(k, v): one table of statements that both kinds of sessions
// run.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/store/backend.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

/// The run's table. fillfactor leaves room on the page, so that an update stays on it (HOT) and touches no index. At
/// serializable, touching an index page would abort disjoint transactions, since many keys share it.
inline constexpr std::string_view kCreateTable =
    "create table kv (k text collate \"C\" primary key, v text) with (fillfactor = 25)";

/// A statement that each session prepares once.
struct Prepared {
  const char* name;
  std::string_view types;  ///< of its parameters, for PREPARE
  std::string_view sql;
  int parameters;
};

std::span<const Prepared> prepared_statements();

/// One request, ready to be sent: a prepared statement with its parameters, or else a text of its own.
struct Call {
  const Prepared* prepared = nullptr;
  std::string text;
  std::array<std::optional<std::string>, 3> parameters;
};

/// What a statement does to the transaction as a whole.
enum class TransactionEffect { none, begins, ends };

/// Of a statement in SQL that runs outside a transaction: it may change something, which is then committed at once. Not
/// for settings, nor for queries, which are taken to change nothing.
bool may_autocommit(std::string_view sql);
/// It may take a lock that lasts as long as the session.
bool may_lock_session(std::string_view sql);
/// It looks at where rows lie, at the numbers of transactions or at statistics: what differs between tables that are
/// made anew and tables that are restored.
bool sees_layout(std::string_view sql);
/// It may leave something in its session that a reset of the session does not take away: prepared statements, settings
/// of one's own, seeds.
bool leaves_traces(std::string_view sql);
/// It names what changes the state of a session: settings, advisory locks, sequences, temporary tables.
bool touches_session(std::string_view sql);
/// It is one statement on rows, or of a transaction, and leaves nothing in its session, unless by a function or a
/// sequence of the user's.
bool is_plain(std::string_view sql);
/// It may set a limit after which the server ends a statement or a wait.
bool may_set_limit(std::string_view sql);

/// Of a statement that ends a transaction: it takes back what was done.
bool ends_without_commit(std::string_view sql);

/// The call for a request; `isolation` is for begin. Fault::invalid when a text holds a zero byte, which PostgreSQL
/// cannot store.
Result<Call> call_for(const Request& request, std::string_view isolation);

/// The statement of a call as a person would type it: with its parameters in their places.
std::string text_of(const Call& call);

/// What the request does: begin, commit and abort do so by their verbs, SQL by the first words of its text. PREPARE
/// TRANSACTION ends a transaction; ROLLBACK TO and COMMIT PREPARED do not.
TransactionEffect effect_of(const Request& request);

/// True when a lost connection leaves open whether the request took effect. That holds for what commits a transaction,
/// and outside a transaction for what may write.
bool is_in_doubt_when_lost(const Request& request, bool in_transaction);

/// Fills the reply from the rows that the server gave and the number that it touched.
void fill_reply(Reply& reply, const Request& request, Table table, std::int64_t rows_touched);

}  // namespace lockstep::postgres
