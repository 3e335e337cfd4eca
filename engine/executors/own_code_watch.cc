// own_code_watch.cc: see own_code_watch.h.
#include "engine/executors/own_code_watch.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr Nanos kLookEvery = std::chrono::milliseconds(50);

}  // namespace

OwnCodeWatch::OwnCodeWatch(RunState& run, Nanos most, std::function<void(const OwnCode&)> told)
    : run_(run), most_(most), told_(std::move(told)), thread_([this] { watch(); }) {}

OwnCodeWatch::~OwnCodeWatch() {
  {
    MutexLock lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void OwnCodeWatch::free_run_begins() {
  MutexLock lock(mutex_);
  is_free_ = true;
  actors_.assign(run_.actors.size(), {.moves = 0, .since = clock_.now()});
}

void OwnCodeWatch::free_run_ends() {
  MutexLock lock(mutex_);
  is_free_ = false;
}

void OwnCodeWatch::watch() {
  MutexLock lock(mutex_);
  while (!ends_) {
    changed_.wait_until(mutex_, std::chrono::steady_clock::now() + kLookEvery);
    if (ends_ || !look()) continue;
    // Told with the lock held: the run's end waits for it.
    told_(found_);
    return;
  }
}

bool OwnCodeWatch::look() { return is_free_ ? look_at_free_actors() : look_at_turns(); }

bool OwnCodeWatch::look_at_turns() {
  const std::uint64_t turns = run_.turns.load(std::memory_order_acquire);
  const int actor = run_.has_turn.load(std::memory_order_acquire);
  const Nanos now = clock_.now();
  if (actor < 0 || turns != turn_.moves) {
    turn_ = {.moves = turns, .since = now};
    return false;
  }
  if (now - turn_.since < most_) return false;
  found_ = {.actor = actor, .step = run_.last_step(), .span = now - turn_.since};
  return true;
}

bool OwnCodeWatch::look_at_free_actors() {
  const Nanos now = clock_.now();
  for (const auto& actor : run_.actors) {
    Seen& seen = actors_[static_cast<std::size_t>(actor->index)];
    const bool works = !actor->has_finished() && actor->waiting_step() == 0 && actor->attempts() > 0;
    if (!works || seen.moves != actor->step()) {
      seen = {.moves = actor->step(), .since = now};
    } else if (now - seen.since >= most_) {
      found_ = {.actor = actor->index, .step = actor->step(), .span = now - seen.since};
      return true;
    }
  }
  return false;
}

}  // namespace lockstep
