// cycles.cc: strongly connected parts after Pearce, "A space-efficient algorithm for finding strongly connected
// components", 2016. In each, breadth-first search finds a short cycle.
//
// Under the rule "no two rw in a row" a state is a node together with whether an rw edge led to it: a cycle of states
// is a closed walk that obeys the rule all around.
#include "engine/check/cycles.h"

#include <algorithm>
#include <queue>

#include "kv/base/check.h"

namespace lockstep::check {
namespace {

struct Added {
  std::uint32_t from = 0, to = 0;
  std::uint32_t edge : 3;
  std::uint32_t why : 29;
};

struct Out {
  std::uint32_t to = 0;
  std::uint32_t edge : 3;
  std::uint32_t why : 29;

  Graph::Edge kind() const noexcept { return static_cast<Graph::Edge>(edge); }
};

struct Lifetime {
  std::uint32_t node = 0;
  bool ends = true;
  std::int64_t began = 0, ended = 0;
};

Out out_to(std::uint32_t to, Graph::Edge edge, std::uint32_t why = 0) {
  Out out{};
  out.to = to;
  out.edge = static_cast<std::uint32_t>(edge) & 7U;
  out.why = why & ((1U << 29U) - 1);
  return out;
}

/// Calls `found(members)` for every strongly connected part of more than one node, whose `members` it may change.
/// `next(node, n, to)` gives the n-th node after `node`, or false.
template <class Next, class Found>
void strong_parts(std::uint32_t nodes, const Next& next, const Found& found) {
  struct Frame {
    std::uint32_t node = 0, at = 0;
  };
  std::vector<std::uint32_t> index(nodes, 0);  // 0: not visited; of a closed part: above every open one's
  std::vector<char> is_root(nodes, 0);
  std::vector<Frame> frames;
  std::vector<std::uint32_t> stack, members;
  std::uint32_t last = 1, closed = nodes + 1;
  for (std::uint32_t start = 0; start < nodes; ++start) {
    if (index[start] != 0) continue;
    index[start] = last++;
    is_root[start] = 1;
    frames.push_back({start, 0});
    while (!frames.empty()) {
      const std::uint32_t node = frames.back().node;
      std::uint32_t to = 0;
      if (next(node, frames.back().at, to)) {
        ++frames.back().at;
        if (index[to] == 0) {
          index[to] = last++;
          is_root[to] = 1;
          frames.push_back({to, 0});
        } else if (index[to] < index[node]) {
          index[node] = index[to];
          is_root[node] = 0;
        }
        continue;
      }
      frames.pop_back();
      if (is_root[node] == 0) {
        stack.push_back(node);
      } else {
        --last;
        members.clear();
        while (!stack.empty() && index[stack.back()] >= index[node]) {
          members.push_back(stack.back());
          index[stack.back()] = closed;
          stack.pop_back();
          --last;
        }
        index[node] = closed--;
        if (!members.empty()) {
          members.push_back(node);
          found(members);
        }
      }
      if (!frames.empty()) {
        const std::uint32_t above = frames.back().node;
        if (index[node] < index[above]) {
          index[above] = index[node];
          is_root[above] = 0;
        }
      }
    }
  }
}

}  // namespace

/// The nodes that lie on any cycle, with every edge between two of one part, numbered anew.
class Graph::Knots {
 public:
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(names_.size()); }
  void add(std::uint32_t name, bool is_transaction) {
    names_.push_back(name);
    transactions_.push_back(is_transaction ? 1 : 0);
    first_.push_back(static_cast<std::uint32_t>(outs_.size()));
  }
  void add_out(const Out& out) { outs_.push_back(out); }
  void close() { first_.push_back(static_cast<std::uint32_t>(outs_.size())); }

