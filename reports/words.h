// words.h: verdicts and expectations in words, the same in every format.
#pragma once

#include <string>

#include "engine/record/run.h"

namespace lockstep::reports {

/// "as expected", "expected clean", or "nothing was expected of these coordinates".
std::string expectation(const record::Run& run);

/// ✓ for clean and avoided, ✗ for the others.
const char* sign_of_verdict(record::Verdict verdict) noexcept;

/// "kv 2pl-detect plain", with the executor when it is not threads.
std::string strategy(const record::Run& run);

}  // namespace lockstep::reports
