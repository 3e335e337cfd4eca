// errors.cc: the server's codes to Fault, in one table.
#include "engine/stores/mariadb/errors.h"

#include <errmsg.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace lockstep::mariadb {
namespace {

struct CodeRow {
  unsigned code;
  Fault fault;
};

constexpr std::array kCodes = {
    CodeRow{kDeadlock, Fault::deadlock},
    CodeRow{kRowChanged, Fault::serialization_failure},  // under innodb_snapshot_isolation
    CodeRow{kLockWaitTimeout, Fault::lock_timeout},      // also NOWAIT
    CodeRow{kStatementTime, Fault::statement_timeout},   // max_statement_time
    CodeRow{kKilledQuery, Fault::cancelled},
    CodeRow{1062, Fault::constraint},  // duplicate key
    CodeRow{1586, Fault::constraint},  // the same, with the name of the key
    CodeRow{1048, Fault::constraint},  // a column cannot be null
    CodeRow{1216, Fault::constraint},  // foreign keys
    CodeRow{1217, Fault::constraint},
    CodeRow{1451, Fault::constraint},
    CodeRow{1452, Fault::constraint},
    CodeRow{4025, Fault::constraint},  // a check constraint
    CodeRow{1365, Fault::constraint},  // division by zero
    CodeRow{1644, Fault::constraint},  // SIGNAL: a trigger that enforces a rule
    CodeRow{1044, Fault::permission},
    CodeRow{1045, Fault::permission},
    CodeRow{1142, Fault::permission},
    CodeRow{1143, Fault::permission},
    CodeRow{1227, Fault::permission},
    CodeRow{1370, Fault::permission},
    CodeRow{1698, Fault::permission},
    CodeRow{1021, Fault::disk_full},
    CodeRow{1114, Fault::disk_full},
    CodeRow{1040, Fault::unavailable},  // too many connections
    CodeRow{kNodeNotReady, Fault::unavailable},
    CodeRow{kErrorInCommit, Fault::outcome_unknown},
    CodeRow{1053, Fault::unavailable},  // shutdown
    CodeRow{1203, Fault::unavailable},
    CodeRow{1226, Fault::unavailable},
    CodeRow{1927, Fault::unavailable},  // the connection was killed
    CodeRow{1158, Fault::unavailable},  // the network, as the server sees it
    CodeRow{1159, Fault::unavailable},
    CodeRow{1160, Fault::unavailable},
    CodeRow{1161, Fault::unavailable},
    CodeRow{1235, Fault::unsupported},
    CodeRow{1296, Fault::internal},
    CodeRow{1815, Fault::internal},
};

}  // namespace

Fault fault_of(unsigned code) noexcept {
  const auto* const row =
      std::find_if(kCodes.begin(), kCodes.end(), [code](const CodeRow& each) { return each.code == code; });
  if (row != kCodes.end()) return row->fault;
  if (code >= CR_MIN_ERROR && code < 3000) return Fault::unavailable;
  // Of the server's other codes nearly all say that the request itself is wrong: syntax, unknown names, bad values.
  return code == 0 ? Fault::internal : Fault::invalid;
}

bool is_loss(unsigned code) noexcept { return (code >= CR_MIN_ERROR && code < 3000) || code == 1927 || code == 1053; }

bool is_given_up_by_server(unsigned code) noexcept {
  return code == kDeadlock || code == kLockWaitTimeout || code == kStatementTime || code == kKilledQuery;
}

bool ends_transaction(unsigned code) noexcept {
  return code == kDeadlock || code == kRowChanged || code == kNodeNotReady || code == kErrorInCommit;
}

}  // namespace lockstep::mariadb
