// errors.cc: SQLSTATE to Fault, in one table: exact codes before classes.
#include "engine/stores/postgres/errors.h"

#include <fmt/format.h>

#include <array>

namespace lockstep::postgres {
namespace {

struct CodeRow {
  std::string_view prefix;
  Fault fault;
};

constexpr std::array kCodes = {
    CodeRow{"40P01", Fault::deadlock},
    CodeRow{"40001", Fault::serialization_failure},
    CodeRow{"40002", Fault::constraint},       // transaction_integrity_constraint_violation
    CodeRow{"40003", Fault::outcome_unknown},  // statement_completion_unknown
    CodeRow{"55P03", Fault::lock_timeout},     // lock_not_available: lock_timeout and NOWAIT
    CodeRow{"57014", Fault::statement_timeout},
    CodeRow{"25P03", Fault::idle_timeout},       // idle_in_transaction_session_timeout
    CodeRow{"25P04", Fault::statement_timeout},  // transaction_timeout (17)
    CodeRow{"57P05", Fault::idle_timeout},       // idle_session_timeout
    CodeRow{"57P", Fault::unavailable},          // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped
    CodeRow{"08", Fault::unavailable},
    CodeRow{"23", Fault::constraint},
    CodeRow{"44", Fault::constraint},  // with_check_option_violation
    CodeRow{"22P02", Fault::invalid},  // invalid_text_representation: the statement is wrong, not the data
    CodeRow{"22003", Fault::invalid},  // numeric_value_out_of_range: as the verb `add` of every store
    CodeRow{"22", Fault::constraint},  // data_exception: division by zero, a number out of range
    CodeRow{"53100", Fault::disk_full},
    CodeRow{"53", Fault::unavailable},  // too_many_connections, out_of_memory
    CodeRow{"58", Fault::io},
    CodeRow{"42501", Fault::permission},
    CodeRow{"28", Fault::permission},
    CodeRow{"0A", Fault::unsupported},
    CodeRow{"P0001", Fault::constraint},  // raise_exception: a trigger that enforces a rule
    CodeRow{"P0004", Fault::constraint},  // assert_failure
    // The request itself is wrong: syntax, unknown names, bad values, a statement in a failed transaction.
    CodeRow{"25", Fault::invalid},
    CodeRow{"26", Fault::invalid},
    CodeRow{"2B", Fault::invalid},
    CodeRow{"2D", Fault::invalid},
    CodeRow{"34", Fault::invalid},
    CodeRow{"3", Fault::invalid},
    CodeRow{"42", Fault::invalid},
    CodeRow{"54", Fault::invalid},
    CodeRow{"55", Fault::invalid},
    CodeRow{"P0", Fault::invalid},
};

}  // namespace

Fault fault_of_sqlstate(std::string_view code) noexcept {
  if (code.empty()) return Fault::unavailable;
  for (const auto& [prefix, fault] : kCodes) {
    if (code.starts_with(prefix)) return fault;
  }
  return Fault::internal;
}

bool is_given_up_by_server(std::string_view code) noexcept {
  return code == "40P01" || code == "55P03" || code == "57014" || code == "25P03" || code.starts_with("57P");
}

}  // namespace lockstep::postgres
