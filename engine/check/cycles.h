// cycles.h: a graph of which transaction comes before which, and its cycles.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace lockstep::check {

/// Nodes are numbers below the `transactions` given at its making. One thread.
class Graph {
 public:
  enum class Edge : std::uint8_t { ww, wr, rw, time };
  /// Which cycles count.
  enum class Rule : std::uint8_t { any, no_rw, no_two_rw_in_a_row };

  struct Step {
    std::size_t from = 0;
    std::size_t to = 0;
    Edge edge = Edge::ww;
    const std::string* why = nullptr;  ///< as given to add(); nullptr for a time edge. Lives as long as the graph
  };
  using Cycle = std::vector<Step>;

  explicit Graph(std::size_t transactions) : transactions_(transactions), out_(transactions) {}

  void add(std::size_t from, std::size_t to, Edge edge, std::string why);

  /// `node` lasted from `began` to `ended`. After close_times(), a time edge leads from each node to each that began
  /// after it had ended. The edges go along a chain of moments instead of one by one, so that there are few.
  void add_times(std::size_t node, std::int64_t began, std::int64_t ended);
  void close_times();

  /// The shortest cycle in each strongly connected part that has one.
  std::vector<Cycle> cycles(Rule rule) const;

 private:
  struct Out {
    std::size_t to = 0;
    Edge edge = Edge::ww;
    const std::string* why = nullptr;
  };
  struct Lifetime {
    std::size_t node = 0;
    std::int64_t began = 0;
    std::int64_t ended = 0;
  };
  class Search;

  std::size_t transactions_;
  std::vector<std::vector<Out>> out_;  // of the transactions, then of the moments
  std::deque<std::string> reasons_;
  std::vector<Lifetime> lifetimes_;
};

}  // namespace lockstep::check
