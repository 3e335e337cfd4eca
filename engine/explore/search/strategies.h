// strategies.h: the searches behind make_search(). See search.h.
#pragma once

#include <memory>

#include "engine/explore/search/search.h"

namespace lockstep {

std::unique_ptr<Search> make_unreduced_search();
std::unique_ptr<Search> make_bounded_search();
/// walk, pct, pos.
std::unique_ptr<Search> make_sampling_search(const SearchOptions& options);

}  // namespace lockstep
