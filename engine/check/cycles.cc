// cycles.cc: strongly connected parts after Tarjan (1972). In each, breadth-first search finds the shortest cycle.
//
// Under the rule "no two rw in a row" a state is a node together with whether an rw edge led to it: a cycle of states
// is a closed walk that obeys the rule all around.
#include "engine/check/cycles.h"

#include <algorithm>
#include <limits>

namespace lockstep::check {

void Graph::add(std::size_t from, std::size_t to, Edge edge, std::string why) {
  reasons_.push_back(std::move(why));
  out_[from].push_back({to, edge, &reasons_.back()});
}

void Graph::add_times(std::size_t node, std::int64_t began, std::int64_t ended) {
  lifetimes_.push_back({node, began, ended});
}

// Makes a moment for every end, in their order, each leading to the next. A node leads to the moment of its end; the
// last moment before a begin leads to the node that begins then.
void Graph::close_times() {
  std::sort(lifetimes_.begin(), lifetimes_.end(),
            [](const Lifetime& a, const Lifetime& b) { return a.ended < b.ended; });
  const std::size_t first = out_.size();
  out_.resize(first + lifetimes_.size());
  for (std::size_t i = 0; i < lifetimes_.size(); ++i) {
    out_[lifetimes_[i].node].push_back({first + i, Edge::time, nullptr});
    if (i > 0) out_[first + i - 1].push_back({first + i, Edge::time, nullptr});
    const auto later = std::lower_bound(lifetimes_.begin(), lifetimes_.end(), lifetimes_[i].began,
                                        [](const Lifetime& l, std::int64_t began) { return l.ended < began; });
    if (later != lifetimes_.begin())
      out_[first + static_cast<std::size_t>(later - lifetimes_.begin()) - 1].push_back(
          {lifetimes_[i].node, Edge::time, nullptr});
  }
}

class Graph::Search {
 public:
  Search(const Graph& graph, Rule rule)
      : graph_(graph),
        rule_(rule),
        width_(rule == Rule::no_two_rw_in_a_row ? 2 : 1),
        states_(graph.out_.size() * width_) {}

  std::vector<Cycle> run() {
    number_.assign(states_, 0);
    low_.assign(states_, 0);
    part_.assign(states_, kNone);
    for (std::size_t state = 0; state < states_; ++state)
      if (number_[state] == 0) visit(state);
    std::vector<Cycle> cycles;
    for (const std::vector<std::size_t>& members : parts_) cycles.push_back(shortest(members));
    return cycles;
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  struct Frame {
    std::size_t state;
    std::size_t next = 0;
  };

  /// The state that `out` leads to from `state`; kNone when the rule forbids it.
  std::size_t follow(std::size_t state, const Out& out) const {
    if (out.edge != Edge::rw) return out.to * width_;
    if (rule_ == Rule::any) return out.to;
    if (rule_ == Rule::no_rw || state % 2 == 1) return kNone;
    return out.to * 2 + 1;
  }
  const std::vector<Out>& out_of(std::size_t state) const { return graph_.out_[state / width_]; }

  void enter(std::size_t state) {
    low_[state] = number_[state] = ++last_number_;
    stack_.push_back(state);
    frames_.push_back({state});
  }

  void visit(std::size_t root) {
    enter(root);
    while (!frames_.empty()) {
      const std::size_t state = frames_.back().state;
      const auto& out = out_of(state);
      if (frames_.back().next < out.size()) {
        const std::size_t to = follow(state, out[frames_.back().next++]);
        if (to == kNone || part_[to] != kNone) continue;
        if (number_[to] == 0)
          enter(to);
        else
          low_[state] = std::min(low_[state], number_[to]);
        continue;
      }
      frames_.pop_back();
      if (!frames_.empty()) low_[frames_.back().state] = std::min(low_[frames_.back().state], low_[state]);
      if (low_[state] == number_[state]) close(state);
    }
  }

  void close(std::size_t root) {
    std::vector<std::size_t> members;
    std::size_t state = kNone;
    do {
      state = stack_.back();
      stack_.pop_back();
      part_[state] = last_part_;
      members.push_back(state);
    } while (state != root);
    ++last_part_;
    if (members.size() > 1) parts_.push_back(std::move(members));
  }

  Cycle shortest(const std::vector<std::size_t>& members) const {
    constexpr std::size_t kEnoughStarts = 64;  // a large part has short cycles everywhere
    Cycle best;
    std::size_t starts = 0;
    for (const std::size_t start : members) {
      if (start / width_ >= graph_.transactions_) continue;
      if (++starts > kEnoughStarts && !best.empty()) break;
      Cycle cycle = shortest_from(start);
      if (best.empty() || (!cycle.empty() && cycle.size() < best.size())) best = std::move(cycle);
    }
    return best;
  }

  struct Came {
    std::size_t from = kNone;
    const Out* by = nullptr;
  };

  Cycle shortest_from(std::size_t start) const {
    std::vector<Came> came(states_);
    std::deque<std::size_t> queue{start};
    while (!queue.empty()) {
      const std::size_t state = queue.front();
      queue.pop_front();
      for (const Out& out : out_of(state)) {
        const std::size_t to = follow(state, out);
        if (to == kNone || part_[to] != part_[start] || came[to].by) continue;
        came[to] = {state, &out};
        if (to == start) return walk_back(came, start);
        queue.push_back(to);
      }
    }
    return {};
  }

  /// Moments are left out: what remains of a way through them is one time edge.
  Cycle walk_back(const std::vector<Came>& came, std::size_t start) const {
    Cycle cycle;
    std::size_t to = start;
    std::size_t state = start;
    do {
      const Came& step = came[state];
      state = step.from;
      if (state / width_ >= graph_.transactions_) continue;
      cycle.push_back({state / width_, to / width_, step.by->edge, step.by->why});
      to = state;
    } while (state != start);
    std::reverse(cycle.begin(), cycle.end());
    return cycle;
  }

  const Graph& graph_;
  const Rule rule_;
  const std::size_t width_;
  const std::size_t states_;
  std::vector<std::size_t> number_, low_, part_, stack_;
  std::vector<Frame> frames_;
  std::size_t last_number_ = 0;
  std::size_t last_part_ = 0;
  std::vector<std::vector<std::size_t>> parts_;  // of more than one state
};

std::vector<Graph::Cycle> Graph::cycles(Rule rule) const { return Search(*this, rule).run(); }

}  // namespace lockstep::check
