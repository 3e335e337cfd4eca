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

/// True when a time-out could happen only because the earlier step had taken what it waited for. Before that step the
/// thing itself is to be had.
bool waited_for(const Step& earlier, const Step& time_out) {
  if (!time_out.choice.timeout) return false;
  for (const Access& each : time_out.accesses) {
    if (!each.gate.closed_before || each.gate.needs_open) continue;
    for (const Access& other : earlier.accesses) {
      if (other.object == each.object && !other.gate.closed_before && other.gate.closed_after) return true;
    }
  }
  return false;
}

/// A step with a time limit that was to be taken where it can only time out does that.
Choice as_possible(const Choice& wanted, Mask enabled) {
  const Choice time_out{wanted.actor, true};
  return (bit_of(wanted) & enabled) == 0 && (bit_of(time_out) & enabled) != 0 ? time_out : wanted;
}

}  // namespace

bool Reduced::Node::has_met(const Way& way, const Footprint& objects) const {
  std::size_t at = 0;
  return std::any_of(sleep.begin(), sleep.end(),
                     [&](const Step& asleep) { return initial_of(asleep, way, objects, at) != Initial::no; });
}

bool Reduced::Node::take_next(WakeupTree& guide) {
  while (!pending.empty()) {
    choice = as_possible(pending.first(), enabled);
    guide = pending.take_first();
    if ((bit_of(choice) & sleeping(sleep)) == 0) return true;  // otherwise its class was met meanwhile
  }
  guide = {};
  return false;
}

bool Reduced::begin() {
  if (!first_ && !backtrack()) return false;
  first_ = false;
  replayed_ = trace_.size() == 0 ? 0 : nodes_.size();
  depth_ = 0;
  taken_.clear();
  return true;
}

bool Reduced::choose(std::span<const Choice> enabled, Choice& next) {
  enabled_at_end_ = mask_of(enabled);
  if (depth_ == nodes_.size() && !enter(enabled)) return false;
  enabled_at_end_ = 0;
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
  events_.note(trace_);
  ++depth_;
}

double Reduced::end(bool complete, std::span<const Step> blocked) {
  // Nobody could take any step: there is nothing that could come in another order.
  if (depth_ == 0) return complete ? 1 : 0;
  trace_.shrink_to(depth_);
  const double orders = complete ? count_orders() : 0;
  for (std::size_t j = 1; j < depth_; ++j) look_for_races(j);
  look_for_time_outs();
  // A step that comes after everything has kept nobody waiting, so it is put aside meanwhile.
  std::optional<Step> last;
  if (depth_ > 0 && trace_[depth_ - 1].actors == kEverybody) {
    last = trace_[depth_ - 1];
    trace_.shrink_to(depth_ - 1);
  }
  // They may come before the step that has taken what they stand before.
  const std::size_t behind = trace_.size();
  for (const Step& step : blocked) {
    trace_.append() = step;
    trace_.order_last(*objects_);
    look_for_races(behind);
    trace_.shrink_to(behind);
  }
  if (last) {
    trace_.append() = std::move(*last);
    trace_.order_last(*objects_);
  }
  return orders;
}

