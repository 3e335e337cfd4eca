// wait_graph.cc: stuck actors by reduction, cycles among them by breadth-first search.
#include "engine/actor/wait_graph.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <limits>
#include <span>

namespace lockstep {
namespace {

/// Most graphs have a handful of edges: no allocation for those.
template <class T>
using Few = boost::container::small_vector<T, 16>;

/// Numbers in groups: those of group g are `of(g)`.
class Groups {
 public:
  /// `group_of(i)` for i below `size`; negative: in none.
  template <class GroupOf>
  Groups(std::size_t groups, std::size_t size, GroupOf group_of) : first_(groups + 1, 0) {
    for (std::size_t i = 0; i < size; ++i) {
      if (group_of(i) >= 0) ++first_[static_cast<std::size_t>(group_of(i)) + 1];
    }
    for (std::size_t g = 1; g <= groups; ++g) first_[g] += first_[g - 1];
    members_.resize(first_[groups]);
    Few<std::uint32_t> at(first_.begin(), first_.end());
    for (std::size_t i = 0; i < size; ++i) {
      if (group_of(i) >= 0) members_[at[static_cast<std::size_t>(group_of(i))]++] = static_cast<std::uint32_t>(i);
    }
  }
  std::span<const std::uint32_t> of(int group) const {
    const auto g = static_cast<std::size_t>(group);
    return {members_.data() + first_[g], first_[g + 1] - first_[g]};
  }

 private:
  Few<std::uint32_t> first_, members_;
};

std::size_t actors_of(const std::vector<WaitForEdge>& edges) {
  int highest = -1;
  for (const WaitForEdge& edge : edges) highest = std::max({highest, edge.from, edge.to});
  return static_cast<std::size_t>(highest + 1);
}

/// The edges by the actors that they begin at and end at, and the actors that wait for ever. Searches ask for this
/// again and again: plain vectors, and nothing is sorted that need not be.
class CycleSearch {
 public:
  explicit CycleSearch(const std::vector<WaitForEdge>& edges)
      : edges_(edges),
        count_(actors_of(edges)),
        from_(count_, edges.size(), [&](std::size_t i) { return edges[i].from; }),
        to_(count_, edges.size(), [&](std::size_t i) { return edges[i].from < 0 ? -1 : edges[i].to; }),
        left_(count_, 0) {
    reduce();
  }

  std::size_t count() const noexcept { return count_; }
  /// It waits for ever.
  bool is_stuck(int actor) const { return actor >= 0 && left_[static_cast<std::size_t>(actor)] != 0; }

  /// The shortest cycle through a stuck actor: breadth first, over the smaller indices first. Empty: there is none.
  std::vector<int> cycle_through(int actor) const {
    constexpr int kNew = std::numeric_limits<int>::min();
    if (actor < 0 || static_cast<std::size_t>(actor) >= count_ || !is_stuck(actor)) return {};
    Few<int> came_from(count_, kNew), queue(1, actor), next;
    for (std::size_t head = 0; head < queue.size(); ++head) {
      const int at = queue[head];
      next.clear();
      for (const std::uint32_t i : from_.of(at)) {
        if (is_stuck(edges_[i].to)) next.push_back(edges_[i].to);
      }
      std::sort(next.begin(), next.end());
      for (const int to : next) {
        if (to == actor) return way_back(came_from, at, actor);
        if (came_from[static_cast<std::size_t>(to)] != kNew) continue;
        came_from[static_cast<std::size_t>(to)] = at;
        queue.push_back(to);
      }
    }
    return {};
  }

 private:
  static std::vector<int> way_back(const Few<int>& came_from, int at, int actor) {
    std::vector<int> cycle;
    for (; at != actor; at = came_from[static_cast<std::size_t>(at)]) cycle.push_back(at);
    cycle.push_back(actor);
    std::reverse(cycle.begin(), cycle.end());
    return cycle;
  }

