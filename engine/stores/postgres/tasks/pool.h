// pool.h: a bounded number of PostgreSQL connections for any number of tasks of one loop. A process of the server costs
// some 2 MB: ten thousand sessions share a hundred.
//
//   PgPool pool(self.loop(), {.connection = {.dsn = dsn, .statements = kStatements}, .connections_max = 100});
//   const Result<void> open = co_await pool.open();
//   {
//     const Result<PgPool::Lease> lease = co_await pool.acquire();       // first come, first served
//     const Result<PgRows> rows = co_await (*lease)->execute(kRead, 7);
//   }                                                                    // given back at the end of its scope
//
// A connection that comes back in a transaction, or with an abandoned statement, is rolled back or drained before the
// next task has it. One that is lost is replaced. While the server is away the pool tries again, after 10 ms at first
// and 500 ms at last, and tasks go on waiting. When no connection has stood for `give_up_after`, every waiting task
// gets Fault::unavailable with the reason. Tasks that come later begin anew.
//
// A task that is cancelled while it waits leaves the line, and loses its place.
//
// Belongs to the thread of its loop: each worker has a pool of its own, and a share of the connections.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/stores/postgres/tasks/connection.h"

namespace lockstep::runtime {

struct PgPoolOptions {
  PgOptions connection{};
  int connections_max = 10;                        ///< at least 1
  Nanos give_up_after = std::chrono::seconds(10);  ///< without any connection
};

class PgPool {
 private:
  struct Slot;

 public:
  PgPool(Loop& loop, PgPoolOptions options);
  /// Closes the connections. No task may wait, and nothing may be lent out.
  ~PgPool();
  PgPool(const PgPool&) = delete;
  PgPool& operator=(const PgPool&) = delete;

  /// A connection for the time of its life. It may be lost meanwhile: its statements say so.
  class [[nodiscard]] Lease {
   public:
    Lease(Lease&& other) noexcept : pool_(other.pool_), slot_(std::exchange(other.slot_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept {
      if (this != &other) {
        give_back();
        pool_ = other.pool_;
        slot_ = std::exchange(other.slot_, nullptr);
      }
      return *this;
    }
    ~Lease() { give_back(); }

    PgConnection& operator*() const noexcept;
    PgConnection* operator->() const noexcept { return &**this; }

   private:
    friend class PgPool;
    Lease(PgPool* pool, Slot* slot) noexcept : pool_(pool), slot_(slot) {}
    void give_back() noexcept {
      if (slot_ != nullptr) pool_->take_back(*std::exchange(slot_, nullptr));
    }
    PgPool* pool_;
    Slot* slot_;
  };

  class [[nodiscard]] LeaseWait final : public Wait {
   public:
    explicit LeaseWait(PgPool& pool) noexcept : pool_(pool) {}
    ~LeaseWait() {
      if (slot_ != nullptr) pool_.take_back(*slot_);
    }
    Result<Lease> await_resume() noexcept;
    void cancel(Fault why) noexcept override;
    const char* doing() const noexcept override { return "waiting for a connection to PostgreSQL"; }

   private:
    friend class PgPool;
    bool queue() noexcept override;
    PgPool& pool_;
    Slot* slot_ = nullptr;
    std::optional<Error> failure_;
    bool in_line_ = false;
    LeaseWait* previous_ = nullptr;
    LeaseWait* next_ = nullptr;
  };

  /// Connects all of them, kConnectingMax at a time; ends with the first failure. So a wrong password shows at once,
  /// and the connections are ready. Without this call they are made as they are needed.
  Task<> open();
  /// Waits for its turn. Gives a connection that is idle.
  LeaseWait acquire() noexcept { return LeaseWait(*this); }

  struct PoolCounts {
    int connected = 0;  ///< lent out or idle
    int idle = 0;
    std::size_t waiting = 0;       ///< tasks
    std::size_t waiting_most = 0;  ///< at once, so far
    std::uint64_t lost = 0;        ///< connections that had stood
    std::uint64_t reconnects = 0;  ///< connections that were made anew
  };
  PoolCounts counts() const noexcept;

  static constexpr int kConnectingMax = 32;  ///< at once: a server's queue for new connections is short

 private:
  struct Line {  ///< of tasks, first come first
    LeaseWait* first = nullptr;
    LeaseWait* last = nullptr;
    std::size_t size = 0;
  };
  struct Reconnect final : Timer {
    explicit Reconnect(PgPool& p) noexcept : pool(p) {}
    void fire() noexcept override { pool.grow(); }
    PgPool& pool;
  };

  void take_back(Slot& slot) noexcept;
  void settled(Slot& slot) noexcept;
  void offer(Slot& slot) noexcept;
  void failed(const Error& why) noexcept;
  void grow() noexcept;
  void append(LeaseWait& wait) noexcept;
  void remove(LeaseWait& wait) noexcept;

  Loop& loop_;
  const PgPoolOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> idle_;    ///< the last one given back goes out first: it is warm
  std::vector<Slot*> closed_;  ///< may connect
  Line line_;
  int connecting_ = 0;
  int standing_ = 0;  ///< idle, lent out, draining
  Nanos failing_since_{kNever};
  Nanos pause_{0};           ///< before the next attempt to connect, after a failure
  bool is_opening_ = false;  ///< the first failure is told at once
  Reconnect retry_{*this};
  PoolCounts counts_;
};

/// How many connections a server admits.
struct PgRoom {
  int most = 0;      ///< max_connections
  int reserved = 0;  ///< of these for superusers; 0 for one of them
  int used = 0;      ///< at this moment, the asking one included
  int left() const noexcept { return std::max(most - reserved - used, 0); }
};
Task<PgRoom> connection_room(PgConnection& connection);

/// Makes sure that the server admits `needed` more connections, before any of them is tried. Fault::invalid with both
/// numbers and what to do.
Task<> need_connections(PgConnection& connection, int needed);

}  // namespace lockstep::runtime
