// session.cc: the verbs as SQL, and what SQLITE_BUSY means at each of them.
#include "engine/stores/sqlite/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/record/sqlite.h"

namespace lockstep::sqlite {
namespace {

/// How often a busy request is tried again at once, because the lock seems to be free.
constexpr int kTriesInARow = 8;
/// How long to wait before looking whether another process has given the file back.
constexpr Nanos kPollInterval = std::chrono::milliseconds(1);

const char* sql_of(Verb verb) noexcept {
  switch (verb) {
    case Verb::read:
    case Verb::read_for_update:
      return "SELECT v FROM kv WHERE k = ?1";
    case Verb::write:
      return "INSERT INTO kv VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v";
    case Verb::insert:
      return "INSERT INTO kv VALUES (?1, ?2)";
    case Verb::write_if:
      return "UPDATE kv SET v = ?2 WHERE k = ?1 AND v = ?3";
    case Verb::add:
      return "UPDATE kv SET v = lockstep_add(v, ?4) WHERE k = ?1 RETURNING v";
    case Verb::add_if:
      return "UPDATE kv SET v = lockstep_add(v, ?4) WHERE k = ?1 AND lockstep_add(v, ?4) >= ?5";
    case Verb::erase:
      return "DELETE FROM kv WHERE k = ?1";
    case Verb::scan:
    case Verb::scan_for_update:
      return "SELECT k, v FROM kv WHERE k >= ?1 AND (?6 = '' OR k < ?6) ORDER BY k LIMIT ?7";
    case Verb::commit:
      return "COMMIT";
    case Verb::abort:
      return "ROLLBACK";
    default:
      return nullptr;
  }
}

bool is_savepoint(Verb verb) noexcept {
  return verb == Verb::savepoint || verb == Verb::rollback_to || verb == Verb::release;
}

bool is_read(Verb verb) noexcept {
  return verb == Verb::read || verb == Verb::read_for_update || verb == Verb::scan || verb == Verb::scan_for_update;
}

bool is_scan(Verb verb) noexcept { return verb == Verb::scan || verb == Verb::scan_for_update; }

bool is_begin(Verb verb) noexcept { return verb == Verb::begin; }

/// SQLite takes "a" and "A" for the same savepoint; in hexadecimal any text is a name of its own, and needs no quotes.
std::string savepoint_sql(Verb verb, std::string_view name) {
  const char* command = verb == Verb::savepoint ? "SAVEPOINT" : verb == Verb::rollback_to ? "ROLLBACK TO" : "RELEASE";
  std::string sql = fmt::format("{} s_", command);
  for (unsigned char c : name) sql += fmt::format("{:02x}", c);
  return sql;
}

/// A statement that ends the transaction: COMMIT and END, or this.
bool is_rollback(std::string_view sql) noexcept {
  sql.remove_prefix(std::min(sql.find_first_not_of(" \t\n;"), sql.size()));
  return sql.size() >= 8 && sqlite3_strnicmp(sql.data(), "rollback", 8) == 0;
}

bool is_busy(int code) noexcept { return (code & 0xff) == SQLITE_BUSY; }

/// A request for messages: "BEGIN IMMEDIATE", "write account/3", "COMMIT".
std::string words_of(const Request& request, BeginMode mode) {
  switch (request.verb) {
    case Verb::begin:
      return begin_statement(mode);
    case Verb::commit:
      return "COMMIT";
    case Verb::execute:
      return std::string(request.key.substr(0, 60));
    default:
      return fmt::format("{} {}", name_of(request.verb), request.key);
  }
}

void bind(sqlite3_stmt* statement, int index, std::string_view text) {
  // Static: the request's views stay valid until it is answered. An empty view may have no address.
  if (index > sqlite3_bind_parameter_count(statement)) return;
  sqlite3_bind_text64(statement, index, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void bind(sqlite3_stmt* statement, int index, std::int64_t number) {
  if (index <= sqlite3_bind_parameter_count(statement)) sqlite3_bind_int64(statement, index, number);
}

std::optional<std::string> column(sqlite3_stmt* statement, int index) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, index));
  if (text == nullptr) return std::nullopt;
  return std::string(text, sqlite3_column_bytes(statement, index));
}

}  // namespace

SqliteSession::SqliteSession(std::unique_ptr<Connection> connection, SharedByAll& shared, int actor,
                             const std::string& name)
    : connection_(std::move(connection)), shared_(shared), name_(name), member_(shared.registry.join(actor, name)) {}

