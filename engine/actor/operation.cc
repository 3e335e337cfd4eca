// operation.cc: waking and expiring.
#include "engine/actor/operation.h"

#include "engine/actor/actor.h"
#include "engine/actor/executor.h"

namespace lockstep {

void Operation::wake() noexcept {
  Actor* const actor = actor_;
  // Release: what the waker granted is seen by the actor. Nothing of *this is touched unless the actor is armed, since
  // otherwise its frame may be gone by the next line.
  if (state_.exchange(State::woken, std::memory_order_acq_rel) == State::armed) actor->executor.ready(*actor);
}

bool Operation::expire(Fault why) noexcept {
  expired_with_.store(static_cast<int>(why), std::memory_order_relaxed);
  return state_.exchange(State::woken, std::memory_order_acq_rel) == State::armed;
}

bool Operation::block(Actor& actor, Nanos span) { return actor.executor.park(actor, *this, span); }

}  // namespace lockstep
