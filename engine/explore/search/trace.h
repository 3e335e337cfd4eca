// trace.h: one run as a search sees it: its steps, and which of them must come before which.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/footprint.h"
#include "engine/explore/search/search.h"

namespace lockstep {

/// True when the two may not change places.
bool dependent(const Step& a, const Step& b, const Footprint& objects);

/// The steps of a run in order, with the happens-before order that their dependences make (the transitive closure).
class Trace {
 public:
  static constexpr std::size_t kCountMost = 3'000;
  std::size_t size() const noexcept { return size_; }
  const Step& operator[](std::size_t i) const { return entries_[i].step; }
  /// The step at the end; the memory of a former one is used again.
  Step& append();
  /// Orders the step at the end after those before it, once it is filled in, and gives it its number. Costs what its
  /// touches meet, not the length of the trace.
  void order_last(const Footprint& objects);
  void shrink_to(std::size_t size) noexcept;

  /// i < j: whether i must come before j.
  bool before(std::size_t i, std::size_t j) const noexcept {
    return entries_[j].latest[static_cast<std::size_t>(entries_[i].step.choice.actor)] >= static_cast<int>(i);
  }
  /// The position of the latest step of `actor` that must come before j, or is j; -1 for none.
  int latest(std::size_t j, std::size_t actor) const noexcept { return entries_[j].latest[actor]; }
  /// The position of the latest step before j that ran code of its actor; -1 for none.
  int own_before(std::size_t j) const noexcept { return entries_[j].own_before; }
  /// The steps that j depends on with nothing in between that says so already, the latest first.
  const std::vector<std::uint32_t>& adjacent(std::size_t j) const noexcept { return entries_[j].adjacent; }
  /// i is adjacent to j: the step that j could have come before in another run. That is i, or, when something that j
  /// needs was not to be had there, the latest step before which it was. Nothing when j needs what follows that step.
  std::optional<std::size_t> reversible(std::size_t i, std::size_t j) const;

  /// How many orders of these steps keep to the happens-before order; exact up to 2^53. -1: not counted, because there
  /// are more than `most` ways to stand in between.
  double linear_extensions(std::size_t most = kCountMost) const;
  /// The order with the fewest changes from one actor to another, as positions in this trace.
  std::vector<std::size_t> calmest_order(std::size_t most = 400'000) const;

 private:
  struct Entry {
    Step step;
    /// By actor: the position of the latest of its steps that comes before this one or is this one; -1 for none.
    std::array<int, kMostActors> latest{};
    std::vector<std::uint32_t> adjacent;
    int own_before = -1;  ///< the latest step before it that ran code of its actor
  };
  /// A step that touches a thing.
  struct Use {
    std::uint32_t step = 0;
    Touch touch = Touch::looks;
    Passage gate = {};
  };
  void find_conflicts(const Access& access, std::uint32_t object);
  std::optional<std::size_t> open_before(std::uint32_t object, std::size_t step, std::size_t later) const;
  /// The steps of each actor, as positions.
  std::vector<std::vector<int>> chains() const;

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
  std::size_t ordered_ = 0;                                       ///< of them, how many the next two know
  std::vector<std::vector<Use>> uses_;                            ///< by thing, in order
  std::array<std::vector<std::uint32_t>, kMostActors> ran_ = {};  ///< by actor: the steps that ran its code
  std::vector<std::uint32_t> conflicts_;                          ///< of the step in hand
};

}  // namespace lockstep
