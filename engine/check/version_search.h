// version_search.h: whether versions that reads do not order can be ordered so that a level holds. Exact, for few
// transactions: every order is tried, as far as what is known does not exclude it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/check/findings.h"

namespace lockstep::check {

/// At most 64 transactions, each a bit. Not thread-safe.
class VersionSearch {
 public:
  static constexpr std::size_t kTransactionsMost = 64;
  using Set = std::uint64_t;

  /// Two writers of one key, whose order is not known, and who read which version.
  struct OpenPair {
    std::uint32_t a = 0, b = 0;
    Set readers_of_a = 0, readers_of_b = 0;
    Set writers = 0;  ///< of the key
  };

  /// `snapshot`: cycles with two rw edges in a row do not count.
  explicit VersionSearch(bool snapshot) : snapshot_(snapshot) {}

  /// The orders beside the data: the i-th of `members` is bit i.
  void add_orders(const Transactions& transactions, const std::vector<std::uint32_t>& members, Ordering ordering);
  void add(std::uint32_t from, std::uint32_t to, Graph::Edge edge);
  void add(const OpenPair& pair) { pairs_.push_back(pair); }

  /// Unknown when it would take too long.
  Judgement answer();

 private:
  struct Orders {
    std::array<Set, kTransactionsMost> before{}, overwritten{};  // rows: who comes after by ww or wr, and by rw
    std::vector<char> decided;
  };

  bool is_possible(const Orders& orders);
  void decide(Orders& orders, const OpenPair& pair, bool a_first) const;
  Judgement solve(Orders orders);

  const bool snapshot_;
  Orders known_;
  std::vector<OpenPair> pairs_;
  std::size_t steps_left_ = 400'000;
};

}  // namespace lockstep::check
