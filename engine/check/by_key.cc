// by_key.cc: steps sorted by key in linear time, and edges of many to many by few nodes between.
#include "engine/check/by_key.h"

#include <algorithm>
#include <unordered_map>

namespace lockstep::check {

StepsByKey::StepsByKey(const Transactions& transactions)
    : first_(transactions.keys() + 1, 0), sorted_(transactions.steps().size()) {
  const auto& steps = transactions.steps();
  for (const Transactions::Step& step : steps) ++first_[step.key + 1];
  for (std::size_t key = 0; key < transactions.keys(); ++key) first_[key + 1] += first_[key];
  std::vector<std::uint32_t> at(first_.begin(), first_.end() - 1);
  for (std::size_t i = 0; i < steps.size(); ++i) sorted_[at[steps[i].key]++] = static_cast<std::uint32_t>(i);
}

void WriteTable::fill(Findings& findings, std::span<const std::uint32_t> of_key) {
  const auto& steps = findings.transactions().steps();
  Element least = ~Element{0}, most = 0;
  writes_.clear();
  for (const std::uint32_t step : of_key) {
    if (!steps[step].writes()) continue;
    writes_.push_back(step);
    least = std::min(least, steps[step].what);
    most = std::max(most, steps[step].what);
  }
  least_ = writes_.empty() ? 0 : least;
  dense_ = writes_.empty() || most - least < writes_.size() * 4 + 64;
  slots_ = writes_.empty() ? 0 : most - least + 1;
  if (!dense_)
    for (slots_ = 4; slots_ < writes_.size() * 2;) slots_ *= 2;
  steps_.assign(slots_, Findings::kNone);
  if (!dense_) elements_.resize(slots_);
  for (const std::uint32_t step : writes_) {
    const Element element = steps[step].what;
    std::uint64_t slot = element - least_;
    if (!dense_)
      for (slot = hash(element) & (slots_ - 1); steps_[slot] != Findings::kNone && elements_[slot] != element;)
        slot = (slot + 1) & (slots_ - 1);
    if (steps_[slot] != Findings::kNone) {
      if (!findings.written_twice) findings.written_twice = std::pair(steps_[slot], step);
      return;
    }
    steps_[slot] = step;
    if (!dense_) elements_[slot] = element;
  }
}

void add_orders(Findings& findings) {
  const Transactions& transactions = findings.transactions();
  std::unordered_map<std::uint32_t, std::uint32_t> last;  // of each process
  for (std::uint32_t i = 0; i < transactions.size(); ++i) {
    if (findings.committed[i] == 0) continue;
    const Transactions::Item& item = transactions.item(i);
    findings.graph.add_times(i, item.began, item.ended, item.end == Transactions::End::committed);
    if (item.process == Transactions::kNoProcess) continue;
    const auto [place, is_first] = last.emplace(item.process, i);
    if (is_first) continue;
    const bool after_one = transactions.item(place->second).end == Transactions::End::committed;
    if (item.end == Transactions::End::committed) {
      if (after_one) findings.graph.follows(place->second, i);
      place->second = i;
    } else if (after_one) {  // it may take effect at any later time, and comes before nothing
      findings.graph.add(place->second, i, Graph::Edge::session, 0);
    }
  }
}

void add_all_before(Graph& graph, const Transactions& transactions, std::span<const std::uint32_t> readers,
                    std::span<const std::uint32_t> writers) {
  constexpr std::size_t kProductMost = 64;
  const auto& steps = transactions.steps();
  // Where each reader stands among the writers: both are in the order of the history.
  const auto place_of = [&](std::uint32_t transaction) {
    const auto at = std::lower_bound(writers.begin(), writers.end(), transaction,
                                     [&](std::uint32_t w, std::uint32_t t) { return steps[w].transaction < t; });
    return static_cast<std::size_t>(at - writers.begin());
  };
  const auto writes_too = [&](std::size_t place, std::uint32_t transaction) {
    return place < writers.size() && steps[writers[place]].transaction == transaction;
  };
  if (readers.size() * writers.size() <= kProductMost) {
    for (const std::uint32_t reader : readers) {
      const std::uint32_t from = steps[reader].transaction;
      const Graph::Edge edge = writes_key_of(transactions, reader) ? Graph::Edge::rw_then_ww : Graph::Edge::rw;
      for (const std::uint32_t writer : writers)
        if (steps[writer].transaction != from) graph.add(from, steps[writer].transaction, edge, reader);
    }
    return;
  }
  // upto[i] leads to the writers 0 … i, from[i] to those from i on. The i-th writer takes both ways around itself.
  std::vector<std::uint32_t> upto(writers.size()), from_on(writers.size());
  for (std::size_t i = 0; i < writers.size(); ++i) {
    upto[i] = graph.add_node();
    from_on[i] = graph.add_node();
  }
  for (std::size_t i = 0; i < writers.size(); ++i) {
    graph.add(upto[i], steps[writers[i]].transaction, Graph::Edge::way, 0);
    graph.add(from_on[i], steps[writers[i]].transaction, Graph::Edge::way, 0);
    if (i > 0) graph.add(upto[i], upto[i - 1], Graph::Edge::way, 0);
    if (i + 1 < writers.size()) graph.add(from_on[i], from_on[i + 1], Graph::Edge::way, 0);
  }
  for (const std::uint32_t reader : readers) {
    const std::uint32_t transaction = steps[reader].transaction;
    const std::size_t place = place_of(transaction);
    const Graph::Edge edge = writes_key_of(transactions, reader) ? Graph::Edge::rw_then_ww : Graph::Edge::rw;
    if (!writes_too(place, transaction)) {
      graph.add(transaction, from_on[0], edge, reader);
      continue;
    }
    if (place > 0) graph.add(transaction, upto[place - 1], edge, reader);
    if (place + 1 < writers.size()) graph.add(transaction, from_on[place + 1], edge, reader);
  }
}

bool writes_key_of(const Transactions& transactions, std::uint32_t step) {
  const auto& steps = transactions.steps();
  for (const Transactions::Step& each : transactions.steps_of(steps[step].transaction))
    if (each.key == steps[step].key && each.writes() && each.undone == 0) return true;
  return false;
}

}  // namespace lockstep::check
