// arena.cc: processor work in a TBB arena.
//
// Jobs lie in a queue of ours, and TBB is given workers that empty it. To enqueue each job by itself would cost about a
// microsecond, mostly for waking TBB's threads. The thread that gives a job away puts it on a list without a lock. A
// worker moves that whole list into the queue, which only workers touch, and takes jobs from there one by one. So no
// job waits behind a long one while another worker is free. A worker without a job looks for one for some microseconds
// before it leaves.
//
// The list is also what orders the hand-over: TBB's library is not compiled for ThreadSanitizer, and nothing of a job
// goes through it.
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/runtime/runtime.h"
#include "kv/base/spin.h"

namespace lockstep::runtime {

class detail::Arena {
 public:
  /// Lives as long as the program: TBB's threads may still be leaving when main() has returned.
  static Arena& only() {
    static auto* const arena = new Arena;
    return *arena;
  }

  void give(Job& job) {
    Job* latest = given_.load(std::memory_order_relaxed);
    do {
      job.next_ = latest;
    } while (!given_.compare_exchange_weak(latest, &job, std::memory_order_seq_cst, std::memory_order_relaxed));
    if (may_begin()) tbb_.enqueue([] { only().work(); });
  }

 private:
  // One slot is kept for a thread of ours, which never comes. TBB has a worker less than there are processors, and
  // would complain of an arena that wants more.
  Arena() : workers_(std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1)), tbb_(workers_ + 1, 1) {}

  /// True: there was room for one more worker, and it counts from now on.
  bool may_begin() noexcept {
    int working = working_.load(std::memory_order_seq_cst);
    while (working < workers_) {
      if (working_.compare_exchange_weak(working, working + 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  void work() noexcept {
    do {
      const auto is_given = [this] { return given_.load(std::memory_order_relaxed) != nullptr; };
      do {
        while (Job* const job = take()) job->run();
      } while (kv::spin_until(is_given));
      // Either the giving thread sees that a worker has left, or the worker sees what was given.
      working_.fetch_sub(1, std::memory_order_seq_cst);
    } while (has_jobs() && may_begin());
  }

  bool has_jobs() noexcept {
    MutexLock lock(mutex_);
    return first_ != nullptr || given_.load(std::memory_order_seq_cst) != nullptr;
  }

  /// The job that was given first; nullptr when there is none.
  Job* take() noexcept {
    MutexLock lock(mutex_);
    if (first_ == nullptr) {
      if (given_.load(std::memory_order_relaxed) == nullptr) return nullptr;
      Job* latest = given_.exchange(nullptr, std::memory_order_seq_cst);
      while (latest != nullptr) {
        Job* const earlier = latest->next_;
        latest->next_ = first_;
        first_ = latest;
        latest = earlier;
      }
      if (first_ == nullptr) return nullptr;
    }
    return std::exchange(first_, first_->next_);
  }

  const int workers_;
  tbb::task_arena tbb_;
  alignas(64) std::atomic<Job*> given_{nullptr};  ///< the latest first
  alignas(64) std::atomic<int> working_{0};
  alignas(64) Mutex mutex_;
  Job* first_ LOCKSTEP_GUARDED_BY(mutex_) = nullptr;  ///< the queue, in order
};

void detail::give_to_arena(Job& job) { Arena::only().give(job); }

}  // namespace lockstep::runtime
