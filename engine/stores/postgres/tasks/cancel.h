// cancel.h: a cancel on its way to a PostgreSQL server, in a helper thread: libpq 15 has none that does not block.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <memory>

namespace lockstep::runtime {

/// One cancel. Whoever asked for it may be gone, and the loop with it, before it has arrived: so the helper thread owns
/// its share and tells nobody; who is still interested asks has_returned().
class PgCancel {
 public:
  /// Sends it. `connection` has a statement in flight and may be closed afterwards.
  static std::shared_ptr<PgCancel> begin(PGconn* connection);

  /// The server has been told, or could not be reached. The signal may still have to be handled: the next statement
  /// can meet it. Any thread.
  bool has_returned() const noexcept { return returned_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> returned_{false};
};

}  // namespace lockstep::runtime
