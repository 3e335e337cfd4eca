// own_code.h: what the program does about an actor that keeps to its own code, and so can neither be stopped nor waited
// for.
#pragma once

#include <functional>

#include "cli/commands/program.h"
#include "engine/run/run.h"

namespace lockstep::cli {

/// For RunRequest::on_own_code: saves what is known of the run unless told not to, says who and where, and ends the
/// program with kNotAsExpected. `program` outlives the run.
std::function<void(const OwnCode&, record::Run&)> end_at_own_code(Program& program);

}  // namespace lockstep::cli
