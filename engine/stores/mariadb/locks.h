// locks.h: who waits for whom, read from the text of SHOW ENGINE INNODB STATUS. The tables of information_schema show
// the same up to a tenth of a second late, and never when they are asked more often; this text is always new.
//
// Thread-safe: values. Nothing waits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::mariadb {

/// One lock on one record, or on one table.
struct InnodbLock {
  std::string place;   ///< "space 1 page 3 heap 2", or the table; equal for locks that can conflict
  std::string table;   ///< "shop.kv", without the quotes
  std::string index;   ///< empty for a table's lock
  std::string record;  ///< the first column of the record, as text where it is one; empty where it was not shown
  std::string mode;    ///< "X", "S", "IX" …
  bool gap = false;    ///< the gap before the record alone
  bool not_gap = false;
  bool insert_intention = false;
  bool waiting = false;
  bool supremum = false;  ///< the end of the index, which is no row
  bool is_table = false;
};

struct Transaction {
  std::uint64_t thread = 0;       ///< the connection; 0 = none: a prepared transaction, or the server's own
  std::uint64_t waited = 0;       ///< microseconds; says who stands first in a queue
  std::vector<InnodbLock> locks;  ///< granted ones, and the one that it waits for
};

/// A deadlock that the server has broken.
struct BrokenDeadlock {
  std::vector<std::uint64_t> threads;  ///< each waits for the next, the last for the first
  std::uint64_t victim = 0;
  std::uint64_t victim_statement = 0;  ///< its number, which no other statement of the server has
};

std::vector<Transaction> transactions_in(std::string_view status);

/// The latest deadlock of the text; no threads: it has none.
BrokenDeadlock deadlock_in(std::string_view status);

/// What a connection waits for.
struct RowWait {
  std::vector<std::uint64_t> blockers;  ///< connections; 0 = a transaction without one
  InnodbLock lock;                      ///< the one awaited
};

/// No blockers: the connection does not wait for a lock of InnoDB.
RowWait wait_of(std::uint64_t thread, const std::vector<Transaction>& all);

/// For people: "X lock on the gap before row 30 of index u of o, to insert".
std::string text_of(const InnodbLock& lock);

/// The table without its database.
std::string_view name_of_table(const InnodbLock& lock);

}  // namespace lockstep::mariadb
