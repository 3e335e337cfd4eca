// statements.h: the portable verbs as SQL on the table kv(k, v), and what a statement does to its transaction.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>
#include <string_view>

#include "engine/store/backend.h"
#include "engine/stores/mariadb/connection.h"

namespace lockstep::mariadb {

/// The run's table. Bytes, because a collation would pad with blanks ('a' = 'a '), and because a TEXT can be no key.
inline constexpr std::string_view kCreateTable =
    "create table kv (k varbinary(700) primary key, v mediumblob) engine=innodb";

/// The statement of a request, but for savepoints, whose names the session keeps.
std::string statement_for(const Request& request);

/// What a statement does to the transaction as a whole.
enum class MariaEffect { none, begins, ends };

/// What the request does: begin, commit and abort by their verbs, SQL by the first words of its text.
MariaEffect effect_of(const Request& request);

/// Of a statement in SQL that runs outside a transaction: it may change something, which is then committed at once.
bool may_autocommit(std::string_view sql);
/// Of a statement that ends a transaction: it takes back what was done.
bool ends_without_commit(std::string_view sql);
/// No statement of the server's: sends the commit of the transaction, whose answer the verb commit then takes.
bool is_send_of_commit(std::string_view sql);
/// It may take a lock that lasts as long as the session.
bool may_lock_session(std::string_view sql);
/// It may set a limit after which the server ends a statement or a wait.
bool may_set_limit(std::string_view sql);
/// It may wait for, or take, locks that InnoDB does not know: of tables as a whole, or by name.
bool may_lock_beyond_rows(std::string_view sql);
/// It may leave rows that were not there.
bool may_insert(std::string_view sql);

/// True when a lost connection leaves open whether the request took effect. That holds for what commits a transaction,
/// and outside a transaction for what may write.
bool is_in_doubt_when_lost(const Request& request, bool in_transaction);

/// Fills the reply from what the server gave.
void fill_reply(Reply& reply, const Request& request, MariaAnswer answer);

}  // namespace lockstep::mariadb
