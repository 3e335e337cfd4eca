// trace.cc: the happens-before order of a run, and what follows from it.
#include "engine/explore/search/trace.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <unordered_map>

#include "kv/base/random.h"

namespace lockstep {

bool dependent(const Step& a, const Step& b, const Footprint& objects) {
  if ((a.actors & b.actors) != 0 || a.is_guess || b.is_guess) return true;
  for (const Access& one : a.accesses) {
    for (const Access& other : b.accesses) {
      if (objects.conflict(one, other)) return true;
    }
  }
  return false;
}

Step& Trace::append() {
  if (entries_.size() == size_) entries_.emplace_back();
  Step& step = entries_[size_++].step;
  step.accesses.clear();
  step.actors = 0;
  step.is_guess = false;
  return step;
}

void Trace::shrink_to(std::size_t size) noexcept {
  for (; ordered_ > size; --ordered_) {
    const Step& step = entries_[ordered_ - 1].step;
    for (const Access& each : step.accesses) uses_[each.object].pop_back();
    for (std::uint32_t actors = step.actors; actors != 0; actors &= actors - 1)
      ran_[static_cast<std::size_t>(std::countr_zero(actors))].pop_back();
  }
  size_ = std::min(size_, size);
}

/// Adds the uses of `object` that `access` conflicts with. A step that changes a thing comes after all its earlier
/// uses, so nothing before it needs to be looked at.
void Trace::find_conflicts(const Access& access, std::uint32_t object) {
  const std::vector<Use>& uses = uses_[object];
  for (std::size_t i = uses.size(); i-- > 0;) {
    if (conflict(uses[i].touch, access.touch)) conflicts_.push_back(uses[i].step);
    if (uses[i].touch == Touch::changes) return;
  }
}

void Trace::order_last(const Footprint& objects) {
  const std::size_t j = size_ - 1;
  Entry& last = entries_[j];
  const auto own = static_cast<std::size_t>(last.step.choice.actor);
  last.own_before = ran_[own].empty() ? -1 : static_cast<int>(ran_[own].back());
  conflicts_.clear();
  for (const Access& access : last.step.accesses) {
    if (uses_.size() <= access.object) uses_.resize(access.object + 1);
    find_conflicts(access, access.object);
    for (const std::uint32_t other : objects.overlapping(access.object)) {
      if (other < uses_.size()) find_conflicts(access, other);
    }
  }
  for (std::uint32_t actors = last.step.actors; actors != 0; actors &= actors - 1) {
    std::vector<std::uint32_t>& ran = ran_[static_cast<std::size_t>(std::countr_zero(actors))];
    if (!ran.empty()) conflicts_.push_back(ran.back());
    ran.push_back(static_cast<std::uint32_t>(j));
  }
  for (const Access& access : last.step.accesses)
    uses_[access.object].push_back({static_cast<std::uint32_t>(j), access.touch, access.gate});
  ordered_ = size_;

  std::sort(conflicts_.begin(), conflicts_.end(), std::greater<>());
  last.latest.fill(-1);
  last.adjacent.clear();
  for (const std::uint32_t i : conflicts_) {
    const Entry& earlier = entries_[i];
    const auto actor = static_cast<std::size_t>(earlier.step.choice.actor);
    if (last.latest[actor] >= static_cast<int>(i)) continue;  // known through a later step
    last.adjacent.push_back(i);
    for (std::size_t a = 0; a < kMostActors; ++a) last.latest[a] = std::max(last.latest[a], earlier.latest[a]);
  }
  last.latest[own] = static_cast<int>(j);
  std::uint64_t causes = 0;
  for (const std::uint32_t i : last.adjacent) causes += mixed(entries_[i].step.event);
  last.step.event =
      mixed(causes + static_cast<std::uint64_t>(2 * last.step.choice.actor) + (last.step.choice.timeout ? 1 : 0));
}

/// The latest step up to `step`, one of its users, before which nobody had the thing that `later` needs; nullopt:
/// somebody had it from the begin, as a thread is not to be joined before its end.
std::optional<std::size_t> Trace::open_before(std::uint32_t object, std::size_t step, std::size_t later) const {
  const std::vector<Use>& uses = uses_[object];
  const auto use_from = [&uses](std::size_t from) {
    return std::lower_bound(uses.begin(), uses.end(), from,
                            [](const Use& each, std::size_t position) { return each.step < position; });
  };
  auto use = use_from(step);
  if (use == uses.end() || use->step != step) {
    const auto behind = use_from(later);
    // What made it open for `later` is among what does not need `step`; where nothing did, somebody has it.
    if (behind == uses.begin() || !std::prev(behind)->gate.closed_after) return step;
    use = std::prev(behind);
  }
  while (use != uses.begin() && std::prev(use)->gate.closed_after) --use;
  if (use == uses.begin() && use->gate.closed_before) return std::nullopt;
  return use->step;
}

std::optional<std::size_t> Trace::reversible(std::size_t i, std::size_t j) const {
  std::size_t at = i;
  for (const Access& needed : entries_[j].step.accesses) {
    if (!needed.gate.needs_open) continue;
    const std::optional<std::size_t> open = open_before(needed.object, i, j);
    if (!open) return std::nullopt;
    at = std::min(at, *open);
  }
  // What j needs of its own actor must have happened before that step, or without it.
  const int own = entries_[j].own_before;
  if (own == static_cast<int>(at)) return std::nullopt;
  if (own > static_cast<int>(at) && before(at, static_cast<std::size_t>(own))) return std::nullopt;
  return at;
}

std::vector<std::vector<int>> Trace::chains() const {
  std::vector<std::vector<int>> chains;
  for (std::size_t i = 0; i < size_; ++i) {
    const auto actor = static_cast<std::size_t>(entries_[i].step.choice.actor);
    if (chains.size() <= actor) chains.resize(actor + 1);
    chains[actor].push_back(static_cast<int>(i));
  }
  std::erase_if(chains, [](const auto& chain) { return chain.empty(); });
  return chains;
}

// Both walk the lattice of cuts: a cut says how many steps each actor has taken. With n steps of each of k actors there
// are at most (n + 1)^k of them, however many orders lead through them.

namespace {

/// Cuts as mixed-radix numbers.
class Cuts {
 public:
  explicit Cuts(const std::vector<std::vector<int>>& chains) {
    for (const auto& chain : chains) {
      weights_.push_back(count_);
      const std::size_t ways = chain.size() + 1;
      count_ = count_ > std::numeric_limits<std::size_t>::max() / ways ? std::numeric_limits<std::size_t>::max()
                                                                       : count_ * ways;
    }
  }
  std::size_t count() const noexcept { return count_; }
  std::size_t taken(std::size_t cut, std::size_t chain, std::size_t length) const noexcept {
    return cut / weights_[chain] % (length + 1);
  }
  std::size_t with_one_more(std::size_t cut, std::size_t chain) const noexcept { return cut + weights_[chain]; }

