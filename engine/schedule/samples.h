// samples.h: searches that try some interleavings by chance. See search.h.
#pragma once

#include <memory>

#include "engine/schedule/search.h"

namespace lockstep {

/// Strategy::walk, ::pct or ::pos; never ends by itself.
std::unique_ptr<Search> make_sampling_search(const SearchOptions& options);

}  // namespace lockstep
