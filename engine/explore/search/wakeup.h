// wakeup.h: what is still to be explored from one state: whole ways, not only first steps.
//
// A way is a sequence of steps that leads to a class of interleavings nobody has met: what a race found, turned round.
// Because the way is kept whole, the run that follows it seldom turns out to repeat something (the wake-up trees of
// Abdulla, Aronsson, Jonsson and Sagonas, "Optimal dynamic partial order reduction", POPL 2014).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/explore/search/search.h"

namespace lockstep {

using Way = std::vector<Step>;

/// What can begin `way` without changing what it comes to.
enum class Initial : std::uint8_t {
  no,     ///< the step conflicts with the way
  first,  ///< it is a step of the way, and everything before it commutes with it
  apart,  ///< its choice is not in the way, and it commutes with all of it
};
/// `at`: of Initial::first, the position in the way.
Initial initial_of(const Step& step, const Way& way, const Footprint& objects, std::size_t& at);

/// The ways to be gone from a state, as a tree: those that begin with the same step share it. In the order in which
/// they came, which is the order in which they must be gone. Not thread-safe.
class WakeupTree {
 public:
  bool empty() const noexcept { return ways_.empty(); }
  /// Adds `way`, unless going one that is there already will meet its class.
  void insert(Way way, const Footprint& objects);
  /// The first step of the first way; there is one.
  const Choice& first() const noexcept { return ways_.front().front().choice; }
  /// Takes out the ways of which `met` is true; it may change a way's last step to what it is now known to be.
  template <typename Met>
  void leave_out(const Met& met) {
    std::erase_if(ways_, met);
  }
  /// Takes out every way that begins with first(); answers how each goes on.
  WakeupTree take_first();

 private:
  std::vector<Way> ways_;  ///< none empty; none a prefix of another
};

}  // namespace lockstep
