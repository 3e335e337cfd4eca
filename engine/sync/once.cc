// once.cc: the first one does it under a lock; the others find it done.
#include "engine/sync/once.h"

namespace lockstep::sync {

Task<> Once::call(Task<> body) {
  const bool was_done = co_await done_.load();
  if (was_done) co_return;
  const Guard guard = co_await first_.lock();
  if (done_.value()) co_return;  // by the one who had the lock: nobody else may change it
  co_await std::move(body);
  co_await done_.store(true);
}

}  // namespace lockstep::sync
