// by_key.h: what the judges of transactions share: steps sorted by key, and the orders beside the data.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/check/findings.h"

namespace lockstep::check {

inline constexpr std::uint32_t kNone = Findings::kNone;

/// The steps of each key, in the order of the history. The transactions outlive it.
class StepsByKey {
 public:
  explicit StepsByKey(const Transactions& transactions);
  /// Numbers of steps.
  std::span<const std::uint32_t> of(std::uint32_t key) const {
    return std::span(sorted_).subspan(first_[key], first_[key + 1] - first_[key]);
  }

 private:
  std::vector<std::uint32_t> first_, sorted_;
};

/// From the elements of one key to the steps that wrote them. Its memory is used again for the next key.
class WriteTable {
 public:
  /// Forgets what it held; `steps`: the numbers of one key's steps, of which the writes count. The findings are told
  /// when two of them write one element.
  void fill(Findings& findings, std::span<const std::uint32_t> steps);
  /// The step that wrote it; Findings::kNone: nobody did.
  std::uint32_t find(Element element) const {
    if (dense_) return element - least_ < slots_ ? steps_[element - least_] : Findings::kNone;
    for (std::uint64_t at = hash(element);; ++at) {
      const std::uint64_t slot = at & (slots_ - 1);
      if (steps_[slot] == Findings::kNone || elements_[slot] == element) return steps_[slot];
    }
  }

 private:
  static std::uint64_t hash(Element element) noexcept { return (element * 0x9E3779B97F4A7C15ULL) >> 20U; }

  bool dense_ = true;
  Element least_ = 0;
  std::uint64_t slots_ = 0;
  std::vector<std::uint32_t> steps_, writes_;
  std::vector<Element> elements_;
};

/// Adds sessions and lifetimes of the committed transactions to the graph.
void add_orders(Findings& findings);

/// Every reader comes before every writer but itself, by rw, or by rw_then_ww when it writes the key too. Readers and
/// writers are steps of one key, in the order of the history, one of each transaction. Takes edges in proportion to
/// their number, not to the product.
void add_all_before(Graph& graph, const Transactions& transactions, std::span<const std::uint32_t> readers,
                    std::span<const std::uint32_t> writers);

/// Whether the transaction of `step` writes its key, and does not undo it.
bool writes_key_of(const Transactions& transactions, std::uint32_t step);

}  // namespace lockstep::check
