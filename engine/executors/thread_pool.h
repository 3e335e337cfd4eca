// thread_pool.h: OS threads that stay: for runs that are repeated, where making threads would cost more than the run.
#pragma once

#include <sched.h>

#include <boost/thread/thread.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kv/base/mutex.h"

namespace lockstep {

/// Threads by number, made when they are first needed and joined at the end. While the pool lives, its threads and the
/// thread that made it share one processor, where that is allowed. They run one after the other anyway, and a switch on
/// one processor costs a tenth of one between two. Used by one run at a time.
class ThreadPool {
 public:
  ThreadPool();
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Runs `work` on thread `number`, which is called `name` meanwhile. It must be idle.
  void start(std::size_t number, const std::string& name, std::function<void()> work);
  /// Waits until every thread is idle.
  void wait();

 private:
  struct Member {
    boost::thread thread;
    CondVar wanted;
    std::string name;
    std::function<void()> work;  // empty: idle; with mutex_
  };
  void serve(Member& member);

  cpu_set_t allowed_before_;
  bool pinned_ = false;
  std::vector<std::unique_ptr<Member>> members_;  // by the thread that made the pool
  Mutex mutex_;
  CondVar idle_;
  std::size_t busy_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  bool ends_ LOCKSTEP_GUARDED_BY(mutex_) = false;
};

}  // namespace lockstep