  /// Follows edges as far as they go, and back. An edge to a state that is still on the way closes a cycle.
  bool has_cycle(Rule rule, Ordering ordering, bool guesses) const {
    enum : char { fresh, on_the_way, done };
    guesses_ = guesses;
    const std::uint32_t width = width_of(rule);
    std::vector<char> looks(static_cast<std::size_t>(size()) * width, fresh);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> way;  // states, each with the next of its edges
    for (std::uint32_t start = 0; start < looks.size(); ++start) {
      if (looks[start] != fresh) continue;
      looks[start] = on_the_way;
      way.emplace_back(start, first_[start / width]);
      while (!way.empty()) {
        const std::uint32_t state = way.back().first;
        if (way.back().second == first_[state / width + 1]) {
          looks[state] = done;
          way.pop_back();
          continue;
        }
        const std::uint32_t to = follow(rule, ordering, width, state, outs_[way.back().second++]);
        if (to == kNone || looks[to] == done) continue;
        if (looks[to] == on_the_way) return true;
        looks[to] = on_the_way;
        way.emplace_back(to, first_[to / width]);
      }
    }
    return false;
  }

  Cycles cycles(Rule rule, Ordering ordering, std::size_t most) const {
    Cycles all;
    guesses_ = false;
    const std::uint32_t width = width_of(rule);
    part_.assign(static_cast<std::size_t>(size()) * width, 0);
    seen_.assign(part_.size(), 0);
    came_.resize(part_.size());
    stamp_ = 0;
    strong_parts(
        size() * width,
        [&](std::uint32_t state, std::uint32_t& at, std::uint32_t& to) {
          const std::uint32_t node = state / width;
          for (; first_[node] + at < first_[node + 1]; ++at) {
            to = follow(rule, ordering, width, state, outs_[first_[node] + at]);
            if (to != kNone) return true;
          }
          return false;
        },
        [&](const std::vector<std::uint32_t>& members) {
          ++all.knots;
          if (all.some.size() >= most) return;
          for (const std::uint32_t state : members) part_[state] = static_cast<std::uint32_t>(all.knots);
          all.some.push_back(short_cycle(rule, ordering, width, members));
        });
    return all;
  }

 private:
  struct Came {
    std::uint32_t from = 0, out = 0;
  };

  static std::uint32_t width_of(Rule rule) noexcept { return rule == Rule::no_two_rw_in_a_row ? 2 : 1; }

  bool allowed(Ordering ordering, Edge edge) const {
    if (edge == Edge::guess) return guesses_;
    if (edge == Edge::session) return ordering != Ordering::none;
    return edge != Edge::time || ordering == Ordering::real_time;
  }

  /// The state that `out` leads to from `state`; kNone when the rule forbids it.
  std::uint32_t follow(Rule rule, Ordering ordering, std::uint32_t width, std::uint32_t state, const Out& out) const {
    const Edge edge = out.kind();
    if (!allowed(ordering, edge)) return kNone;
    if (rule == Rule::any) return out.to;
    if (width == 1) {
      const bool rw = edge == Edge::rw || edge == Edge::rw_then_ww;
      return rw || (rule == Rule::ww_only && edge == Edge::wr) ? kNone : out.to;
    }
    const bool after_rw = state % 2 == 1;
    if (edge == Edge::way) return out.to * 2 + (after_rw ? 1 : 0);
    if (edge != Edge::rw) return out.to * 2;
    return after_rw ? kNone : out.to * 2 + 1;
  }

  Cycle short_cycle(Rule rule, Ordering ordering, std::uint32_t width,
                    const std::vector<std::uint32_t>& members) const {
    constexpr std::size_t kStartsMost = 64;  // a large part has short cycles everywhere
    constexpr std::size_t kVisitsOfEach = 8;
    std::size_t visits = 0;
    for (const std::uint32_t state : members) visits += first_[state / width + 1] - first_[state / width];
    visits = visits * kVisitsOfEach + 1024;
    Cycle best;
    std::size_t starts = 0;
    // The last member is a root, from which everything in the part was found: often the first of its transactions.
    for (auto start = members.rbegin(); start != members.rend(); ++start) {
      if (transactions_[*start / width] == 0) continue;
      if (!best.empty() && (++starts > kStartsMost || visits == 0 || best.size() == 2)) break;
      Cycle cycle = shortest_from(rule, ordering, width, *start, best.empty() ? nullptr : &visits);
      if (!cycle.empty() && (best.empty() || cycle.size() < best.size())) best = std::move(cycle);
    }
    return best;
  }