/// Where one class is too large to be counted most are, and only small ones are worth the trouble.
double Reduced::count_orders() {
  constexpr std::size_t kSmall = 50;
  const double orders = trace_.linear_extensions(counts_all_ ? Trace::kCountMost : kSmall);
  counts_all_ = counts_all_ && orders >= 0;
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

/// A new state. False when everything that can be done here has been seen.
bool Reduced::enter(std::span<const Choice> enabled) {
  Node node;
  node.choices.assign(enabled.begin(), enabled.end());
  node.enabled = mask_of(enabled);
  node.pending = std::exchange(guide_, {});
  if (!node.pending.empty() && (bit_of(as_possible(node.pending.first(), node.enabled)) & node.enabled) == 0) {
    // A step depends on something that its footprint does not say: nothing that was concluded from it can be trusted.
    const Choice expected[] = {node.pending.first()};
    disagreement_ = difference(depth_ + 1, expected, enabled);
    return false;
  }
  if (depth_ > 0) {
    const Node& parent = nodes_[depth_ - 1];
    const Step& step = trace_[depth_ - 1];
    for (const Step& each : parent.sleep) {
      if (!(each.choice == parent.choice) && !dependent(each, step, *objects_)) node.sleep.push_back(each);
    }
  }
  const Mask awake = node.enabled & ~sleeping(node.sleep);
  if (awake == 0) return false;
  node.choice = first_choice(node, awake);
  nodes_.push_back(std::move(node));
  return true;
}

/// The way that led here goes on as it was noted; behind its end everything is new.
Choice Reduced::first_choice(Node& node, Mask awake) {
  if (node.take_next(guide_)) return node.choice;
  return calmest_of(node.choices, awake, depth_ > 0 ? nodes_[depth_ - 1].choice.actor : -1);
}

/// For every earlier step that the one at `j` could have come before: sees to it that it does, in some run.
void Reduced::look_for_races(std::size_t j) {
  if (trace_[j].actors == kEverybody) return;
  for (const std::uint32_t adjacent : trace_.adjacent(j)) {
    const std::optional<std::size_t> i = trace_.reversible(adjacent, j);
    if (!i) continue;
    Step later = trace_[j];
    if (waited_for(trace_[*i], later)) later.choice.timeout = false;
    turn_round(*i, std::move(later), j);
  }
}

/// A time-out that was possible before a step and not after it is in a race with that step.
void Reduced::look_for_time_outs() {
  for (std::size_t i = 0; i < depth_; ++i) {
    const Mask after = i + 1 < depth_ ? nodes_[i + 1].enabled : enabled_at_end_;
    for (const Choice& each : nodes_[i].choices) {
      if (!each.timeout || each == nodes_[i].choice) continue;
      // Whom the step has let go on may stand before something else that can time out.
      const bool went_on = each.actor != nodes_[i].choice.actor && trace_[i].actors != kEverybody &&
                           (trace_[i].actors >> static_cast<unsigned>(each.actor) & 1U) != 0;
      if (!went_on && (after & bit_of(each)) != 0) continue;
      // It was possible here; whether it is behind others, such as one that takes the mutex of its condition, nobody
      // knows. It would have touched at least what ended the wait.
      Step time_out{each, 1U << static_cast<unsigned>(each.actor), trace_[i].accesses};
      time_out.is_guess = true;
      wish(i, {std::move(time_out)});
    }
  }
}

/// What follows `i` without needing it, then `later`, which is step `skip` of the run or none of it.
void Reduced::turn_round(std::size_t i, Step later, std::size_t skip) {
  Way way;
  for (std::size_t k = i + 1; k < depth_; ++k) {
    if (k != skip && !trace_.before(i, k)) way.push_back(trace_[k]);
  }
  later.is_guess = true;
  way.push_back(std::move(later));
  wish(i, std::move(way));
}

/// Sees to it that the class of `way` is met, which leads on from the state before step `i`.
void Reduced::wish(std::size_t i, Way way) {
  events_.tell(trace_, i, *objects_, way);
  if (!nodes_[i].has_met(way, *objects_)) nodes_[i].pending.insert(std::move(way), *objects_);
}

/// Goes back to the latest state where something is left to do, and takes it.
bool Reduced::backtrack() {
  while (!nodes_.empty()) {
    Node& node = nodes_.back();
    const std::size_t depth = nodes_.size() - 1;
    if (depth < trace_.size()) node.sleep.push_back(trace_[depth]);
    node.pending.leave_out([&](Way& way) {
      events_.tell(trace_, depth, *objects_, way);
      return node.has_met(way, *objects_);
    });
    if (node.take_next(guide_)) {
      trace_.shrink_to(depth);
      return true;
    }
    nodes_.pop_back();
    trace_.shrink_to(std::min(trace_.size(), nodes_.size()));
  }
  return false;
}

}  // namespace lockstep
