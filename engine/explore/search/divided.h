// divided.h: a reduced search in parts that several can run side by side, and which comes to the same however many do.
//
// The upper part of the tree of choices, down to a fixed depth, is shared; below it each part goes through its own
// branch as a search of its own (reduced.h). The work goes in rounds: all parts that are known are run, in any order
// and by anybody; then what they wish for in the shared part is put together in the order of the parts, which gives the
// parts of the next round, at most one a node. So neither the parts nor what they find depend on who ran them.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "engine/explore/search/reduced.h"

namespace lockstep {

/// Not thread-safe; the parts of a round are independent of it and of each other.
class Divided {
 public:
  /// `shared`: the depth below which a part has nodes of its own; at least 1.
  explicit Divided(std::size_t shared) : shared_(shared) {}

  /// What can be run now. Empty: everything has been seen.
  std::vector<std::unique_ptr<Reduced>> next_round();
  /// The parts of the round, in their order, each run to its end (begin() has answered false).
  void put_together(std::vector<std::unique_ptr<Reduced>>& parts);

 private:
  struct Place {
    Reduced::Node node;
    int parent = -1;
    Choice came_by;  ///< the parent's choice that leads here
  };
  std::vector<int> way_to(int place) const;
  std::unique_ptr<Reduced> part_at(int place);
  void put_together(Reduced& part, const std::vector<int>& way);

  const std::size_t shared_;
  bool begun_ = false;
  std::vector<Place> tree_;
  std::set<int> changed_;               ///< where something may be left to be taken
  std::vector<std::vector<int>> ways_;  ///< of the parts in hand: the places of their paths
};

}  // namespace lockstep
