// arena.cc: processor work in a TBB arena.
//
// Jobs lie in a queue of ours, and what TBB is given is a worker that empties it: to enqueue each job by itself would
// cost about a microsecond, mostly for waking TBB's threads. So a hop there and back costs two short locks while there
// is work. The queue's mutex is also what orders the hand-over: TBB's library is not compiled for ThreadSanitizer, and
// nothing but the address of the queue goes through it.
#include <tbb/task_arena.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "engine/executors/runtime.h"

namespace lockstep::runtime {
namespace {

class Arena {
 public:
  /// Lives as long as the program: TBB's threads may still be leaving when main() has returned.
  static Arena& only() {
    static auto* const arena = new Arena;
    return *arena;
  }

  void give(Job& job) {
    {
      MutexLock lock(mutex_);
      jobs_.push_back(&job);
      if (working_ == workers_) return;
      ++working_;
    }
    arena_.enqueue([] { only().work(); });
  }

 private:
  // One slot is kept for a thread of ours, which never comes: TBB has a worker less than there are processors, and
  // would complain of an arena that wants more.
  Arena() : workers_(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1)), arena_(workers_ + 1, 1) {}

  void work() {
    for (;;) {
      Job* job = nullptr;
      {
        MutexLock lock(mutex_);
        if (jobs_.empty()) {
          --working_;
          return;
        }
        job = jobs_.front();
        jobs_.pop_front();
      }
      job->run();
    }
  }

  const int workers_;
  tbb::task_arena arena_;
  Mutex mutex_;
  std::deque<Job*> jobs_ LOCKSTEP_GUARDED_BY(mutex_);
  int working_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

}  // namespace

void detail::give_to_arena(Job& job) { Arena::only().give(job); }

}  // namespace lockstep::runtime
