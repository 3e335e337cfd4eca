// async_connection.h: one connection on libpq's asynchronous interface (PostgreSQL manual 34.4), which never blocks its
// thread. The sessions of actors and the connections of tasks are both made of it: it moves the bytes, gives the
// answers in their order, and keeps what the server said last.
//
//   adopt() -> PQsend…() -> move_bytes() -> take_answers(): false -> poll for events() -> move_bytes() -> …
//
// Not thread-safe: its user's own. Errors are data; no call waits.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <utility>
#include <vector>

#include "engine/stores/postgres/connection.h"

namespace lockstep::postgres {

class AsyncConnection {
 public:
  AsyncConnection() = default;
  AsyncConnection(const AsyncConnection&) = delete;
  AsyncConnection& operator=(const AsyncConnection&) = delete;

  /// Takes over one that stands or is being made. Its notices are dropped, but for the last words, unless they are
  /// kept.
  void adopt(Connection connection) noexcept;
  /// From now on notices and notifications are kept until take_notices() gives them.
  void keep_notices() noexcept { keeps_notices_ = true; }
  /// Those that have come since the latest call, in the order of reading; notifications come last.
  std::vector<Notice> take_notices();
  /// Once it stands, and before anything is sent. False: out of memory, or the connection is gone.
  bool stop_blocking() noexcept { return ::PQsetnonblocking(get(), 1) == 0; }
  /// Gives it away in blocking mode, with notices dropped; nullptr unless it is sound, idle and outside a transaction.
  Connection release() noexcept;
  void close() noexcept { connection_.reset(); }

  bool is_open() const noexcept { return connection_ != nullptr; }
  PGconn* get() const noexcept { return connection_.get(); }
  int socket() const noexcept { return ::PQsocket(get()); }
  /// A transaction is open, failed or not.
  bool in_transaction() const noexcept;

  /// Sends what libpq still has to send. True: there is more; the socket must become writable first. A failure shows in
  /// what is read, after the last words.
  bool flush() noexcept;
  /// Sends (unless `sends` is false: all has been sent) and takes in what has come.
  void move_bytes(bool sends = true) noexcept;
  bool has_more_to_send() const noexcept { return has_more_; }
  /// What to poll the socket for. Level-triggered, because reading need not drain the socket.
  short events() const noexcept;

  /// After move_bytes(): gives each result that has come whole to `take`, which answers whether nothing comes after it;
  /// the end of a statement's results is nullptr. False: more must come first. `take` may close the connection, and
  /// then answers true.
  template <class Take>
  bool take_answers(Take&& take) {
    // A failure to send or to read is not the end yet: the server's last words may have come before it, and PQgetResult
    // gives them, then the failure itself. It cannot block on a closed socket.
    while (!is_usable_ || ::PQisBusy(get()) == 0) {
      if (take(Answer(::PQgetResult(get())))) return true;
    }
    return false;
  }

  /// After move_bytes(), with nothing on its way: neither the socket nor the server says that it is over.
  bool is_sound() noexcept;

  /// Keeps what a result or a notice says when the server ends the session with it.
  void note_last_words(const PGresult* said);
  void note_notice(const PGresult* said);
  /// The server's last words, when it has ended the session.
  const std::optional<Error>& last_words() const noexcept { return last_words_; }
  /// Why it is lost: the last words, else what libpq says of it.
  Error loss() const;

 private:
  Connection connection_;
  std::optional<Error> last_words_;
  std::vector<Notice> notices_;
  bool keeps_notices_ = false;
  bool has_more_ = false;
  bool is_usable_ = true;
};

/// The session ends with this result: FATAL or PANIC.
bool ends_session(const PGresult* answer) noexcept;

/// Fault::unsupported when the result begins a COPY, whose stream nobody drains here: the session must be ended.
std::optional<Error> refused_copy(const PGresult* answer);

}  // namespace lockstep::postgres
