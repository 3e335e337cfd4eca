// trace.cc: the happens-before order of a run, and what follows from it.
#include "engine/explore/search/trace.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <unordered_map>

namespace lockstep {

bool dependent(const Step& a, const Step& b, const Footprint& objects) {
  if ((a.actors & b.actors) != 0) return true;
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
}

/// The latest step up to `step`, one of its users, before which nobody had the thing.
std::size_t Trace::open_before(std::uint32_t object, std::size_t step) const {
  const std::vector<Use>& uses = uses_[object];
  auto use = std::lower_bound(uses.begin(), uses.end(), step,
                              [](const Use& each, std::size_t position) { return each.step < position; });
  if (use == uses.end() || use->step != step) return step;  // what it needs there is among what does not need `step`
  while (use != uses.begin() && std::prev(use)->gate.closed_after) --use;
  return use->step;
}

std::optional<std::size_t> Trace::reversible(std::size_t i, std::size_t j) const {
  std::size_t at = i;
  for (const Access& needed : entries_[j].step.accesses) {
    if (needed.gate.needs_open) at = std::min(at, open_before(needed.object, i));
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

double Trace::linear_extensions(std::size_t most) const {
  const auto chains = this->chains();
  const Cuts cuts(chains);
  if (cuts.count() > most) return -1;
  std::vector<double> ways(cuts.count(), 0.0);
  ways[0] = 1;
  for (std::size_t cut = 0; cut < ways.size(); ++cut) {
    if (ways[cut] == 0) continue;
    for (std::size_t c = 0; c < chains.size(); ++c) {
      const std::size_t taken = cuts.taken(cut, c, chains[c].size());
      if (taken == chains[c].size()) continue;
      const Entry& next = entries_[static_cast<std::size_t>(chains[c][taken])];
      bool ready = true;
      for (std::size_t other = 0; ready && other < chains.size(); ++other) {
        if (other == c) continue;
        const auto actor =
            static_cast<std::size_t>(entries_[static_cast<std::size_t>(chains[other][0])].step.choice.actor);
        const int needs = next.latest[actor];
        const std::size_t has = cuts.taken(cut, other, chains[other].size());
        ready = needs < 0 || (has > 0 && chains[other][has - 1] >= needs);
      }
      if (ready) ways[cuts.with_one_more(cut, c)] += ways[cut];
    }
  }
  return ways.back();
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
