// state_key.h: which state a run is in, told by the steps that led to it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/explore/search/trace.h"
#include "kv/base/random.h"

namespace lockstep {

/// A key of the state, added up step by step. Ways to a state that differ only in the order of steps which touch
/// nothing in common have the same key. ("Happens-before caching": Musuvathi and Qadeer, "Partial-order reduction for
/// context-bounded state exploration", Microsoft Research MSR-TR-2007-12.) 64 bits: among a million states two are
/// taken for one with a chance of about one in 40 million.
class StateKey {
 public:
  void clear() noexcept {
    trace_.shrink_to(0);
    position_.clear();
    counts_.fill(0);
    sum_ = 0;
  }
  void add(Choice choice, const Footprint& footprint) {
    Step& step = trace_.append();
    step.choice = choice;
    step.actors = footprint.actors() | 1U << static_cast<unsigned>(choice.actor);
    step.accesses = footprint.accesses();
    trace_.order_last(footprint);
    const std::size_t last = trace_.size() - 1;
    position_.push_back(++counts_[static_cast<std::size_t>(choice.actor)]);
    std::uint64_t hash = mixed(static_cast<std::uint64_t>(2 * choice.actor + (choice.timeout ? 1 : 0)) + 1);
    for (std::size_t a = 0; a < kMostActors; ++a) {
      const int latest = trace_.latest(last, a);
      if (latest >= 0) hash = mixed(hash + (a << 32U) + position_[static_cast<std::size_t>(latest)]);
    }
    sum_ += hash;
  }
  std::uint64_t value() const noexcept { return sum_; }
  const Trace& trace() const noexcept { return trace_; }

 private:
  Trace trace_;
  std::vector<std::uint32_t> position_;  ///< of each step among those of its actor, from 1
  std::array<std::uint32_t, kMostActors> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace lockstep
