// Locking what one holds: a function that locks calls another one that locks the same mutex (C++ standard,
// [thread.mutex.class]: undefined; POSIX: EDEADLK or for ever). The shortest cycle there is: a thread that waits for
// itself.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Log {
  sync::Mutex mutex{"log"};
  int lines = 0;
};

Task<> write_line(Log& log) {
  const sync::Guard guard = co_await log.mutex.lock();
  ++log.lines;
}

/// Called with the mutex held.
void write_line_locked(Log& log) { ++log.lines; }

Task<> write_two_lines(Context& c) {
  auto& log = c.world<Log>();
  const sync::Guard guard = co_await log.mutex.lock();
  ++log.lines;
  co_await write_line(log);
}

Task<> write_two_lines_under_one_lock(Context& c) {
  auto& log = c.world<Log>();
  const sync::Guard guard = co_await log.mutex.lock();
  ++log.lines;
  write_line_locked(log);
}

}  // namespace

Scenario threads_self_relock() {
  return scenario("A thread waits for itself")
      .story("A function holds the log's mutex and calls another function, which locks the log as well.")
      .with<Log>()

      .pattern("naive", "a function that locks calls a function that locks")
      .actor("T1", write_two_lines)
      .expect("none", "*: deadlock")
      .why("The mutex is held by the thread that waits for it.")
      .fix("split the function: one that locks, and one for those who hold the lock", "locked-variant")

      .pattern("locked-variant", "the inner function expects the mutex to be held")
      .actor("T1", write_two_lines_under_one_lock)
      .expect("none", "*: clean")
      .why("The mutex is locked once, at the border of the class.")

      .holds("no line is written twice", [](const Final& end) { return end.world<Log>().lines <= 2; });
}

}  // namespace lockstep::scenarios
