// trace.cc: the happens-before order of a run, and what follows from it.
#include "engine/explore/search/trace.h"

#include <algorithm>
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

void Trace::order_last(const Footprint& objects) {
  const std::size_t j = size_ - 1;
  Entry& last = entries_[j];
  last.latest.fill(-1);
  for (std::size_t i = j; i > 0; --i) {
    const Entry& earlier = entries_[i - 1];
    const auto actor = static_cast<std::size_t>(earlier.step.choice.actor);
    if (last.latest[actor] >= static_cast<int>(i - 1)) continue;  // known through a later step
    if (!dependent(earlier.step, last.step, objects)) continue;
    for (std::size_t a = 0; a < kMostActors; ++a) last.latest[a] = std::max(last.latest[a], earlier.latest[a]);
  }
  last.latest[static_cast<std::size_t>(last.step.choice.actor)] = static_cast<int>(j);
}

bool Trace::adjacent(std::size_t i, std::size_t j, const Footprint& objects) const {
  if (!dependent(entries_[i].step, entries_[j].step, objects)) return false;
  for (std::size_t k = i + 1; k < j; ++k) {
    if (before(i, k) && before(k, j)) return false;
  }
  return true;
}

std::optional<std::size_t> Trace::reversible(std::size_t i, std::size_t j) const {
  const Step& first = entries_[i].step;
  const Step& second = entries_[j].step;
  const auto ran = [](const Step& step, int actor) { return (step.actors >> static_cast<unsigned>(actor) & 1U) != 0; };
  if (ran(first, second.choice.actor)) return std::nullopt;
  const auto does = [](const Step& step, std::uint32_t object, Touch touch) {
    return std::any_of(step.accesses.begin(), step.accesses.end(),
                       [&](const Access& each) { return each.object == object && each.touch == touch; });
  };
  for (const Access& taken : second.accesses) {
    if (taken.touch != Touch::takes || !does(first, taken.object, Touch::gives_back)) continue;
    for (std::size_t k = i; k-- > 0;) {
      if (!does(entries_[k].step, taken.object, Touch::takes)) continue;
      // j must not need what comes after k, but for what i gives back.
      for (std::size_t m = k + 1; m < j; ++m) {
        if (ran(entries_[m].step, second.choice.actor) && before(k, m)) return std::nullopt;
      }
      return ran(entries_[k].step, second.choice.actor) ? std::nullopt : std::optional(k);
    }
  }
  return i;
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
