// thread_pool.cc: see thread_pool.h.
#include "engine/executors/thread_pool.h"

#include <pthread.h>

#include <utility>

namespace lockstep {

ThreadPool::ThreadPool() {
  if (::sched_getaffinity(0, sizeof allowed_before_, &allowed_before_) != 0) return;
  const int here = ::sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;  // threads made from here on inherit it
}

ThreadPool::~ThreadPool() {
  {
    MutexLock lock(mutex_);
    ends_ = true;
  }
  for (const auto& member : members_) member->wanted.notify_one();
  for (const auto& member : members_) member->thread.join();
  if (pinned_) ::sched_setaffinity(0, sizeof allowed_before_, &allowed_before_);
}

void ThreadPool::start(std::size_t number, const std::string& name, std::function<void()> work) {
  while (members_.size() <= number) {
    members_.push_back(std::make_unique<Member>());
    Member& member = *members_.back();
    member.thread = boost::thread([this, &member] { serve(member); });
  }
  Member& member = *members_[number];
  if (member.name != name) {
    member.name = name;
    pthread_setname_np(member.thread.native_handle(), name.substr(0, 15).c_str());
  }
  {
    MutexLock lock(mutex_);
    member.work = std::move(work);
    ++busy_;
  }
  member.wanted.notify_one();  // with no mutex held: it runs at once on this processor
}

void ThreadPool::wait() {
  MutexLock lock(mutex_);
  while (busy_ > 0) idle_.wait(mutex_);
}

void ThreadPool::serve(Member& member) {
  for (;;) {
    std::function<void()> work;
    {
      MutexLock lock(mutex_);
      while (!member.work && !ends_) member.wanted.wait(mutex_);
      if (!member.work) return;
      work = std::exchange(member.work, nullptr);
    }
    work();
    bool last = false;
    {
      MutexLock lock(mutex_);
      last = --busy_ == 0;
    }
    if (last) idle_.notify_all();
  }
}

}  // namespace lockstep
