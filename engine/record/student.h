// student.h: how far the mean of a few measurements may lie from the truth.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace lockstep::record {

/// How sure an interval is: of 100 comparisons of two identical strategies one is expected to find a difference.
inline constexpr double kConfidence = 0.99;

/// Student's t for kConfidence, two-sided. `freedom`: degrees of freedom, from 1; above 30 as for 30.
inline double student(std::size_t freedom) {
  constexpr std::array kTable = {63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169,
                                 3.106,  3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845,
                                 2.831,  2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750};
  return kTable[std::clamp<std::size_t>(freedom, 1, kTable.size()) - 1];
}

}  // namespace lockstep::record
