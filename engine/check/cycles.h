// cycles.h: a graph of which transaction comes before which, and its cycles.
//
// Takes time and memory in proportion to nodes and edges, also where there are many cycles: only the knots (strongly
// connected parts) of the graph with every edge are looked at again, rule by rule.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/check/level.h"

namespace lockstep::check {

/// Nodes are numbers: the transactions given at its making, and what add_node() makes. One thread.
class Graph {
 public:
  /// `rw_then_ww`: the source overwrites the key too, so that a snapshot must have it commit before the target.
  /// `guess`: a ww that is likely, of a pair whose order is not known.
  enum class Edge : std::uint8_t { ww, wr, rw, rw_then_ww, way, session, time, guess };
  /// Which cycles count. Of no_two_rw_in_a_row: those without two rw edges in a row; an rw_then_ww edge is none.
  enum class Rule : std::uint8_t { ww_only, no_rw, no_two_rw_in_a_row, any };

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Hop {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    Edge edge = Edge::ww;
    std::uint32_t why = 0;  ///< as given to add()
  };
  using Cycle = std::vector<Hop>;

  struct Cycles {
    std::vector<Cycle> some;  ///< a short one of each of the first knots
    std::size_t knots = 0;    ///< that have a cycle
  };

  explicit Graph(std::size_t transactions);
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  /// `why`: below 2^29; a cycle gives it back for each of its edges.
  void add(std::uint32_t from, std::uint32_t to, Edge edge, std::uint32_t why);
  /// A node that is no transaction: what leads to it leads on by Edge::way. So m nodes before n others cost m + n
  /// edges.
  std::uint32_t add_node();

  /// `to` follows `from` in their session; one from each transaction, more by add().
  void follows(std::uint32_t from, std::uint32_t to);
  /// `node` lasted from `began` to `ended`; `ends` false: for ever. A time edge leads from each node to each that began
  /// after it had ended. The edges go along a chain of moments instead of one by one, so that there are few.
  void add_times(std::uint32_t node, std::int64_t began, std::int64_t ended, bool ends);

  /// Once, when all is added, before it is asked.
  void close();

  /// An edge of what transactions saw.
  bool has_edges() const noexcept;
  bool has(Ordering ordering) const noexcept;

  /// At most `most` cycles that obey `rule` and whose other edges are those of `ordering` (real time has sessions too).
  Cycles cycles(Rule rule, Ordering ordering, std::size_t most) const;
  /// Ends at the first cycle that it meets; one look at each edge where there is none.
  bool has_cycle(Rule rule, Ordering ordering) const { return has_cycle(rule, ordering, false); }
  /// The same, guessed edges included. No cycle: the guess is an order that fits.
  bool has_cycle_with_guesses(Rule rule, Ordering ordering) const { return has_cycle(rule, ordering, true); }
  bool has_guesses() const noexcept;

  /// The transactions in an order that every edge of what they saw follows; empty when there is a cycle.
  std::vector<std::uint32_t> order(const std::vector<std::int64_t>& by) const;
  /// Every edge of what they saw, without nodes between. For few transactions.
  std::vector<Hop> hops() const;

 private:
  bool has_cycle(Rule rule, Ordering ordering, bool guesses) const;

  class Knots;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace lockstep::check