SqliteSession::~SqliteSession() {
  // Closing would roll back as well, but the members of this object go only after leave() has woken the others.
  if (in_transaction()) sqlite3_exec(connection_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  shared_.registry.leave(member_);
}

bool SqliteSession::attempt(Pending& pending, Waiter& waiter) {
  if (pending.phase == 0) forget_request();
  pending.reply = {};
  pending.error.reset();
  const Request& request = pending.request;
  if (cancelled_with_) {
    pending.error = gave_up(request, *cancelled_with_);
    forget_request();
    return true;
  }
  if (pending.error = refusal(request, in_transaction()); pending.error) return true;
  for (int tries = 1;; ++tries) {
    connection_->start_statement();
    const std::uint64_t epoch = shared_.registry.begin_step(member_, most_it_may_take(request));
    const Step done = step(request, pending.reply);
    if (!is_busy(done.code) || !connection_->asked_to_wait()) {
      if (done.code != SQLITE_OK) pending.error = error_of(request, done);
      shared_.registry.end_step(member_, held());
      forget_request();
      return true;
    }
    pending.reply = {};
    if (request.verb == Verb::commit && shared_.protocol.journal == Journal::rollback) commit_was_refused_ = true;
    wanted_ = wanted(request, done.read_only);
    const auto queued =
        shared_.registry.queue(member_, held(), wanted_, tries < kTriesInARow ? epoch : LockRegistry::kNoEpoch, waiter);
    if (queued != LockRegistry::Queued::again) return wait(pending, queued);
  }
}

/// The request is queued: says until when. True when its time is over already.
bool SqliteSession::wait(Pending& pending, LockRegistry::Queued queued) {
  const Nanos now = shared_.clock.now();
  if (pending.phase == 0) {
    pending.phase = 1;
    waiting_since_ = now;
    deadline_ = shared_.clock.after(shared_.busy_timeout);
  }
  if (now >= deadline_) {
    pending.error = gave_up(pending.request, Fault::busy);
    shared_.registry.give_up(member_);
    forget_request();
    return true;
  }
  pending.waiting = {};
  pending.waiting.deadline = deadline_;
  pending.waiting.deadline_fault = Fault::busy;
  if (queued == LockRegistry::Queued::foreign) pending.waiting.retry_at = now + kPollInterval;
  return false;
}

void SqliteSession::cancel(Pending& /*pending*/, Fault why) {
  if (!cancelled_with_) cancelled_with_ = why;  // the first reason counts
  shared_.registry.give_up(member_);
}

std::vector<Blocker> SqliteSession::blockers(const Pending& /*pending*/) { return shared_.registry.blockers(member_); }

void SqliteSession::forget_request() noexcept {
  wanted_ = Level::none;
  deadline_ = kNever;
  cancelled_with_.reset();
}

SqliteSession::Step SqliteSession::step(const Request& request, Reply& reply) {
  if (request.verb == Verb::reset || (request.verb == Verb::abort && !in_transaction())) return {};
  const bool was_in_transaction = in_transaction();
  sqlite3_stmt* statement = nullptr;
  Step done;
  done.code = prepare(request, statement);
  if (statement != nullptr) {
    done.read_only = sqlite3_stmt_readonly(statement) != 0;
    done.code = run(statement, request, reply);
    if (request.verb == Verb::execute) {
      reply.autocommitted = !was_in_transaction && !in_transaction() && !done.read_only;
      reply.rolled_back = was_in_transaction && !in_transaction() && is_rollback(request.key);
    }
  }
  if (done.code == SQLITE_MISUSE) {
    done.words = "one statement at a time";
  } else if (done.code != SQLITE_OK) {
    done.words = sqlite3_errmsg(connection_->handle());
  }
  // Gives back what the statement itself holds. The step's answer is already known.
  if (statement != nullptr) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
  return done;
}

int SqliteSession::prepare(const Request& request, sqlite3_stmt*& statement) {
  if (is_begin(request.verb)) return connection_->prepare(begin_statement(shared_.protocol.begin), statement);
  if (request.verb == Verb::execute) return connection_->prepare(request.key, statement);
  if (is_savepoint(request.verb)) return connection_->prepare(savepoint_sql(request.verb, request.key), statement);
  return connection_->prepare(sql_of(request.verb), statement);
}

int SqliteSession::run(sqlite3_stmt* statement, const Request& request, Reply& reply) {
  if (request.verb != Verb::execute) {
    bind(statement, 1, request.key);
    bind(statement, 2, request.value);
    bind(statement, 3, request.expected);
    bind(statement, 4, request.delta);
    bind(statement, 5, request.floor);
    bind(statement, 6, request.upper);
    bind(statement, 7, static_cast<std::int64_t>(std::min<std::size_t>(request.limit, INT64_MAX)));
  }
  const std::int64_t changes_before = sqlite3_total_changes64(connection_->handle());
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    const int columns = sqlite3_column_count(statement);
    if (is_scan(request.verb) || request.verb == Verb::execute) {
      auto& row = reply.table.emplace_back();
      for (int i = 0; i < columns; ++i) row.push_back(column(statement, i));
    } else {
      reply.value = column(statement, 0);
    }
  }
  if (code != SQLITE_DONE) return code;
  const bool changed = sqlite3_total_changes64(connection_->handle()) != changes_before;
  reply.rows = changed                                           ? sqlite3_changes64(connection_->handle())
               : is_read(request.verb) && !is_scan(request.verb) ? std::int64_t{reply.value.has_value()}
                                                                 : static_cast<std::int64_t>(reply.table.size());
  return SQLITE_OK;
}

