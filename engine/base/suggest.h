// suggest.h: "did you mean".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// The candidate with the fewest edits to `name`, or empty when none is near.
std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

/// `no KIND "name"; did you mean "…"?` or, when nothing is near, `no KIND "name"; there are: a, b, c`.
std::string unknown_name(std::string_view kind, std::string_view name, const std::vector<std::string>& candidates);

}  // namespace lockstep