  /// Gives up, empty, when `visits` edges were looked at.
  Cycle shortest_from(Rule rule, Ordering ordering, std::uint32_t width, std::uint32_t start,
                      std::size_t* visits) const {
    ++stamp_;
    queue_.assign(1, start);
    for (std::size_t at = 0; at < queue_.size(); ++at) {
      const std::uint32_t state = queue_[at];
      const std::uint32_t node = state / width;
      for (std::uint32_t i = first_[node]; i < first_[node + 1]; ++i) {
        if (visits != nullptr && (*visits)-- <= 1) return *visits = 0, Cycle();
        const std::uint32_t to = follow(rule, ordering, width, state, outs_[i]);
        if (to == kNone || part_[to] != part_[start] || seen_[to] == stamp_) continue;
        seen_[to] = stamp_;
        came_[to] = {state, i};
        if (to == start) return walk_back(width, start);
        queue_.push_back(to);
      }
    }
    return {};
  }

  /// What is no transaction is left out: a way through it is one edge, of the kind that it began with.
  Cycle walk_back(std::uint32_t width, std::uint32_t start) const {
    std::vector<Came> way;
    std::uint32_t state = start;
    do {
      way.push_back(came_[state]);
      state = came_[state].from;
    } while (state != start);
    std::reverse(way.begin(), way.end());
    Cycle cycle;
    for (const Came& step : way) {
      const Out& out = outs_[step.out];
      const std::uint32_t from = step.from / width;
      if (transactions_[from] != 0) cycle.push_back({names_[from], 0, out.kind(), out.why});
      if (transactions_[out.to] != 0) cycle.back().to = names_[out.to];
    }
    return cycle;
  }

  std::vector<std::uint32_t> names_, first_;
  std::vector<char> transactions_;
  std::vector<Out> outs_;
  // Of the question that is being answered.
  mutable std::vector<std::uint32_t> part_, seen_, queue_;
  mutable std::vector<Came> came_;
  mutable std::uint32_t stamp_ = 0;
  mutable bool guesses_ = false;
};

struct Graph::Parts {
  std::size_t transactions = 0;
  std::uint32_t nodes = 0;  // transactions, then those of add_node()
  std::vector<Added> added;
  std::vector<std::uint32_t> first;  // of each node's out-edges
  std::vector<Out> outs;
  std::vector<std::uint32_t> next_in_session;  // empty: no sessions
  std::vector<Lifetime> lifetimes;
  // A moment for every end, in their order; moment i leads to moment i + 1 and to the nodes from `born` that began
  // after it and not after moment i + 1.
  std::vector<std::uint32_t> moment_of, first_born, born;
  std::uint32_t moments = 0;
  bool edges = false;
  bool guesses = false;
  bool sessions = false;
  bool times = false;
  Knots knots;

  /// The `at`-th edge from `node`; moments are the nodes from `nodes` on.
  bool next(std::uint32_t node, std::uint32_t at, Out& out) const {
    if (node >= nodes) return next_of_moment(node - nodes, at, out);
    const std::uint32_t own = first[node + 1] - first[node];
    if (at < own) return out = outs[first[node] + at], true;
    at -= own;
    if (node >= transactions) return false;
    if (!next_in_session.empty() && next_in_session[node] != kNone) {
      if (at == 0) return out = out_to(next_in_session[node], Edge::session), true;
      --at;
    }
    if (at > 0 || moment_of.empty() || moment_of[node] == kNone) return false;
    return out = out_to(nodes + moment_of[node], Edge::time), true;
  }

