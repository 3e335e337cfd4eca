// oracle.h: whether what the transactions of a round were told can be explained, each level of isolation by its own
// definition. Every order is tried, so the answer is exact.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/kv/rounds/driver.h"

namespace lockstep::kv::rounds {

/// Serializable: some order of the transactions, each alone on the rows that those before it leave, gives every answer
/// and the rows at the end.
class SerialOrders {
 public:
  /// `also_aborted`: what the others were told must fit in somewhere too, as strict two-phase locking promises. Their
  /// writes nobody sees.
  SerialOrders(const Round& round, const History& history, bool also_aborted) : round_(round), history_(history) {
    for (const Run& run : history.runs)
      if (run.committed() || (also_aborted && !run.answers.empty())) left_.push_back(&run);
  }

  bool exist() { return extend(round_.before); }

 private:
  bool extend(const Rows& rows) {
    if (left_.empty()) return rows == history_.after;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const Run* const run = left_[i];
      Rows next = rows;
      if (!fits(*run, next)) continue;
      left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(i));
      const bool found = extend(next);
      left_.insert(left_.begin() + static_cast<std::ptrdiff_t>(i), run);
      if (found) return true;
    }
    return false;
  }
  bool fits(const Run& run, Rows& rows) const {
    Alone alone;
    const std::vector<Operation>& operations = round_.programs[run.actor].operations;
    for (std::size_t i = 0; i < run.answers.size(); ++i)
      if (alone.apply(operations[i], [&rows](std::size_t key) { return rows[key]; }) != run.answers[i]) return false;
    if (run.committed()) alone.add_to(rows);
    return true;
  }

  const Round& round_;
  const History& history_;
  std::vector<const Run*> left_;
};

inline std::vector<const Run*> runs_in_order_of_commit(const History& history) {
  std::vector<const Run*> runs;
  for (const Run& run : history.runs)
    if (run.committed()) runs.push_back(&run);
  std::sort(runs.begin(), runs.end(), [](const Run* a, const Run* b) { return a->commit < b->commit; });
  return runs;
}

/// Applies the answers of each committed transaction in the order of their commits: the rows after each commit.
/// An insert, an erase and a conditional write have changed what their answers say.
inline std::vector<Rows> states_of(const Round& round, const History& history, std::vector<Alone::Own>& own) {
  std::vector<Rows> states{round.before};
  for (const Run* run : runs_in_order_of_commit(history)) {
    Alone alone;
    for (std::size_t i = 0; i < run->answers.size(); ++i)
      alone.note(round.programs[run->actor].operations[i], run->answers[i]);
    Rows next = states.back();
    alone.add_to(next);
    states.push_back(next);
    own.push_back(alone.own());
  }
  return states;
}

/// Why it is not snapshot isolation; empty when it is. Each transaction saw the rows of the moment of its first look,
/// under its own writes, whether it committed or not. Of two that overlap and wrote one row at most one committed. The
/// answer to an insert is about the rows of the moment: a unique constraint looks at what is committed.
inline std::string why_not_snapshot(const Round& round, const History& history) {
  std::vector<Alone::Own> own;
  const std::vector<Rows> states = states_of(round, history, own);
  if (states.back() != history.after) return "the rows at the end are not those of the commits in their order";
  for (const Run& run : history.runs) {
    Alone alone;
    for (std::size_t i = 0; i < run.answers.size(); ++i) {
      const Operation& op = round.programs[run.actor].operations[i];
      const bool of_the_moment = op.kind == Operation::insert;
      const Rows& seen = states[of_the_moment ? run.answered_at[i] : run.first_look_at];
      if (alone.apply(op, [&seen](std::size_t key) { return seen[key]; }) != run.answers[i])
        return fmt::format("T{} did not see the rows of one moment: {}", run.actor + 1, describe(op));
    }
  }
  const std::vector<const Run*> committed = runs_in_order_of_commit(history);
  for (std::size_t later = 0; later < committed.size(); ++later)
    for (std::size_t earlier = committed[later]->first_look_at; earlier < later; ++earlier)
      for (std::size_t key = 0; key < kKeys; ++key)
        if (own[later][key] && own[earlier][key])
          return fmt::format("T{} overwrote {} of T{}, which it had not seen", committed[later]->actor + 1,
                             key_text(key), committed[earlier]->actor + 1);
  return {};
}

/// Why it is not read committed; empty when it is. Each operation saw the rows that were committed when it was
/// answered, under its own writes.
inline std::string why_not_read_committed(const Round& round, const History& history) {
  std::vector<Alone::Own> own;
  const std::vector<Rows> states = states_of(round, history, own);
  if (states.back() != history.after) return "the rows at the end are not those of the commits in their order";
  for (const Run& run : history.runs) {
    Alone alone;
    for (std::size_t i = 0; i < run.answers.size(); ++i) {
      const Operation& op = round.programs[run.actor].operations[i];
      const Rows& seen = states[run.answered_at[i]];
      if (alone.apply(op, [&seen](std::size_t key) { return seen[key]; }) != run.answers[i])
        return fmt::format("T{} did not see what was committed: {}", run.actor + 1, describe(op));
    }
  }
  return {};
}

}  // namespace lockstep::kv::rounds
