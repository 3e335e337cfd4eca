// brute_force.h: the levels by their definitions, for few transactions: every order is tried. And random histories of
// stores that are sometimes right.
#pragma once

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "engine/check/findings.h"

namespace lockstep::check::testing {

/// One transaction in plain words: lists when `lists`, else each key has its last value alone.
struct Plain {
  struct Op {
    bool write = false;
    std::uint32_t key = 0;
    List value;  // what was read (a register: nothing or one value); what is written: one element
  };
  std::vector<Op> ops;
  std::int64_t began = 0, ended = 0;
  std::uint32_t process = 0;
  Transactions::End end = Transactions::End::committed;
};

using PlainHistory = std::vector<Plain>;
using Rows = std::map<std::uint32_t, List>;

inline void put(Rows& rows, const Plain::Op& op, bool lists) {
  if (!lists) rows[op.key].clear();
  rows[op.key].push_back(op.value.front());
}

/// Whether `t` could have read what it read from `rows`, and from what it writes itself.
inline bool could_read(const Plain& t, Rows rows, bool lists) {
  for (const Plain::Op& op : t.ops) {
    if (op.write)
      put(rows, op, lists);
    else if (rows[op.key] != op.value)
      return false;
  }
  return true;
}

inline void apply(const Plain& t, Rows& rows, bool lists) {
  for (const Plain::Op& op : t.ops)
    if (op.write) put(rows, op, lists);
}

inline bool precedes(const Plain& a, const Plain& b, Ordering ordering) {
  if (ordering == Ordering::none || a.end != Transactions::End::committed || a.ended >= b.began) return false;
  return ordering == Ordering::real_time || a.process == b.process;
}

/// Every set of transactions that may have happened: the committed ones with some of those of unknown outcome.
template <class Fits>
bool some_outcome(const PlainHistory& history, const Fits& fits) {
  PlainHistory certain, unknown;
  for (const Plain& t : history) {
    if (t.end == Transactions::End::committed) certain.push_back(t);
    if (t.end == Transactions::End::unknown) unknown.push_back(t);
  }
  for (std::size_t set = 0; set < (std::size_t{1} << unknown.size()); ++set) {
    PlainHistory happened = certain;
    for (std::size_t i = 0; i < unknown.size(); ++i)
      if ((set >> i & 1U) != 0) happened.push_back(unknown[i]);
    if (fits(happened)) return true;
  }
  return false;
}

/// One after another, in some order.
inline bool is_serializable(const PlainHistory& all, Ordering ordering, bool lists) {
  return some_outcome(all, [&](const PlainHistory& history) {
    std::vector<char> done(history.size(), 0);
    const auto place = [&](const auto& self, std::size_t count, const Rows& rows) -> bool {
      if (count == history.size()) return true;
      for (std::size_t i = 0; i < history.size(); ++i) {
        if (done[i] != 0 || !could_read(history[i], rows, lists)) continue;
        bool early = false;
        for (std::size_t j = 0; j < history.size(); ++j)
          early |= done[j] == 0 && j != i && precedes(history[j], history[i], ordering);
        if (early) continue;
        Rows next = rows;
        apply(history[i], next, lists);
        done[i] = 1;
        if (self(self, count + 1, next)) return true;
        done[i] = 0;
      }
      return false;
    };
    return place(place, 0, {});
  });
}

/// Each reads a state of commits, and no two that write one key are open at the same time.
inline bool is_snapshot(const PlainHistory& all, Ordering ordering, bool lists) {
  return some_outcome(all, [&](const PlainHistory& history) {
    enum : char { before, open, done };
    std::vector<char> state(history.size(), before);
    const auto meet = [&](std::size_t a, std::size_t b) {
      for (const Plain::Op& x : history[a].ops)
        for (const Plain::Op& y : history[b].ops)
          if (x.write && y.write && x.key == y.key) return true;
      return false;
    };
    const auto place = [&](const auto& self, std::size_t count, const Rows& rows) -> bool {
      if (count == history.size()) return true;
      for (std::size_t i = 0; i < history.size(); ++i) {
        if (state[i] == before) {
          if (!could_read(history[i], rows, lists)) continue;
          bool barred = false;
          for (std::size_t j = 0; j < history.size(); ++j)
            barred |= j != i && ((state[j] == open && meet(i, j)) ||
                                 (state[j] != done && precedes(history[j], history[i], ordering)));
          if (barred) continue;
          state[i] = open;
          if (self(self, count, rows)) return true;
          state[i] = before;
        } else if (state[i] == open) {
          Rows next = rows;
          apply(history[i], next, lists);
          state[i] = done;
          if (self(self, count + 1, next)) return true;
          state[i] = open;
        }
      }
      return false;
    };
    return place(place, 0, {});
  });
}

/// Some sessions on a store that takes old snapshots and forgets conflicts now and then.
inline PlainHistory random_history(std::mt19937_64& random, std::size_t transactions, bool lists) {
  PlainHistory history;
  std::vector<Rows> states{{}};
  const std::size_t sessions = 1 + random() % 4, keys = 1 + random() % 3;
  const std::size_t wrong_in = random() % 3 == 0 ? 1000 : 2 + random() % 6;  // one step in so many is wrong
  std::map<std::uint32_t, Element> last;
  std::vector<Plain> open(sessions);
  std::vector<std::size_t> snapshots(sessions, 0);
  std::vector<char> is_open(sessions, 0);
  std::int64_t now = 0;
  for (std::size_t begun = 0, ended = 0; ended < transactions;) {
    const std::size_t s = random() % sessions;
    if (is_open[s] == 0) {
      if (begun == transactions) continue;
      ++begun;
      is_open[s] = 1;
      const bool old = random() % wrong_in == 0;
      snapshots[s] = old ? random() % states.size() : states.size() - 1;
      open[s] = Plain{.ops = {}, .began = now++, .ended = 0, .process = static_cast<std::uint32_t>(s)};
      Rows rows = states[snapshots[s]];
      const std::size_t ops = 1 + random() % 3;
      for (std::size_t i = 0; i < ops; ++i) {
        Plain::Op op;
        op.key = static_cast<std::uint32_t>(random() % keys);
        op.write = random() % 2 == 0;
        if (op.write) {
          op.value = {++last[op.key]};
          if (random() % wrong_in != 0) put(rows, op, lists);
        } else {
          const Rows& from = random() % (wrong_in * 2) == 0 ? states[random() % states.size()] : rows;
          const auto row = from.find(op.key);
          if (row != from.end()) op.value = row->second;
        }
        open[s].ops.push_back(op);
      }
      continue;
    }
    is_open[s] = 0;
    ++ended;
    open[s].ended = now++;
    const std::size_t outcome = random() % 12;
    if (outcome == 0) open[s].end = Transactions::End::aborted;
    if (outcome == 1) open[s].end = Transactions::End::unknown;
    const bool applies = open[s].end == Transactions::End::committed ? random() % (wrong_in * 2) != 0
                         : open[s].end == Transactions::End::unknown ? random() % 2 == 0
                                                                     : random() % (wrong_in * 2) == 0;
    if (applies) {
      Rows next = states.back();
      apply(open[s], next, lists);
      states.push_back(next);
    }
    if (open[s].end != Transactions::End::committed)
      std::erase_if(open[s].ops, [](const Plain::Op& op) { return !op.write; });
    history.push_back(open[s]);
  }
  return history;
}

inline Transactions numbers_of(const PlainHistory& history, bool lists) {
  Transactions numbers;
  for (const Plain& t : history) {
    numbers.begin({.began = t.began, .ended = t.ended, .process = t.process, .end = t.end});
    for (const Plain::Op& op : t.ops) {
      const std::uint32_t key = numbers.key_numbered(op.key);
      if (op.write && lists) numbers.append(key, op.value.front());
      if (op.write && !lists) numbers.write(key, op.value.front());
      if (!op.write && lists) numbers.read(key, op.value);
      if (!op.write && !lists) numbers.look(key, op.value.empty() ? Transactions::kNil : op.value.front());
    }
  }
  return numbers;
}

}  // namespace lockstep::check::testing
