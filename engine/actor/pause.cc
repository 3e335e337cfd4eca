// pause.cc: a wait that its deadline ends without a fault.
#include "engine/actor/pause.h"

#include <fmt/format.h>

#include "engine/actor/run_state.h"

namespace lockstep {
namespace {

/// What the end of a pause is told by; never seen outside.
constexpr Fault kOver = Fault::idle_timeout;

}  // namespace

bool Pause::attempt() {
  const Clock& clock = actor().run.clock();
  if (waiting_.deadline == kNever) {
    waiting_.deadline = clock.after(span_);
    waiting_.deadline_fault = kOver;
  }
  over_ = over_ || clock.now() >= waiting_.deadline;
  return over_ || error.has_value();
}

void Pause::cancel(Fault why) {
  if (why == kOver) {
    over_ = true;
  } else {
    error = Error{why, {}, "stopped during a pause"};
  }
}

Description Pause::describe() const {
  return {"pause", fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(span_).count()), {}};
}

}  // namespace lockstep
