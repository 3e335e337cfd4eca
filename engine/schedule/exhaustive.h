// exhaustive.h: the searches that go through every interleaving, or through one of each class. See search.h.
#pragma once

#include <memory>

#include "engine/schedule/search.h"

namespace lockstep {

std::unique_ptr<Search> make_reduced_search();
std::unique_ptr<Search> make_unreduced_search();

}  // namespace lockstep