 private:
  std::vector<std::size_t> weights_;
  std::size_t count_ = 1;
};

}  // namespace

namespace {

/// Counts the orders of chains that keep to what their steps need of each other.
///
/// What is left of some chains may fall apart into groups that need nothing of each other. Each group is counted alone,
/// and the count of its steps is remembered. So a ring of philosophers costs the sum of its parts, not the product.
class OrderCount {
 public:
  OrderCount(const Trace& trace, const std::vector<std::vector<int>>& chains, const Cuts& cuts, std::size_t most)
      : chains_(chains), cuts_(cuts), most_(most) {
    std::vector<std::size_t> place(trace.size());
    for (const auto& chain : chains) {
      for (std::size_t i = 0; i < chain.size(); ++i) place[static_cast<std::size_t>(chain[i])] = i;
    }
    for (const auto& chain : chains) {
      first_.push_back(of_step_.size() / chains.size());
      for (const int step : chain) add_needs(trace, static_cast<std::size_t>(step), place);
    }
    of_rest_ = of_step_;
    for (std::size_t c = 0; c < chains.size(); ++c) {
      for (std::size_t i = chains[c].size(); i-- > 1;) {
        for (std::size_t other = 0; other < chains.size(); ++other)
          at(of_rest_, c, i - 1, other) = std::max(at(of_rest_, c, i - 1, other), at(of_rest_, c, i, other));
      }
    }
  }
  /// -1: more than `most` states were met.
  double count() {
    std::vector<std::size_t> taken(chains_.size());
    const double orders = of_left(chains_.empty() ? 0 : ~std::uint32_t{0} >> (32 - chains_.size()), taken);
    return known_.size() > most_ ? -1 : orders;
  }

