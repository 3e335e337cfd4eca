// errors.h: what the server says went wrong, as a Fault and one sentence for people.
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

/// "add account/3": what a request does, for messages. A statement is cut after 60 characters.
std::string text_of(const Request& request);

/// An error of `request`; `said` is the server's own primary message (in its language).
Error request_error(Fault fault, std::string_view code, const Request& request, std::string_view said);

/// Several lines of libpq as one: trimmed, joined by "; ".
std::string one_line(std::string_view text);

}  // namespace lockstep::postgres
