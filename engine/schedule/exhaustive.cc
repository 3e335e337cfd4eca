// exhaustive.cc: depth-first through the interleavings, run by run.
#include "engine/schedule/exhaustive.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/schedule/trace.h"
#include "kv/base/check.h"

namespace lockstep {
namespace {

using Mask = std::uint64_t;
static_assert(2 * kMostActors <= 64, "a bit for every choice");

Mask bit_of(Choice choice) { return Mask{1} << static_cast<unsigned>(2 * choice.actor + (choice.timeout ? 1 : 0)); }

Mask mask_of(std::span<const Choice> choices) {
  Mask mask = 0;
  for (const Choice& each : choices) mask |= bit_of(each);
  return mask;
}

/// Among `choices`: whoever went last goes on, else the first. Keeps the runs calm, so that the first bad one is easy
/// to read.
Choice calmest_of(std::span<const Choice> choices, Mask allowed, int last) {
  const Choice* best = nullptr;
  for (const Choice& each : choices) {
    if ((allowed & bit_of(each)) == 0) continue;
    if (each.actor == last && !each.timeout) return each;
    if (best == nullptr) best = &each;
  }
  LOCKSTEP_CHECK(best != nullptr, "no choice is left");
  return *best;
}

std::string names_of(std::span<const Choice> choices) {
  std::string names;
  for (const Choice& each : choices)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(each, fmt::format("actor {}", each.actor)));
  return names;
}

/// What a program can do that could do something else after the same choices.
std::string difference(std::size_t step, std::span<const Choice> before, std::span<const Choice> now) {
  return fmt::format("before step {} it had the choice of {}, and then of {}", step, names_of(before), names_of(now));
}

class Unreduced final : public Search {
 public:
  bool begin() override {
    if (!first_ && !advance()) return false;
    first_ = false;
    depth_ = 0;
    taken_.clear();
    return true;
  }
  bool choose(std::span<const Choice> enabled, Choice& next) override {
    if (depth_ == nodes_.size()) nodes_.push_back({{enabled.begin(), enabled.end()}, 0});
    const Node& node = nodes_[depth_++];
    if (!std::equal(node.choices.begin(), node.choices.end(), enabled.begin(), enabled.end())) {
      disagreement_ = difference(depth_, node.choices, enabled);
      return false;
    }
    next = node.choices[node.at];
    taken_.push_back(next);
    return true;
  }
  void took(const Footprint&) override {}
  double end(bool complete, std::span<const Step>) override { return complete ? 1 : 0; }
  bool exhaustive() const noexcept override { return true; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override {
    disagreement_.clear();
    first_ = true;
  }
  void leave_out() noexcept override {
    disagreement_.clear();
    nodes_.resize(depth_ - 1);
  }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }

 private:
  struct Node {
    std::vector<Choice> choices;
    std::size_t at = 0;
  };
  bool advance() {
    while (!nodes_.empty() && ++nodes_.back().at == nodes_.back().choices.size()) nodes_.pop_back();
    return !nodes_.empty();
  }
  std::vector<Node> nodes_;
  std::vector<Choice> taken_;
  std::size_t depth_ = 0;
  bool first_ = true;  // nothing is to be left behind: this is the first run, or the same once more
  std::string disagreement_;
};

class Reduced final : public Search {
 public:
  bool begin() override {
    if (!first_ && !backtrack()) return false;
    first_ = false;
    replayed_ = nodes_.size();
    depth_ = 0;
    taken_.clear();
    return true;
  }

  bool choose(std::span<const Choice> enabled, Choice& next) override {
    if (depth_ == nodes_.size() && !enter(enabled)) return false;
    Node& node = nodes_[depth_];
    if (node.enabled != mask_of(enabled)) {
      disagreement_ = difference(depth_ + 1, node.choices, enabled);
      return false;
    }
    next = node.choice;
    taken_.push_back(next);
    return true;
  }

  void took(const Footprint& step) override {
    // Up to the node where this run leaves the latest one, the steps are known.
    if (depth_ + 1 < replayed_) {
      ++depth_;
      return;
    }
    trace_.shrink_to(depth_);
    Step& done = trace_.append();
    done.choice = nodes_[depth_].choice;
    done.actors = step.actors() | 1U << static_cast<unsigned>(done.choice.actor);
    done.accesses = step.accesses();
    trace_.order_last(step);
    objects_ = &step;
    look_for_races(depth_);
    ++depth_;
  }

  double end(bool complete, std::span<const Step> blocked) override {
    trace_.shrink_to(depth_);
    const double orders = complete ? trace_.linear_extensions() : 0;
    // They may come before whoever has taken what they stand before.
    for (const Step& step : blocked) {
      trace_.append() = step;
      trace_.order_last(*objects_);
      look_for_races(depth_);
      trace_.shrink_to(depth_);
    }
    return orders;
  }

