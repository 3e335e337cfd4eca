// connection.h: a PostgreSQL connection for tasks on loops. No call blocks the worker: a task waits, and the loop
// watches the socket (async_connection.h).
//
//   PgConnection connection(self.loop(), options);        // options.statements = a list with kRead in it
//   const Result<void> open = co_await connection.open();
//   const Result<PgRows> rows = co_await connection.execute(kRead, "alice");
//   const Result<PgRows> done = co_await connection.query("commit");
//
//   closed --open()--> connecting --> idle <--> busy          a statement is on its way
//     ^                    |            ^         |
//     |--------------------+            |         | its task was cancelled, or gave up a transaction
//     |  no server, lost                |         v
//     +---------------------------------+----- draining       cancelled in the server, answered, rolled back
//
// A statement whose task is cancelled is abandoned: the task ends at once, and the connection drains by itself. A
// helper thread tells the server to cancel, since libpq 15 has no cancel that does not block. The answer is thrown away
// and a ROLLBACK follows, so that neither locks nor a late cancel are left behind. A statement that does not end within
// `drain_max` costs the connection; the server rolls back once it notices. Settings of the session (SET, temporary
// tables, advisory locks) stay. Tasks that share connections use those of a transaction (SET LOCAL).
//
// Faults: those of the SQLSTATE. `unavailable`: the connection is lost, and the statement certainly had no effect.
// `outcome_unknown`: it may have had one, since it committed, or wrote outside a transaction.
//
// An answer is read when its task has its turn in the loop's queue, not before. Reading, going on and sending the next
// statement then follow each other, with the connection's memory in the cache. That matters with hundreds of
// connections.
//
// Belongs to the thread of its loop, whose tasks are resumed there. While the connection stands, its socket stays in
// the epoll, level-triggered. So a statement costs a send and a receive and no epoll_ctl, and the end of a server is
// noticed between statements. Looking up a host's name blocks (it is the resolver's): name an address.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "engine/runtime/strand.h"
#include "engine/stores/postgres/async_connection.h"
#include "engine/stores/postgres/tasks/statement.h"

namespace lockstep::runtime {

struct PgOptions {
  postgres::Dsn dsn{};
  std::string application = "lockstep";          ///< the server shows it for the session
  std::string setup{};                           ///< SQL that each connection runs first: "set lock_timeout = …;"
  std::span<const PgStatement> statements{};     ///< that each prepares; outlive it
  Nanos connect_max = std::chrono::seconds(10);  ///< until it is idle, setup included
  Nanos drain_max = std::chrono::seconds(5);     ///< for an abandoned statement to end
};

class PgConnection;

/// What is sent and answered as one: a statement, a text of several, a pipeline. The asking task waits for it.
class PgExchange : public Wait {
 public:
  void cancel(Fault why) noexcept final;
  const char* doing() const noexcept override { return "waiting for PostgreSQL"; }

 protected:
  explicit PgExchange(PgConnection& connection) noexcept : connection_(connection) {}
  ~PgExchange() = default;

  friend class PgConnection;
  /// Hands it to libpq. False: libpq refuses.
  virtual bool send(PGconn* connection) noexcept = 0;
  /// Takes the next result. True: nothing comes after it.
  virtual bool take(postgres::Answer answer) noexcept = 0;
  /// The exchange has ended, without an error or with that of a statement.
  virtual void end(PGconn*) noexcept {}
  /// Its first statement, for messages.
  virtual std::string_view text() const noexcept = 0;
  /// True when it may have taken effect although its answer is lost.
  virtual bool is_in_doubt(bool in_transaction) const = 0;

  bool queue() noexcept final;
  bool waits_again() noexcept final;
  void note(std::optional<Error> failure) noexcept {
    if (!failure_) failure_ = std::move(failure);
  }

  PgConnection& connection_;
  std::optional<Error> failure_;  ///< the first
};

/// One statement. Gives its rows.
class [[nodiscard]] PgQuery : public PgExchange {
 public:
  Result<PgRows> await_resume() noexcept {
    if (failure_) return *std::move(failure_);
    return std::move(rows_);
  }

 protected:
  explicit PgQuery(PgConnection& connection) noexcept : PgExchange(connection) {}
  ~PgQuery() = default;

 private:
  bool take(postgres::Answer answer) noexcept final;
  PgRows rows_;
};

class [[nodiscard]] PgText final : public PgQuery {
 public:
  PgText(PgConnection& connection, const char* sql) noexcept : PgQuery(connection), sql_(sql) {}

 private:
  bool send(PGconn* connection) noexcept override { return ::PQsendQuery(connection, sql_) != 0; }
  std::string_view text() const noexcept override { return sql_; }
  bool is_in_doubt(bool in_transaction) const override;
  const char* const sql_;
};

class [[nodiscard]] PgExecute final : public PgQuery {
 public:
  template <class... Values>
  PgExecute(PgConnection& connection, const PgStatement& statement, const Values&... values) noexcept
      : PgQuery(connection), statement_(statement), parameters_(values...) {}