 private:
  using Group = std::uint32_t;  ///< of chains, a bit each
  struct State {
    Group group = 0;
    std::size_t cut = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  struct Hash {
    std::size_t operator()(const State& state) const noexcept {
      return (state.cut ^ state.group) * 0x9e3779b97f4a7c15U;
    }
  };

  std::size_t& at(std::vector<std::size_t>& needs, std::size_t c, std::size_t i, std::size_t other) {
    return needs[(first_[c] + i) * chains_.size() + other];
  }
  static bool holds(Group group, std::size_t c) { return (group >> c & 1U) != 0; }

  void add_needs(const Trace& trace, std::size_t step, const std::vector<std::size_t>& place) {
    const int own = trace[step].choice.actor;
    for (const auto& other : chains_) {
      const int actor = trace[static_cast<std::size_t>(other.front())].choice.actor;
      const int latest = actor == own ? -1 : trace.latest(step, static_cast<std::size_t>(actor));
      of_step_.push_back(latest < 0 ? 0 : place[static_cast<std::size_t>(latest)] + 1);
    }
  }

  /// The orders of what is left of the chains of `group`, which needs nothing of other chains.
  double of_left(Group group, std::vector<std::size_t>& taken) {
    double ways = 1;
    std::size_t placed = 0;
    while (group != 0) {
      const Group part = part_of(group, taken);
      group &= ~part;
      std::size_t length = 0;
      for (std::size_t c = 0; c < chains_.size(); ++c) length += holds(part, c) ? chains_[c].size() - taken[c] : 0;
      // Among those that are placed already: a binomial coefficient, so no division leaves a rest.
      for (std::size_t i = 1; i <= length; ++i) ways = ways * static_cast<double>(++placed) / static_cast<double>(i);
      if ((part & (part - 1)) != 0) ways *= of_part(part, taken);
    }
    return ways;
  }

  /// The chains of `group` that hang together with its first one.
  Group part_of(Group group, const std::vector<std::size_t>& taken) {
    Group part = group & ~(group - 1), fresh = part;
    while (fresh != 0) {
      const auto c = static_cast<std::size_t>(std::countr_zero(fresh));
      fresh &= fresh - 1;
      for (Group others = group & ~part; others != 0; others &= others - 1) {
        const auto other = static_cast<std::size_t>(std::countr_zero(others));
        if (!waits_for(c, other, taken) && !waits_for(other, c, taken)) continue;
        part |= Group{1} << other;
        fresh |= Group{1} << other;
      }
    }
    return part;
  }
  bool waits_for(std::size_t c, std::size_t other, const std::vector<std::size_t>& taken) {
    return taken[c] < chains_[c].size() && at(of_rest_, c, taken[c], other) > taken[other];
  }

  double of_part(Group part, std::vector<std::size_t>& taken) {
    State state{.group = part};
    for (std::size_t c = 0; c < chains_.size(); ++c) {
      if (holds(part, c)) state.cut += cuts_.with_one_more(0, c) * taken[c];
    }
    if (const auto known = known_.find(state); known != known_.end()) return known->second;
    double orders = 0;
    for (std::size_t c = 0; c < chains_.size() && known_.size() <= most_; ++c) {
      if (!holds(part, c) || !is_next(c, taken)) continue;
      ++taken[c];
      orders += of_left(part, taken);
      --taken[c];
    }
    known_.emplace(state, orders);
    return orders;
  }
  bool is_next(std::size_t c, const std::vector<std::size_t>& taken) {
    if (taken[c] == chains_[c].size()) return false;
    for (std::size_t other = 0; other < chains_.size(); ++other) {
      if (at(of_step_, c, taken[c], other) > taken[other]) return false;
    }
    return true;
  }

