// join.cc: the wait for an actor's end.
#include "engine/sync/join.h"

#include <fmt/format.h>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/base/suggest.h"

namespace lockstep::sync {

JoinOperation::~JoinOperation() {
  if (waits_) actor().run.end_waiters.remove(*this);
}

bool JoinOperation::attempt() {
  if (error) return true;
  RunState& run = actor().run;
  if (whom_ == nullptr) {
    std::vector<std::string> names;
    for (const auto& each : run.actors) {
      names.push_back(each->name);
      if (each->name == name_) whom_ = each.get();
    }
    if (whom_ == nullptr) {
      error = Error{Fault::invalid, {}, unknown_name("actor", name_, names)};
      return true;
    }
    // From now on the end of that actor is something that steps touch: what was seen before did not say so.
    if (run.footprint != nullptr) run.footprint->queue_matters(whom_->end_name());
  }
  touch(actor(), whom_->end_name(), Touch::looks);
  if (waits_) {
    if (!whom_->has_finished()) return false;
    run.end_waiters.remove(*this);
    waits_ = false;
    return true;
  }
  waits_ = run.end_waiters.add(*whom_, *this);
  if (waits_) touch_wait_begun(actor());
  return !waits_;
}

void JoinOperation::cancel(Fault why) {
  if (!waits_) return;
  touch_wait_given_up(actor());
  actor().run.end_waiters.remove(*this);
  waits_ = false;
  if (whom_->has_finished()) return;
  error = Error{why, {}, fmt::format("{} gave up waiting for {}", actor().name, whom_->end_name())};
}

std::vector<Blocker> JoinOperation::blockers() {
  if (whom_ == nullptr || whom_->has_finished()) return {};
  return {{.actor = whom_->index, .object = whom_->end_name(), .what = "still runs"}};
}

}  // namespace lockstep::sync