  bool next_of_moment(std::uint32_t moment, std::uint32_t at, Out& out) const {
    if (moment + 1 < moments) {
      if (at == 0) return out = out_to(nodes + moment + 1, Edge::time), true;
      --at;
    }
    if (first_born[moment] + at >= first_born[moment + 1]) return false;
    return out = out_to(born[first_born[moment] + at], Edge::time), true;
  }

  void sort_edges() {
    first.assign(nodes + 1, 0);
    for (const Added& one : added) ++first[one.from + 1];
    for (std::uint32_t node = 0; node < nodes; ++node) first[node + 1] += first[node];
    outs.resize(added.size());
    std::vector<std::uint32_t> at(first.begin(), first.end() - 1);
    for (const Added& one : added) outs[at[one.from]++] = out_to(one.to, static_cast<Edge>(one.edge), one.why);
    added = {};
  }

  void sort_times() {
    if (lifetimes.empty()) return;
    const auto by_begin = [](const Lifetime& a, const Lifetime& b) { return a.began < b.began; };
    if (!std::is_sorted(lifetimes.begin(), lifetimes.end(), by_begin))
      std::sort(lifetimes.begin(), lifetimes.end(), by_begin);
    std::vector<std::pair<std::int64_t, std::uint32_t>> ends;
    ends.reserve(lifetimes.size());
    for (const Lifetime& life : lifetimes)
      if (life.ends) ends.emplace_back(life.ended, life.node);
    if (!std::is_sorted(ends.begin(), ends.end())) std::sort(ends.begin(), ends.end());
    moments = static_cast<std::uint32_t>(ends.size());
    moment_of.assign(transactions, kNone);
    for (std::uint32_t i = 0; i < moments; ++i) moment_of[ends[i].second] = i;
    first_born.assign(moments + 1, 0);
    std::size_t life = 0;
    for (std::uint32_t i = 0; i < moments; ++i) {
      while (life < lifetimes.size() && lifetimes[life].began <= ends[i].first) ++life;
      first_born[i] = static_cast<std::uint32_t>(life);
    }
    first_born[moments] = static_cast<std::uint32_t>(lifetimes.size());
    times = moments > 0 && first_born[0] < lifetimes.size();
    born.reserve(lifetimes.size());
    for (const Lifetime& each : lifetimes) born.push_back(each.node);
    lifetimes = {};
  }

  void find_knots() {
    std::vector<std::uint32_t> members_of_all, part_of_all;  // of nodes on a cycle, and which part
    std::uint32_t parts = 0;
    strong_parts(
        nodes + moments,
        [this](std::uint32_t node, std::uint32_t at, std::uint32_t& to) {
          Out out{};
          if (!next(node, at, out)) return false;
          to = out.to;
          return true;
        },
        [&](const std::vector<std::uint32_t>& members) {
          members_of_all.insert(members_of_all.end(), members.begin(), members.end());
          part_of_all.insert(part_of_all.end(), members.size(), parts++);
        });
    if (members_of_all.empty()) return knots.close();
    std::vector<std::uint32_t> number(nodes + moments, kNone);
    for (std::uint32_t i = 0; i < members_of_all.size(); ++i) number[members_of_all[i]] = i;
    for (std::uint32_t i = 0; i < members_of_all.size(); ++i) {
      const std::uint32_t node = members_of_all[i];
      knots.add(node, node < transactions);
      Out out{};
      for (std::uint32_t at = 0; next(node, at, out); ++at) {
        const std::uint32_t to = number[out.to];
        if (to == kNone || part_of_all[to] != part_of_all[i]) continue;
        out.to = to;
        knots.add_out(out);
      }
    }
    knots.close();
  }
};

Graph::Graph(std::size_t transactions) : parts_(std::make_unique<Parts>()) {
  parts_->transactions = transactions;
  parts_->nodes = static_cast<std::uint32_t>(transactions);
}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