  /// Takes away each actor that waits for none that is left. When one goes on, those that wait for it are looked at
  /// again.
  void reduce() {
    Few<int> to_look_at;
    for (int actor = 0; actor < static_cast<int>(count_); ++actor) {
      if (from_.of(actor).empty()) continue;
      left_[static_cast<std::size_t>(actor)] = 1;
      to_look_at.push_back(actor);
    }
    while (!to_look_at.empty()) {
      const int actor = to_look_at.back();
      to_look_at.pop_back();
      if (!is_stuck(actor) || is_held_up(actor)) continue;
      left_[static_cast<std::size_t>(actor)] = 0;
      for (const std::uint32_t i : to_.of(actor)) to_look_at.push_back(edges_[i].from);
    }
  }

  /// Whether the actor must wait as long as the actors that are left do.
  bool is_held_up(int actor) const {
    bool one_of_several = false, one_goes_on = false;
    for (const std::uint32_t i : from_.of(actor)) {
      const WaitForEdge& edge = edges_[i];
      const bool waits = is_stuck(edge.to);
      if (!edge.any && waits) return true;
      one_of_several = one_of_several || edge.any;
      one_goes_on = one_goes_on || (edge.any && !waits);
    }
    return one_of_several && !one_goes_on;
  }

  const std::vector<WaitForEdge>& edges_;
  const std::size_t count_;
  const Groups from_, to_;
  Few<char> left_;  // by actor: waits for ever
};

}  // namespace

std::vector<int> canonical(std::vector<int> cycle) {
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

std::set<int> WaitGraph::stuck() const {
  const CycleSearch waits(edges_);
  std::set<int> stuck;
  for (int actor = 0; actor < static_cast<int>(waits.count()); ++actor) {
    if (waits.is_stuck(actor)) stuck.insert(actor);
  }
  return stuck;
}

std::optional<std::vector<int>> WaitGraph::cycle_through(int actor) const {
  std::vector<int> cycle = CycleSearch(edges_).cycle_through(actor);
  return cycle.empty() ? std::nullopt : std::optional(std::move(cycle));
}

// In a graph of a few edges: whether anybody waits for one that waits itself. Without that there is no cycle.
bool WaitGraph::has_chain() const {
  constexpr std::size_t kFew = 8;
  if (edges_.size() > kFew) return true;
  return std::any_of(edges_.begin(), edges_.end(), [this](const WaitForEdge& edge) {
    return std::any_of(edges_.begin(), edges_.end(), [&](const WaitForEdge& next) { return next.from == edge.to; });
  });
}

std::vector<std::vector<int>> WaitGraph::cycles() const {
  std::vector<std::vector<int>> found;
  if (!has_chain()) return found;
  const CycleSearch waits(edges_);
  for (int actor = 0; actor < static_cast<int>(waits.count()); ++actor) {
    if (!waits.is_stuck(actor)) continue;
    if (std::vector<int> cycle = waits.cycle_through(actor); !cycle.empty())
      found.push_back(canonical(std::move(cycle)));
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

WaitGraph::Breaker WaitGraph::breaker_of(const std::vector<int>& cycle) const {
  bool all_in_stores = true;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    for (const WaitForEdge& edge : edges_) {
      if (edge.from != cycle[i] || edge.to != cycle[(i + 1) % cycle.size()]) continue;
      if (edge.has_deadline) return Breaker::timeout;
      all_in_stores = all_in_stores && edge.store_breaks;
    }
  }
  return all_in_stores ? Breaker::store : Breaker::nobody;
}

std::string_view name_of(WaitGraph::Breaker breaker) noexcept {
  switch (breaker) {
    case WaitGraph::Breaker::timeout:
      return "a time-out will break it";
    case WaitGraph::Breaker::store:
      return "the store will break it";
    case WaitGraph::Breaker::nobody:
      break;
  }
  return "nobody will break it";
}

}  // namespace lockstep
