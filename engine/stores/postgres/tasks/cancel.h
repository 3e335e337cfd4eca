// cancel.h: a cancel on its way to a PostgreSQL server, in a helper thread: libpq 15 has none that does not block.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <memory>

namespace lockstep::runtime {

/// One cancel. Its connection may be gone before the cancel has arrived, and the loop with it. So the helper thread
/// owns a share and reports to nothing; a connection that is still there asks has_returned().
class PgCancel {
 public:
  /// Sends it. `connection` has a statement in flight and may be closed afterwards.
  static std::shared_ptr<PgCancel> begin(PGconn* connection);

  /// True when the server has been told, or could not be reached. The server may still have to handle the signal, so
  /// the next statement can meet it. Any thread.
  bool has_returned() const noexcept { return returned_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> returned_{false};
};

}  // namespace lockstep::runtime