void Graph::add(std::uint32_t from, std::uint32_t to, Edge edge, std::uint32_t why) {
  Added one{};
  one.from = from;
  one.to = to;
  one.edge = static_cast<std::uint32_t>(edge) & 7U;
  one.why = why & ((1U << 29U) - 1);
  parts_->added.push_back(one);
  parts_->edges |= edge != Edge::guess && edge != Edge::session;
  parts_->sessions |= edge == Edge::session;
  parts_->guesses |= edge == Edge::guess;
}

std::uint32_t Graph::add_node() { return parts_->nodes++; }

void Graph::follows(std::uint32_t from, std::uint32_t to) {
  if (parts_->next_in_session.empty()) parts_->next_in_session.assign(parts_->transactions, kNone);
  parts_->next_in_session[from] = to;
  parts_->sessions = true;
}

void Graph::add_times(std::uint32_t node, std::int64_t began, std::int64_t ended, bool ends) {
  parts_->lifetimes.push_back({node, ends, began, ended});
}

void Graph::close() {
  parts_->sort_edges();
  parts_->sort_times();
  parts_->find_knots();
}

bool Graph::has_edges() const noexcept { return parts_->edges; }

bool Graph::has(Ordering ordering) const noexcept {
  if (ordering == Ordering::none) return false;
  return parts_->sessions || (ordering == Ordering::real_time && parts_->times);
}

bool Graph::has_guesses() const noexcept { return parts_->guesses; }

bool Graph::has_cycle(Rule rule, Ordering ordering, bool guesses) const {
  if (parts_->knots.size() == 0) return false;
  // The knots are those of every edge.
  if (rule == Rule::any && ordering == Ordering::real_time && (guesses || !parts_->guesses)) return true;
  return parts_->knots.has_cycle(rule, ordering, guesses);
}

Graph::Cycles Graph::cycles(Rule rule, Ordering ordering, std::size_t most) const {
  if (parts_->knots.size() == 0) return {};
  return parts_->knots.cycles(rule, ordering, most);
}

std::vector<Graph::Hop> Graph::hops() const {
  const Parts& parts = *parts_;
  std::vector<Hop> all;
  std::vector<std::uint32_t> ways;
  for (std::uint32_t node = 0; node < parts.transactions; ++node) {
    for (std::uint32_t i = parts.first[node]; i < parts.first[node + 1]; ++i) {
      const Out& out = parts.outs[i];
      if (out.kind() == Edge::guess || out.kind() == Edge::session) continue;
      ways.assign(1, out.to);
      while (!ways.empty()) {
        const std::uint32_t to = ways.back();
        ways.pop_back();
        if (to < parts.transactions)
          all.push_back({node, to, out.kind(), out.why});
        else
          for (std::uint32_t k = parts.first[to]; k < parts.first[to + 1]; ++k) ways.push_back(parts.outs[k].to);
      }
    }
  }
  return all;
}

std::vector<std::uint32_t> Graph::order(const std::vector<std::int64_t>& by) const {
  const Parts& parts = *parts_;
  std::vector<std::uint32_t> before(parts.nodes, 0), all;
  for (const Out& out : parts.outs) ++before[out.to];
  using Place = std::pair<std::int64_t, std::uint32_t>;
  std::priority_queue<Place, std::vector<Place>, std::greater<>> free;
  const auto put = [&](std::uint32_t node) { free.emplace(node < parts.transactions ? by[node] : INT64_MIN, node); };
  for (std::uint32_t node = 0; node < parts.nodes; ++node)
    if (before[node] == 0) put(node);
  std::size_t taken = 0;
  for (; !free.empty(); ++taken) {
    const std::uint32_t node = free.top().second;
    free.pop();
    if (node < parts.transactions) all.push_back(node);
    for (std::uint32_t i = parts.first[node]; i < parts.first[node + 1]; ++i)
      if (--before[parts.outs[i].to] == 0) put(parts.outs[i].to);
  }
  if (taken < parts.nodes) all.clear();
  return all;
}

}  // namespace lockstep::check
