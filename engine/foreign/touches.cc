// touches.cc: see touches.h.
#include "engine/foreign/touches.h"

#include <algorithm>
#include <bit>
#include <string_view>

namespace lockstep::foreign {
namespace {

Passage passage_of(const Touched& touched) {
  return {
      .needs_open = touched.needs_open, .closed_before = touched.closed_before, .closed_after = touched.closed_after};
}

Touch touch_of(const Touched& touched) {
  switch (touched.touch) {
    case TouchKind::looks:
      return Touch::looks;
    case TouchKind::shares:
      return Touch::shares;
    case TouchKind::changes:
      break;
  }
  return Touch::changes;
}

}  // namespace

void add_touches(Footprint& footprint, const Touches& touches) {
  for (std::uint32_t i = 0; i < touches.count; ++i) {
    const Touched& each = touches.touched[i];
    char key[sizeof each.object + 1];
    std::copy_n(reinterpret_cast<const char*>(&each.object), sizeof each.object, key);
    key[sizeof each.object] = static_cast<char>('0' + each.facet);
    footprint.lock(std::string_view(key, sizeof key), touch_of(each), passage_of(each));
  }
  for (std::uint32_t ran = touches.ran; ran != 0; ran &= ran - 1) footprint.ran(std::countr_zero(ran));
}

void add_blocked(PrimitiveModel& model, int threads, Footprint& footprint, std::vector<Step>& blocked) {
  for (int i = 0; i < threads; ++i) {
    if (model.thread(i).place != ThreadState::Place::at_gate || model.options(i).goes) continue;
    Touches touches;
    model.foresee(i, touches);
    if (touches.count == 0) continue;
    footprint.clear_step();
    add_touches(footprint, touches);
    blocked.push_back(
        {.choice = {i, false}, .actors = 1U << static_cast<unsigned>(i), .accesses = footprint.accesses()});
  }
  footprint.clear_step();
}

}  // namespace lockstep::foreign
