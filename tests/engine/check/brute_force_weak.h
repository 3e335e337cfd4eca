// brute_force_weak.h: the levels below snapshot by their definitions (Adya 1999), for few transactions: a history obeys
// a level when its transactions can be put in one order, which every dependency of that level follows. Every order is
// tried. The versions of each key stand in the same order.
//
//   read-uncommitted   the order of the writes (ww) is followed
//   read-committed     also: each read is of a version that a transaction before it has left at its end, and whole
//   read-atomic        also: a transaction sees its own writes, and reads a key twice alike
//   repeatable-read    as read-committed; also: no other version of what was read is written in between (rw)
#pragma once

#include <algorithm>
#include <optional>
#include <set>

#include "tests/engine/check/brute_force.h"

namespace lockstep::check::testing {

inline bool ended_well(const Plain& t) { return t.end == Transactions::End::committed; }

/// Some order of all, in which `precedes()` holds, and `fits(order)`.
template <class Fits>
bool some_order(const PlainHistory& history, Ordering ordering, const Fits& fits) {
  std::vector<std::size_t> order;
  std::vector<char> placed(history.size(), 0);
  const auto place = [&](const auto& self) -> bool {
    if (order.size() == history.size()) return fits(order);
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (placed[i] != 0) continue;
      bool early = false;
      for (std::size_t j = 0; j < history.size(); ++j)
        early |= placed[j] == 0 && j != i && precedes(history[j], history[i], ordering);
      if (early) continue;
      placed[i] = 1;
      order.push_back(i);
      if (self(self)) return true;
      order.pop_back();
      placed[i] = 0;
    }
    return false;
  };
  return place(place);
}

/// What `t` has written to `key`, of its first `ops` operations.
inline List own_writes(const Plain& t, std::uint32_t key, std::size_t ops) {
  List own;
  for (std::size_t i = 0; i < ops; ++i)
    if (t.ops[i].write && t.ops[i].key == key) own.push_back(t.ops[i].value.front());
  return own;
}
inline List all_writes(const Plain& t, std::uint32_t key) { return own_writes(t, key, t.ops.size()); }

inline bool begins_with(const List& list, const List& beginning) {
  return list.size() >= beginning.size() && std::equal(beginning.begin(), beginning.end(), list.begin());
}

// ---- one read, with its transaction at `place` of `order`

struct OneRead {
  const PlainHistory& history;
  const std::vector<std::size_t>& order;
  std::size_t place;
  std::size_t op;

  const Plain& reader() const { return history[order[place]]; }
  const Plain& at(std::size_t where) const { return history[order[where]]; }
  const List& value() const { return reader().ops[op].value; }
  std::uint32_t key() const { return reader().ops[op].key; }
};

/// The list is the beginning of what all have written in that order, and ends where a transaction before the reader
/// ended, or within what the reader itself had written. With `last`: nobody else wrote between that and the reader.
inline bool list_fits(const OneRead& read, bool last) {
  const List& list = read.value();
  std::size_t length = 0;
  for (std::size_t where = 0; where < read.order.size(); ++where) {
    const List writes = all_writes(read.at(where), read.key());
    if (writes.empty()) continue;
    if (length == list.size()) return !last || where >= read.place;
    const List rest(list.begin() + static_cast<std::ptrdiff_t>(length), list.end());
    if (where == read.place) {
      const List own = own_writes(read.reader(), read.key(), read.op);
      if (begins_with(own, rest)) return true;  // its own, as far as it wrote them
      if (!begins_with(rest, writes)) return false;
      return false;  // others behind its own: they come before it, and after it
    }
    if (where > read.place || !begins_with(rest, writes)) return false;
    length += writes.size();
  }
  return length == list.size();
}

