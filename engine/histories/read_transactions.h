// read_transactions.h: the transactions of a history file, as numbers that engine/check judges.
#pragma once

#include <vector>

#include "engine/check/transactions.h"
#include "engine/histories/operations.h"

namespace lockstep::histories {

/// What the transactions of one file do.
enum class Micro : std::uint8_t {
  lists,      ///< [append k v] and [r k [v ...]]
  registers,  ///< [w k v] and [r k v]
};

struct FileTransactions {
  check::Transactions transactions;
  std::size_t committed = 0, failed = 0, unknown = 0;
  std::size_t passed_over = 0;  ///< operations of the nemesis and the like
  bool without_f = false, without_process = false;
};

/// Every operation must be a transaction: f is txn, or is missing and the value is a list of lists. Fault::invalid with
/// "LINE: what is wrong".
Result<FileTransactions> read_transactions(EntryReader& reader, Micro micro);

}  // namespace lockstep::histories
