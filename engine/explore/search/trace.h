// trace.h: one run as a search sees it: its steps, and which of them must come before which.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/actor/footprint.h"
#include "engine/explore/search/search.h"

namespace lockstep {

/// True when the two may not change places.
bool dependent(const Step& a, const Step& b, const Footprint& objects);

/// The steps of a run in order, with the happens-before order that their dependences make (the transitive closure).
class Trace {
 public:
  std::size_t size() const noexcept { return size_; }
  const Step& operator[](std::size_t i) const { return entries_[i].step; }
  /// The step at the end; the memory of a former one is used again.
  Step& append();
  /// Orders the step at the end after those before it, once it is filled in.
  void order_last(const Footprint& objects);
  void shrink_to(std::size_t size) noexcept { size_ = size; }

  /// i < j: whether i must come before j.
  bool before(std::size_t i, std::size_t j) const noexcept {
    return entries_[j].latest[static_cast<std::size_t>(entries_[i].step.choice.actor)] >= static_cast<int>(i);
  }
  /// The position of the latest step of `actor` that must come before j, or is j; -1 for none.
  int latest(std::size_t j, std::size_t actor) const noexcept { return entries_[j].latest[actor]; }
  /// i < j: whether they depend on each other with nothing between them that says so already.
  bool adjacent(std::size_t i, std::size_t j, const Footprint& objects) const;
  /// i < j, adjacent: the step that j could have come before, in another run. i itself; or, when i gives back what j
  /// takes, the step in which the same actor had taken it; nothing when j needs i.
  std::optional<std::size_t> reversible(std::size_t i, std::size_t j) const;

  /// How many orders of these steps keep to the happens-before order. Above `most` ways to stand in between it is not
  /// counted: -1.
  double linear_extensions(std::size_t most = 4'000'000) const;
  /// The order with the fewest changes from one actor to another, as positions in this trace.
  std::vector<std::size_t> calmest_order(std::size_t most = 400'000) const;

 private:
  struct Entry {
    Step step;
    /// By actor: the position of the latest of its steps that comes before this one or is this one; -1 for none.
    std::array<int, kMostActors> latest{};
  };
  /// The steps of each actor, as positions.
  std::vector<std::vector<int>> chains() const;

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace lockstep