  const std::vector<std::vector<int>>& chains_;
  const Cuts& cuts_;
  const std::size_t most_;
  std::vector<std::size_t> first_;  ///< by chain: the number of its first step
  /// By step and chain: how many steps of the chain must come before it; before it or one that follows it.
  std::vector<std::size_t> of_step_, of_rest_;
  std::unordered_map<State, double, Hash> known_;
};

}  // namespace

double Trace::linear_extensions(std::size_t most) const {
  constexpr std::size_t kLongest = 20'000;  // the count goes as deep as the trace is long
  const auto chains = this->chains();
  const Cuts cuts(chains);
  if (cuts.count() == std::numeric_limits<std::size_t>::max() || size_ > kLongest) return -1;
  return OrderCount(*this, chains, cuts, most).count();
}

std::vector<std::size_t> Trace::calmest_order(std::size_t most) const {
  const auto chains = this->chains();
  const Cuts cuts(chains);
  std::vector<std::size_t> order;
  if (cuts.count() * std::max<std::size_t>(chains.size(), 1) > most) {
    for (std::size_t i = 0; i < size_; ++i) order.push_back(i);
    return order;
  }
  // By cut and the actor of its latest step: the fewest changes, and the actor before.
  constexpr int kNone = std::numeric_limits<int>::max();
  const std::size_t width = std::max<std::size_t>(chains.size(), 1);
  std::vector<int> changes(cuts.count() * width, kNone);
  std::vector<int> from(cuts.count() * width, -1);
  for (std::size_t cut = 0; cut < cuts.count(); ++cut) {
    for (std::size_t c = 0; c < chains.size(); ++c) {
      const std::size_t taken = cuts.taken(cut, c, chains[c].size());
      if (taken == chains[c].size()) continue;
      const Entry& next = entries_[static_cast<std::size_t>(chains[c][taken])];
      bool ready = true;
      for (std::size_t other = 0; ready && other < chains.size(); ++other) {
        if (other == c) continue;
        const auto actor =
            static_cast<std::size_t>(entries_[static_cast<std::size_t>(chains[other][0])].step.choice.actor);
        const std::size_t has = cuts.taken(cut, other, chains[other].size());
        ready = next.latest[actor] < 0 || (has > 0 && chains[other][has - 1] >= next.latest[actor]);
      }
      if (!ready) continue;
      const std::size_t to = cuts.with_one_more(cut, c) * width + c;
      if (cut == 0) {
        changes[to] = 0;
        continue;
      }
      for (std::size_t last = 0; last < width; ++last) {
        const int so_far = changes[cut * width + last];
        if (so_far == kNone) continue;
        const int with = so_far + (last == c ? 0 : 1);
        if (with < changes[to]) {
          changes[to] = with;
          from[to] = static_cast<int>(last);
        }
      }
    }
  }
  // Back from the end.
  std::vector<std::size_t> left;
  for (const auto& chain : chains) left.push_back(chain.size());
  if (size_ == 0) return order;
  std::size_t cut = cuts.count() - 1;
  std::size_t last = 0;
  for (std::size_t c = 1; c < width; ++c) {
    if (changes[cut * width + c] < changes[cut * width + last]) last = c;
  }
  while (order.size() < size_) {
    order.push_back(static_cast<std::size_t>(chains[last][--left[last]]));
    const int before = from[cut * width + last];
    cut -= cuts.with_one_more(0, last);
    if (before < 0) break;
    last = static_cast<std::size_t>(before);
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace lockstep
