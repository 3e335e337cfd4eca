// crew.cc: see crew.h.
#include "engine/executors/crew.h"

#include <pthread.h>

namespace lockstep {

Crew::Crew() {
  if (::sched_getaffinity(0, sizeof allowed_before_, &allowed_before_) != 0) return;
  const int here = ::sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;  // threads made from here on inherit it
}

Crew::~Crew() {
  {
    boost::lock_guard<boost::mutex> lock(mutex_);
    ends_ = true;
    for (const auto& member : members_) member->wanted.notify_all();
  }
  for (const auto& member : members_) member->thread.join();
  if (pinned_) ::sched_setaffinity(0, sizeof allowed_before_, &allowed_before_);
}

void Crew::start(std::size_t number, const std::string& name, std::function<void()> work) {
  while (members_.size() <= number) {
    members_.push_back(std::make_unique<Member>());
    Member& member = *members_.back();
    member.thread = boost::thread([this, &member] { serve(member); });
  }
  boost::lock_guard<boost::mutex> lock(mutex_);
  Member& member = *members_[number];
  member.work = std::move(work);
  if (member.name != name) {
    member.name = name;
    pthread_setname_np(member.thread.native_handle(), name.substr(0, 15).c_str());
  }
  ++busy_;
  member.wanted.notify_all();
}

void Crew::wait() {
  boost::this_thread::disable_interruption no_interruption;
  boost::unique_lock<boost::mutex> lock(mutex_);
  while (busy_ > 0) idle_.wait(lock);
}

void Crew::serve(Member& member) {
  boost::this_thread::disable_interruption no_interruption;
  boost::unique_lock<boost::mutex> lock(mutex_);
  for (;;) {
    while (!member.work && !ends_) member.wanted.wait(lock);
    if (!member.work) return;
    lock.unlock();
    member.work();
    lock.lock();
    member.work = nullptr;
    if (--busy_ == 0) idle_.notify_all();
  }
}

}  // namespace lockstep