  bool exhaustive() const noexcept override { return true; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override {
    disagreement_.clear();
    first_ = true;
  }
  void leave_out() noexcept override {
    disagreement_.clear();
    nodes_.resize(depth_);
    trace_.shrink_to(std::min(trace_.size(), depth_));
  }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }
  std::vector<Choice> calmest() const override {
    std::vector<Choice> choices;
    for (const std::size_t i : trace_.calmest_order()) choices.push_back(trace_[i].choice);
    return choices;
  }

 private:
  /// A state on the way of the run in hand.
  struct Node {
    Choice choice;  ///< taken here
    Mask enabled = 0;
    Mask backtrack = 0;  ///< to be taken here; never only the done ones
    Mask done = 0;
    std::vector<Choice> choices;
    /// Steps that need not be taken here: what they lead to has been seen.
    std::vector<Step> sleep;
    /// The steps of the choices that are done.
    std::vector<Step> seen;
  };

  static Mask sleeping(const Node& node) {
    Mask mask = 0;
    for (const Step& step : node.sleep) mask |= bit_of(step.choice);
    return mask;
  }

  /// A new state. False when everything that can be done here has been seen.
  bool enter(std::span<const Choice> enabled) {
    Node node;
    node.choices.assign(enabled.begin(), enabled.end());
    node.enabled = mask_of(enabled);
    if (depth_ > 0) {
      const Node& parent = nodes_[depth_ - 1];
      const Step& step = trace_[depth_ - 1];
      const auto keep = [&](const Step& each) {
        if (!(each.choice == parent.choice) && !dependent(each, step, *objects_)) node.sleep.push_back(each);
      };
      for (const Step& each : parent.sleep) keep(each);
      for (const Step& each : parent.seen) keep(each);
    }
    const Mask awake = node.enabled & ~sleeping(node);
    if (awake == 0) return false;
    node.choice = calmest_of(enabled, awake, depth_ > 0 ? nodes_[depth_ - 1].choice.actor : -1);
    // That a deadline passes is the machine's choice, which no race would show: it is always tried.
    for (const Choice& each : enabled) {
      if (each.timeout) node.backtrack |= bit_of(each) & awake;
    }
    node.backtrack |= bit_of(node.choice);
    node.done = bit_of(node.choice);
    nodes_.push_back(std::move(node));
    return true;
  }

  /// For every earlier step that the one at `j` could have come before: sees to it that it does, in some run.
  void look_for_races(std::size_t j) {
    for (std::size_t adjacent = j; adjacent-- > 0;) {
      if (!trace_.adjacent(adjacent, j, *objects_)) continue;
      const std::optional<std::size_t> reversible = trace_.reversible(adjacent, j);
      if (!reversible) continue;
      const std::size_t i = *reversible;
      Node& node = nodes_[i];
      // What follows i without needing it, then j: its first steps are those that need nothing else of it.
      Mask initials = 0;
      std::vector<std::size_t> rest;
      for (std::size_t k = i + 1; k <= j; ++k) {
        if (k != j && trace_.before(i, k)) continue;
        const bool first = std::none_of(rest.begin(), rest.end(), [&](std::size_t m) { return trace_.before(m, k); });
        if (first) initials |= bit_of(trace_[k].choice);
        rest.push_back(k);
      }
      if ((initials & node.backtrack) != 0) continue;
      const Mask possible = initials & node.enabled;
      if (possible != 0) {
        node.backtrack |= possible & ~(possible - 1);
      } else {
        node.backtrack |= node.enabled;
      }
    }
  }

  /// Goes back to the latest state where something is left to do, and takes it.
  bool backtrack() {
    while (!nodes_.empty()) {
      Node& node = nodes_.back();
      const std::size_t depth = nodes_.size() - 1;
      if (depth < trace_.size()) node.seen.push_back(trace_[depth]);
      const Mask left = node.backtrack & ~node.done & ~sleeping(node);
      if (left != 0) {
        node.choice = calmest_of(node.choices, left, depth > 0 ? nodes_[depth - 1].choice.actor : -1);
        node.done |= bit_of(node.choice);
        trace_.shrink_to(depth);
        return true;
      }
      nodes_.pop_back();
      trace_.shrink_to(std::min(trace_.size(), nodes_.size()));
    }
    return false;
  }

  std::vector<Node> nodes_;
  Trace trace_;
  std::vector<Choice> taken_;
  std::size_t depth_ = 0;     ///< in the run in hand
  std::size_t replayed_ = 0;  ///< how many nodes the run in hand shares with the latest one, its new choice included
  const Footprint* objects_ = nullptr;
  bool first_ = true;  // nothing is to be left behind: this is the first run, or the same once more
  std::string disagreement_;
};

}  // namespace

std::unique_ptr<Search> make_reduced_search() { return std::make_unique<Reduced>(); }
std::unique_ptr<Search> make_unreduced_search() { return std::make_unique<Unreduced>(); }

}  // namespace lockstep
