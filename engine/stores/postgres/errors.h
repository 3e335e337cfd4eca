// errors.h: what the codes of the server mean, as a Fault.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>
#include <string_view>

#include "engine/store/backend.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

/// The fault for a SQLSTATE (PostgreSQL manual, appendix A). An empty code means that the server said nothing: the
/// connection is lost, Fault::unavailable. Unknown codes are Fault::internal.
Fault fault_of_sqlstate(std::string_view code) noexcept;

/// True for a code with which the server ends a wait of its own accord: a deadlock, a limit, a cancel.
bool is_given_up_by_server(std::string_view code) noexcept;

}  // namespace lockstep::postgres
