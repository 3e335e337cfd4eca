// search.cc: makes a search by its strategy.
#include "engine/explore/search/search.h"

#include "engine/explore/search/reduced.h"
#include "engine/explore/search/strategies.h"

namespace lockstep {

std::unique_ptr<Search> make_search(const SearchOptions& options) {
  switch (options.strategy) {
    case Strategy::exhaustive:
      return std::make_unique<Reduced>();
    case Strategy::unreduced:
      return make_unreduced_search();
    case Strategy::bounded:
      return make_bounded_search();
    case Strategy::walk:
    case Strategy::pct:
    case Strategy::pos:
      break;
  }
  return make_sampling_search(options);
}

}  // namespace lockstep
