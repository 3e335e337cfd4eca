// history.h: what transactions have done, written down so that isolation.h can judge it.
//
// Histories of list-append (Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental observations",
// 2020). Every write of a key adds an element that is unique in the history to the key's list. A read of the key sees
// the whole list, so the order of the writes shows in what was read. Here keys can also be erased. The list then goes
// on: an erase is an element too. A transaction that creates the key anew begins with the list as it was.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lockstep::check {

/// One write, unique in its history.
using Element = std::uint64_t;
/// A list of writes: append and erase, the oldest first.
using List = std::vector<Element>;

struct Operation {
  enum class Kind : std::uint8_t {
    read,    ///< the key was there, with `list`
    absent,  ///< the key was not there: it had never been written, or its latest element was an erase
    append,  ///< the key's list was extended by `element`
    erase,   ///< the key was removed, with `element`
  };
  Kind kind = Kind::read;
  std::string key;
  List list;
  Element element = 0;
  bool undone = false;  ///< a write that was rolled back to a savepoint
};

struct Transaction {
  enum class End : std::uint8_t { committed, aborted, unknown };
  std::string name;
  End end = End::unknown;
  /// Of one clock for the whole history: not after its first operation, not before the answer to its commit.
  std::int64_t began_at = 0;
  std::int64_t ended_at = 0;
  std::vector<Operation> operations;
};

struct History {
  std::vector<Transaction> transactions;
  /// Every key's whole list when all had ended; a key that was never written may be left out.
  std::map<std::string, List> final;
};

}  // namespace lockstep::check
