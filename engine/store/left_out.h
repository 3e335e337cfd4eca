// left_out.h: the stores that this build has no library for. Scenarios may expect something of them all the same.
#pragma once

#include <span>
#include <string_view>

namespace lockstep {

/// By name; made with the catalogue of stores.
std::span<const std::string_view> stores_left_out();

}  // namespace lockstep