 private:
  bool send(PGconn* connection) noexcept override;
  std::string_view text() const noexcept override { return statement_.sql; }
  bool is_in_doubt(bool in_transaction) const override;
  const PgStatement& statement_;
  PgParameters parameters_;
};

/// A cancel that a helper thread carries to the server. The connection may be gone before the cancel has arrived.
class PgCancel;

class PgConnection : private Watch, private Timer {
 public:
  enum class State : std::uint8_t { closed, connecting, idle, busy, draining };

  /// Told when a connection that was connecting or draining has become idle. Also told when one that was not busy is
  /// closed. In the loop's thread.
  class Owner {
   public:
    virtual void on_settled(PgConnection& connection) noexcept = 0;

   protected:
    ~Owner() = default;
  };

  /// `options` and `owner` outlive it.
  PgConnection(Loop& loop, const PgOptions& options, Owner* owner = nullptr) noexcept;
  /// Closes the connection; the server rolls back what is open. No task waits for an answer.
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  class [[nodiscard]] Open final : public Wait, private Owner {
   public:
    explicit Open(PgConnection& connection) noexcept : connection_(connection) {}
    Result<void> await_resume() noexcept;
    void cancel(Fault why) noexcept override;
    const char* doing() const noexcept override { return "connecting to PostgreSQL"; }

   private:
    bool queue() noexcept override;
    void on_settled(PgConnection& connection) noexcept override;
    PgConnection& connection_;
    Owner* outer_ = nullptr;
  };

  /// Waits until the connection is idle: it connects, connects again after a loss, or drains.
  Open open() noexcept { return Open(*this); }
  /// A prepared statement. The connection is idle, or closed: then this is Fault::unavailable.
  template <class... Values>
  PgExecute execute(const PgStatement& statement, const Values&... values) noexcept {
    return {*this, statement, values...};
  }
  /// SQL without parameters, several statements if need be: the last one's rows. `sql` lives until it has been sent.
  PgText query(const char* sql) noexcept { return {*this, sql}; }
  PgText query(const std::string& sql) noexcept { return {*this, sql.c_str()}; }

  /// Connects while no task waits; the owner is told. The connection is closed.
  void connect() noexcept;
  /// Rolls back what is open while no task waits; the owner is told. No effect unless the connection is idle.
  void reset() noexcept;

  State state() const noexcept { return state_; }
  /// A transaction is open, failed or not.
  bool in_transaction() const noexcept { return connection_.in_transaction(); }
  /// Its process in the server; 0 when it is closed.
  int server_pid() const noexcept { return connection_.is_open() ? ::PQbackendPID(connection_.get()) : 0; }
  /// Why it was closed.
  const Error& why_closed() const noexcept { return why_closed_; }

 private:
  friend class PgExchange;
  friend class PgQuery;
  enum class Step : std::uint8_t { connect, set_up, prepare, answer, roll_back };

  // The life of an exchange.
  bool begin(PgExchange& exchange) noexcept;
  void abandon() noexcept;
  void tell_to_cancel(Nanos now) noexcept;
  void finish() noexcept;
  /// A COMMIT of a failed transaction answers ROLLBACK: that is its failure.
  std::optional<Error> refused_commit(const PGresult* answer, std::string_view sql) const;

  // What the socket brings.
  void on_ready() noexcept override;
  void go_on_connecting() noexcept;
  void prepare_statements() noexcept;
  void take_input() noexcept;
  bool take(postgres::Answer answer) noexcept;
  void answered() noexcept;
  void watch_socket() noexcept;
  void watch_for_writing() noexcept;

  // Draining, connecting: limits in time.
  void fire() noexcept override;
  void send_internally(const char* sql, Step step) noexcept;
  void roll_back_when_ready() noexcept;
  void become_idle() noexcept;
  void close(Error why) noexcept;
  /// Closes what is lost, with what the server or libpq said last.
  void lose() noexcept { close(connection_.loss()); }

  Loop& loop_;
  const PgOptions& options_;
  Owner* owner_;

  postgres::AsyncConnection connection_;
  State state_ = State::closed;
  Step step_ = Step::connect;  ///< while connecting or draining
  bool has_turn_ = false;      ///< the exchange is in the loop's queue, or is being run from it
  bool is_flushing_ = false;   ///< libpq has more to send: the loop watches the socket for writing too
  bool was_in_transaction_ = false;
  bool has_answer_ = false;  ///< draining: of the abandoned statement
  PgExchange* exchange_ = nullptr;
  std::shared_ptr<PgCancel> cancel_;  ///< shared: the helper thread may be late
  Nanos cancelled_at_{0};
  Nanos deadline_{0};
  std::optional<Error> doomed_;   ///< why the open transaction can only be rolled back: its first failure
  std::optional<Error> failure_;  ///< of set_up or roll_back
  Error why_closed_{Fault::unavailable, {}, "the connection to PostgreSQL is not open"};
};

}  // namespace lockstep::runtime
