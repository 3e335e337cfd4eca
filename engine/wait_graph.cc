// wait_graph.cc: who is stuck by reduction, cycles among them by breadth-first search.
#include "engine/wait_graph.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

namespace lockstep {
namespace {

using Successors = std::map<int, std::set<int>>;

/// The edges among `actors`.
Successors successors_of(const std::vector<WaitForEdge>& edges, const std::set<int>& actors) {
  Successors successors;
  for (const WaitForEdge& edge : edges) {
    if (actors.contains(edge.from) && actors.contains(edge.to)) successors[edge.from].insert(edge.to);
  }
  return successors;
}

/// Whether an actor with these edges must wait as long as those `left` do.
bool is_held_up(const std::vector<const WaitForEdge*>& edges, const std::set<int>& left) {
  bool one_of_several = false, one_goes_on = false;
  for (const WaitForEdge* const edge : edges) {
    const bool waits = left.contains(edge->to);
    if (!edge->any && waits) return true;
    one_of_several = one_of_several || edge->any;
    one_goes_on = one_goes_on || (edge->any && !waits);
  }
  return one_of_several && !one_goes_on;
}

std::optional<std::vector<int>> shortest_cycle(const Successors& successors, int actor) {
  std::map<int, int> came_from;
  std::deque<int> queue{actor};
  while (!queue.empty()) {
    const int at = queue.front();
    queue.pop_front();
    const auto found = successors.find(at);
    if (found == successors.end()) continue;
    for (const int next : found->second) {
      if (next == actor) {
        std::vector<int> cycle;
        for (int back = at; back != actor; back = came_from.at(back)) cycle.push_back(back);
        cycle.push_back(actor);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (came_from.emplace(next, at).second) queue.push_back(next);
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<int> canonical(std::vector<int> cycle) {
  std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
  return cycle;
}

std::set<int> WaitGraph::stuck() const {
  std::set<int> left;
  std::map<int, std::vector<const WaitForEdge*>> edges_of;
  std::map<int, std::vector<int>> waiters_of;
  for (const WaitForEdge& edge : edges_) {
    if (edge.from < 0) continue;
    left.insert(edge.from);
    edges_of[edge.from].push_back(&edge);
    waiters_of[edge.to].push_back(edge.from);
  }
  // Whoever goes on is a reason to look again at those who wait for him.
  std::vector<int> to_look_at(left.begin(), left.end());
  while (!to_look_at.empty()) {
    const int actor = to_look_at.back();
    to_look_at.pop_back();
    if (!left.contains(actor) || is_held_up(edges_of.at(actor), left)) continue;
    left.erase(actor);
    if (const auto waiters = waiters_of.find(actor); waiters != waiters_of.end()) {
      to_look_at.insert(to_look_at.end(), waiters->second.begin(), waiters->second.end());
    }
  }
  return left;
}

std::optional<std::vector<int>> WaitGraph::cycle_through(int actor) const {
  return shortest_cycle(successors_of(edges_, stuck()), actor);
}

std::vector<std::vector<int>> WaitGraph::cycles() const {
  std::set<std::vector<int>> found;
  const Successors successors = successors_of(edges_, stuck());
  for (const auto& [actor, unused] : successors) {
    if (auto cycle = shortest_cycle(successors, actor)) found.insert(canonical(std::move(*cycle)));
  }
  return {found.begin(), found.end()};
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