/// The value is the last that a transaction before the reader wrote, or nil, or an earlier one of its own.
inline bool value_fits(const OneRead& read, bool last) {
  const List own = own_writes(read.reader(), read.key(), read.op);
  if (!read.value().empty() && std::find(own.begin(), own.end(), read.value().front()) != own.end()) return true;
  std::optional<std::size_t> writer;  // a place
  for (std::size_t where = 0; where < read.place && !read.value().empty(); ++where) {
    const List writes = all_writes(read.at(where), read.key());
    if (!writes.empty() && writes.back() == read.value().front()) writer = where;
  }
  if (!read.value().empty() && !writer) return false;
  if (!last) return true;
  for (std::size_t where = writer ? *writer + 1 : 0; where < read.place; ++where)
    if (!all_writes(read.at(where), read.key()).empty()) return false;
  return true;
}

/// Its reads agree with its own writes and with each other.
inline bool agrees_with_itself(const Plain& t, bool lists) {
  for (std::size_t i = 0; i < t.ops.size(); ++i) {
    const Plain::Op& op = t.ops[i];
    if (op.write) continue;
    const List own = own_writes(t, op.key, i);
    if (!lists && !own.empty() && op.value != List{own.back()}) return false;
    if (lists && (op.value.size() < own.size() || !std::equal(own.rbegin(), own.rend(), op.value.rbegin())))
      return false;
    for (std::size_t before = 0; before < i; ++before) {
      const Plain::Op& first = t.ops[before];
      if (first.write || first.key != op.key) continue;
      List now = first.value;
      for (std::size_t k = before + 1; k < i; ++k) {
        if (!t.ops[k].write || t.ops[k].key != op.key) continue;
        if (!lists) now.clear();
        now.push_back(t.ops[k].value.front());
      }
      if (op.value != now) return false;
    }
  }
  return true;
}

/// read-committed, read-atomic or repeatable-read.
inline bool is_weak(const PlainHistory& all, Level level, Ordering ordering, bool lists) {
  const bool last = level == Level::repeatable_read;
  return some_outcome(all, [&](const PlainHistory& history) {
    if (level == Level::read_atomic)
      for (const Plain& t : history)
        if (!agrees_with_itself(t, lists)) return false;
    return some_order(history, ordering, [&](const std::vector<std::size_t>& order) {
      for (std::size_t place = 0; place < order.size(); ++place)
        for (std::size_t op = 0; op < history[order[place]].ops.size(); ++op) {
          if (history[order[place]].ops[op].write) continue;
          const OneRead read{history, order, place, op};
          if (!(lists ? list_fits(read, last) : value_fits(read, last))) return false;
        }
      return true;
    });
  });
}

// ---- read-uncommitted, of lists

/// The writes of one key as a read shows them: first those that are in it, then the others in no order.
inline bool is_uncommitted_with(const PlainHistory& history, const std::map<std::uint32_t, List>& truths,
                                Ordering ordering) {
  return some_order(history, ordering, [&](const std::vector<std::size_t>& order) {
    for (const auto& [key, truth] : truths) {
      std::size_t length = 0;
      List shown;  // of those that count
      std::set<Element> known;
      for (const Plain& t : history)
        for (const Element one : all_writes(t, key)) known.insert(one);
      for (const Element one : truth)
        if (known.count(one) > 0) shown.push_back(one);
      // One transaction after another, those that were read first.
      for (const std::size_t which : order) {
        List writes = all_writes(history[which], key);
        std::erase_if(writes, [&](Element one) { return std::find(shown.begin(), shown.end(), one) == shown.end(); });
        const bool has_unread = writes.size() < all_writes(history[which], key).size();
        for (const Element one : writes) {
          // Within one transaction the order is not what ww is about.
          const auto end = shown.begin() + static_cast<std::ptrdiff_t>(std::min(length + writes.size(), shown.size()));
          if (std::find(shown.begin() + static_cast<std::ptrdiff_t>(length), end, one) == end) return false;
        }
        length += writes.size();
        if (has_unread && length < shown.size()) return false;
      }
    }
    return true;
  });
}

