// version_search.cc: decides what is forced until nothing is, then tries one pair both ways.
#include "engine/check/version_search.h"

#include <bit>

namespace lockstep::check {
namespace {

template <class Visit>
void for_each(VersionSearch::Set set, const Visit& visit) {
  for (; set != 0; set &= set - 1) visit(static_cast<std::size_t>(std::countr_zero(set)));
}

VersionSearch::Set bit(std::size_t number) { return VersionSearch::Set{1} << number; }

}  // namespace

void VersionSearch::add(std::uint32_t from, std::uint32_t to, Graph::Edge edge) {
  if (edge == Graph::Edge::rw)
    known_.overwritten[from] |= bit(to);
  else
    known_.before[from] |= bit(to);
}

void VersionSearch::add_orders(const Transactions& transactions, const std::vector<std::uint32_t>& members,
                               Ordering ordering) {
  if (ordering == Ordering::none) return;
  for (std::uint32_t a = 0; a < members.size(); ++a) {
    const Transactions::Item& one = transactions.item(members[a]);
    if (one.end != Transactions::End::committed) continue;
    for (std::uint32_t b = 0; b < members.size(); ++b) {
      const Transactions::Item& other = transactions.item(members[b]);
      const bool same = one.process == other.process && one.process != Transactions::kNoProcess;
      if (one.ended < other.began && (same || ordering == Ordering::real_time)) add(a, b, Graph::Edge::time);
    }
  }
}

bool VersionSearch::is_possible(const Orders& orders) {
  if (steps_left_ > 0) --steps_left_;
  std::array<Set, kTransactionsMost> reach{};
  for (std::size_t i = 0; i < kTransactionsMost; ++i) {
    reach[i] = orders.before[i];
    if (!snapshot_)
      reach[i] |= orders.overwritten[i];
    else
      for_each(orders.before[i], [&](std::size_t j) { reach[i] |= orders.overwritten[j]; });
  }
  for (std::size_t k = 0; k < kTransactionsMost; ++k) {
    if (reach[k] == 0) continue;
    for (std::size_t i = 0; i < kTransactionsMost; ++i)
      if ((reach[i] & bit(k)) != 0) reach[i] |= reach[k];
  }
  for (std::size_t i = 0; i < kTransactionsMost; ++i)
    if ((reach[i] & bit(i)) != 0) return false;
  return true;
}

void VersionSearch::decide(Orders& orders, const OpenPair& pair, bool a_first) const {
  const std::uint32_t first = a_first ? pair.a : pair.b, second = a_first ? pair.b : pair.a;
  orders.before[first] |= bit(second);
  for_each((a_first ? pair.readers_of_a : pair.readers_of_b) & ~bit(second), [&](std::size_t reader) {
    // Who overwrites the key itself commits before all others that do, under snapshots.
    auto& rows = (pair.writers & bit(reader)) != 0 ? orders.before : orders.overwritten;
    rows[reader] |= bit(second);
  });
}

Judgement VersionSearch::answer() {
  known_.decided.assign(pairs_.size(), 0);
  return is_possible(known_) ? solve(known_) : Judgement::broken;
}

Judgement VersionSearch::solve(Orders orders) {
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      if (orders.decided[i] != 0) continue;
      if (steps_left_ == 0) return Judgement::unknown;
      Orders a_first = orders, b_first = orders;
      decide(a_first, pairs_[i], true);
      decide(b_first, pairs_[i], false);
      const bool a_can = is_possible(a_first), b_can = is_possible(b_first);
      if (!a_can && !b_can) return Judgement::broken;
      if (a_can && b_can) continue;
      orders = a_can ? std::move(a_first) : std::move(b_first);
      orders.decided[i] = 1;
      changed = true;
    }
  }
  std::size_t open = 0;
  while (open < pairs_.size() && orders.decided[open] != 0) ++open;
  if (open == pairs_.size()) return Judgement::holds;
  bool unknown = false;
  for (const bool a_first : {true, false}) {
    Orders one = orders;
    decide(one, pairs_[open], a_first);
    one.decided[open] = 1;
    const Judgement answer = solve(std::move(one));
    if (answer == Judgement::holds) return answer;
    unknown |= answer == Judgement::unknown;
  }
  return unknown ? Judgement::unknown : Judgement::broken;
}

}  // namespace lockstep::check
