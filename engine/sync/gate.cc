// gate.cc: sleeping in Boost's condition variable.
#include "engine/sync/gate.h"

#include <boost/chrono/duration.hpp>
#include <boost/thread/lock_types.hpp>

namespace lockstep::sync {

void Gate::sleep(Nanos span) {
  boost::unique_lock<boost::mutex> lock(mutex_, boost::adopt_lock);
  try {
    changed_.wait_for(lock, boost::chrono::nanoseconds(span.count()));
  } catch (const boost::thread_interrupted&) {
    // The actor was told to stop; its executor will see that when we return.
  }
  lock.release();
}

}  // namespace lockstep::sync
