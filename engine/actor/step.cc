// step.cc: what a search is told of plain code.
#include "engine/actor/step.h"

#include "engine/actor/run_state.h"

namespace lockstep {

bool PlainStep::attempt() {
  if (Footprint* const footprint = actor().run.footprint) footprint->global("plain code", Touch::changes);
  return true;
}

}  // namespace lockstep
