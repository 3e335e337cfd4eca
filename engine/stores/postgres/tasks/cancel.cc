// cancel.cc: PQcancel in a helper thread (PostgreSQL manual 34.7).
#include "engine/stores/postgres/tasks/cancel.h"

#include <array>

#include "engine/runtime/runtime.h"

namespace lockstep::runtime {

std::shared_ptr<PgCancel> PgCancel::begin(PGconn* connection) {
  struct Call final : Job {
    Call(PGcancel* h, std::shared_ptr<PgCancel> c) noexcept : handle(h), cancel(std::move(c)) {}
    void run() noexcept override {
      std::array<char, 256> complaint{};
      // What it says does not matter: a server that cannot be reached is noticed by the connection itself.
      (void)::PQcancel(handle, complaint.data(), static_cast<int>(complaint.size()));
      ::PQfreeCancel(handle);
      cancel->returned_.store(true, std::memory_order_release);
      delete this;  // nothing else refers to this job
    }
    PGcancel* const handle;
    const std::shared_ptr<PgCancel> cancel;
  };
  auto cancel = std::make_shared<PgCancel>();
  PGcancel* const handle = ::PQgetCancel(connection);
  if (handle == nullptr) {
    cancel->returned_.store(true, std::memory_order_relaxed);
  } else {
    detail::give_to_helper(*new Call(handle, cancel));
  }
  return cancel;
}

}  // namespace lockstep::runtime