Level SqliteSession::most_it_may_take(const Request& request) const {
  const Level all = shared_.protocol.journal == Journal::wal ? Level::reserved : Level::exclusive;
  switch (request.verb) {
    case Verb::begin:
      return shared_.protocol.begin == BeginMode::deferred    ? Level::shared
             : shared_.protocol.begin == BeginMode::immediate ? Level::reserved
                                                              : all;
    case Verb::commit:
    case Verb::execute:
      return all;
    case Verb::savepoint:
    case Verb::rollback_to:
    case Verb::release:
    case Verb::abort:
    case Verb::reset:
      return Level::none;
    default:
      return is_read(request.verb) ? Level::shared : Level::reserved;
  }
}

/// The lock that a busy request did not get.
Level SqliteSession::wanted(const Request& request, bool read_only) const {
  const bool wal = shared_.protocol.journal == Journal::wal;
  // A writer lacks only the right to change the file while others read, which its commit needs.
  if (connection_->transaction_state() == SQLITE_TXN_WRITE) return wal ? Level::reserved : Level::exclusive;
  if (is_begin(request.verb)) {
    // A deferred one takes no lock, but the connection may have been opened while the file was locked.
    if (shared_.protocol.begin == BeginMode::deferred) return Level::shared;
    return shared_.protocol.begin == BeginMode::exclusive && !wal ? Level::exclusive : Level::reserved;
  }
  return read_only ? Level::shared : Level::reserved;
}

/// What the session holds now, from what it did and from what SQLite says of its transaction.
Level SqliteSession::held() noexcept {
  const int state = connection_->transaction_state();
  if (state != SQLITE_TXN_WRITE) commit_was_refused_ = false;
  if (state == SQLITE_TXN_NONE) return Level::none;
  if (state == SQLITE_TXN_READ) return Level::shared;
  if (shared_.protocol.journal == Journal::wal) return Level::reserved;
  if (shared_.protocol.begin == BeginMode::exclusive) return Level::exclusive;
  return commit_was_refused_ ? Level::pending : Level::reserved;
}

Error SqliteSession::error_of(const Request& request, const Step& step) const {
  if (is_busy(step.code)) return refused_wait(request, step.code);
  const std::string code = code_name(step.code);
  if (step.code == SQLITE_INTERRUPT) {
    return {Fault::statement_timeout, code,
            fmt::format("{}: {} ran longer than allowed", name_, words_of(request, shared_.protocol.begin))};
  }
  if (step.code == SQLITE_MISUSE)
    return {Fault::invalid, {}, fmt::format("{}: {}: {}", name_, request.key, step.words)};
  if (step.code == SQLITE_ERROR && is_savepoint(request.verb)) {
    return {Fault::invalid, code, fmt::format("{}: no savepoint \"{}\" in this transaction", name_, request.key)};
  }
  return {fault_of(step.code), code,
          fmt::format("{}: {}: {}", name_, words_of(request, shared_.protocol.begin), step.words)};
}

/// SQLite did not even ask whether to wait, since a transaction that reads wants to write.
Error SqliteSession::refused_wait(const Request& request, int code) const {
  const std::string what = words_of(request, shared_.protocol.begin);
  if (code == SQLITE_BUSY_SNAPSHOT) {
    return {Fault::busy_snapshot, code_name(code),
            fmt::format("{}: {}: another transaction has committed since this one began to read, and an old snapshot "
                        "cannot be written to; roll back and begin again (an immediate protocol avoids this)",
                        name_, what)};
  }
  const std::string who = shared_.registry.blockers_in_words(member_, Level::reserved);
  const char* why = shared_.protocol.journal == Journal::wal ? "what this one has read will be out of date by then"
                                                             : "that one cannot commit before this one stops reading";
  return {Fault::busy, code_name(code),
          fmt::format("{}: {}: {} writes, and {}, so SQLite refuses to wait; roll back and begin again (an immediate "
                      "protocol avoids this)",
                      name_, what, who, why)};
}

Error SqliteSession::gave_up(const Request& request, Fault why) const {
  const double waited_ms = std::chrono::duration<double, std::milli>(shared_.clock.now() - waiting_since_).count();
  const std::string who = shared_.registry.blockers_in_words(member_, wanted_);
  return {why, why == Fault::busy ? "SQLITE_BUSY" : "",
          fmt::format("{}: gave up {} after {:.3g} ms of waiting for {}{}", name_,
                      words_of(request, shared_.protocol.begin), waited_ms, who,
                      why == Fault::busy ? "; roll back and run the transaction again" : "")};
}

}  // namespace lockstep::sqlite
