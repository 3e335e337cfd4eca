// reduced.cc: depth-first through the classes of interleavings, run by run.
#include "engine/explore/search/reduced.h"

#include <algorithm>

namespace lockstep {
namespace {

Mask sleeping(const std::vector<Step>& sleep) {
  Mask mask = 0;
  for (const Step& step : sleep) mask |= bit_of(step.choice);
  return mask;
}

}  // namespace

Mask Reduced::Node::left() const noexcept { return backtrack & ~done & ~sleeping(sleep); }

bool Reduced::Node::wish(Mask initials) noexcept {
  if ((initials & backtrack) != 0) return false;
  const Mask possible = initials & enabled;
  const Mask before = backtrack;
  backtrack |= possible != 0 ? possible & ~(possible - 1) : enabled;
  return backtrack != before;
}

void Reduced::Node::take_next(int last) {
  choice = calmest_of(choices, left(), last);
  done |= bit_of(choice);
}

bool Reduced::begin() {
  if (!first_ && !backtrack()) return false;
  // A part has not taken the steps of its path yet.
  const bool knows_nothing = trace_.size() == 0;
  first_ = false;
  replayed_ = knows_nothing ? 0 : nodes_.size();
  raced_ = knows_nothing ? given_ : replayed_;
  depth_ = 0;
  taken_.clear();
  return true;
}

bool Reduced::choose(std::span<const Choice> enabled, Choice& next) {
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

void Reduced::took(const Footprint& step) {
  objects_ = &step;
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
  if (depth_ + 1 >= raced_) look_for_races(depth_);
  ++depth_;
}

double Reduced::end(bool complete, std::span<const Step> blocked) {
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

void Reduced::repeat() noexcept {
  disagreement_.clear();
  first_ = true;
}

void Reduced::leave_out() noexcept {
  disagreement_.clear();
  nodes_.resize(depth_);
  trace_.shrink_to(std::min(trace_.size(), depth_));
}

std::vector<Choice> Reduced::calmest() const {
  std::vector<Choice> choices;
  for (const std::size_t i : trace_.calmest_order()) choices.push_back(trace_[i].choice);
  return choices;
}

std::vector<Reduced::Node> Reduced::take_fresh() {
  return {std::make_move_iterator(nodes_.begin() + static_cast<std::ptrdiff_t>(std::min(given_, nodes_.size()))),
          std::make_move_iterator(nodes_.end())};
}

/// A new state. False when everything that can be done here has been seen.
bool Reduced::enter(std::span<const Choice> enabled) {
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
  const Mask awake = node.enabled & ~sleeping(node.sleep);
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
void Reduced::look_for_races(std::size_t j) {
  for (std::size_t adjacent = j; adjacent-- > 0;) {
    if (!trace_.adjacent(adjacent, j, *objects_)) continue;
    const std::optional<std::size_t> reversible = trace_.reversible(adjacent, j);
    if (!reversible) continue;
    const std::size_t i = *reversible;
    // What follows i without needing it, then j: its first steps are those that need nothing else of it.
    Mask initials = 0;
    std::vector<std::size_t> rest;
    for (std::size_t k = i + 1; k <= j; ++k) {
      if (k != j && trace_.before(i, k)) continue;
      const bool first = std::none_of(rest.begin(), rest.end(), [&](std::size_t m) { return trace_.before(m, k); });
      if (first) initials |= bit_of(trace_[k].choice);
      rest.push_back(k);
    }
    if (nodes_[i].wish(initials) && i < given_) wishes_.push_back({i, initials});
  }
}

/// Goes back to the latest state where something is left to do, and takes it.
bool Reduced::backtrack() {
  while (nodes_.size() > floor_) {
    Node& node = nodes_.back();
    const std::size_t depth = nodes_.size() - 1;
    if (depth < trace_.size()) node.seen.push_back(trace_[depth]);
    if (node.left() != 0) {
      node.take_next(depth > 0 ? nodes_[depth - 1].choice.actor : -1);
      trace_.shrink_to(depth);
      return true;
    }
    nodes_.pop_back();
    trace_.shrink_to(std::min(trace_.size(), nodes_.size()));
  }
  return false;
}

}  // namespace lockstep