/// Nothing where it depends on which of two reads that do not fit together is believed.
inline std::optional<bool> is_read_uncommitted(const PlainHistory& all, Ordering ordering) {
  PlainHistory history;
  std::map<std::uint32_t, std::vector<List>> reads;
  std::set<std::pair<std::uint32_t, Element>> seen;
  for (const Plain& t : all) {
    if (!ended_well(t)) continue;
    for (const Plain::Op& op : t.ops) {
      if (op.write) continue;
      if (std::set<Element>(op.value.begin(), op.value.end()).size() < op.value.size())
        return false;  // twice in a list
      reads[op.key].push_back(op.value);
      for (const Element one : op.value) seen.emplace(op.key, one);
    }
  }
  for (const Plain& t : all) {
    bool counts = ended_well(t);
    // What was seen has happened.
    for (const Plain::Op& op : t.ops)
      counts |= t.end == Transactions::End::unknown && op.write && seen.count({op.key, op.value.front()}) > 0;
    if (counts) history.push_back(t);
  }
  std::vector<std::map<std::uint32_t, List>> choices{{}};
  for (const auto& [key, lists] : reads) {
    std::vector<List> longest;
    for (const List& list : lists) {
      const bool is_whole = std::none_of(lists.begin(), lists.end(), [&](const List& other) {
        return other.size() > list.size() && begins_with(other, list);
      });
      if (is_whole && std::find(longest.begin(), longest.end(), list) == longest.end()) longest.push_back(list);
    }
    std::vector<std::map<std::uint32_t, List>> more;
    for (const auto& choice : choices)
      for (const List& list : longest) {
        more.push_back(choice);
        more.back()[key] = list;
      }
    choices = std::move(more);
  }
  std::optional<bool> answer;
  for (const auto& choice : choices) {
    const bool fits = is_uncommitted_with(history, choice, ordering);
    if (answer && *answer != fits) return std::nullopt;
    answer = fits;
  }
  return answer;
}

// ---- histories of no store at all

/// Reads of anything that was ever written to the key: mostly in the order of writing, and now and then out of it,
/// twice, or of what nobody wrote.
inline PlainHistory wild_history(std::mt19937_64& random, std::size_t transactions, bool lists) {
  PlainHistory history(transactions);
  const std::size_t keys = 1 + random() % 2, wrong_in = 2 + random() % 30;
  std::map<std::uint32_t, List> written;
  std::int64_t now = 0;
  for (Plain& t : history) {
    t.process = static_cast<std::uint32_t>(random() % 3);
    t.began = now++;
    t.ended = now++;
    const std::size_t outcome = random() % 10;
    if (outcome == 0) t.end = Transactions::End::aborted;
    if (outcome == 1) t.end = Transactions::End::unknown;
    for (std::size_t ops = 1 + random() % 3; ops > 0; --ops) {
      Plain::Op op{.write = random() % 2 == 0, .key = static_cast<std::uint32_t>(random() % keys), .value = {}};
      List& all = written[op.key];
      if (op.write) all.push_back(all.size() + 1);
      if (op.write) op.value = {all.back()};
      if (op.write || ended_well(t)) t.ops.push_back(op);
    }
  }
  for (Plain& t : history) {
    for (Plain::Op& op : t.ops) {
      if (op.write) continue;
      List all = written[op.key];
      if (random() % wrong_in == 0) all.push_back(all.size() + 1);
      if (random() % wrong_in == 0) std::shuffle(all.begin(), all.end(), random);
      if (lists) {
        all.resize(random() % (all.size() + 1));
        if (!all.empty() && random() % wrong_in == 0) all.push_back(all[random() % all.size()]);
        op.value = all;
      } else if (const std::size_t which = random() % (all.size() + 1); which > 0) {
        op.value = {all[which - 1]};
      }
    }
  }
  return history;
}

// ---- never a silent "valid"

/// Some transaction may have read what another one has written, or not read it.
inline bool some_saw_another(const PlainHistory& history) {
  for (const Plain& t : history) {
    if (!ended_well(t)) continue;
    for (const Plain& other : history) {
      if (&t == &other) continue;
      for (const Plain::Op& read : t.ops)
        for (const Plain::Op& write : other.ops)
          if (!read.write && write.write && read.key == write.key) return true;
    }
  }
  return false;
}

inline bool each_is_right_alone(const PlainHistory& history, bool lists) {
  return std::all_of(history.begin(), history.end(),
                     [lists](const Plain& t) { return !ended_well(t) || could_read(t, {}, lists); });
}

}  // namespace lockstep::check::testing
