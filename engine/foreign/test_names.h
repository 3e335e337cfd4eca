// test_names.h: the tests that a test program holds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/foreign/process.h"

namespace lockstep::foreign {

/// "Suite.Test" of each, in the order of a list as --gtest_list_tests prints it; without those that are disabled.
std::vector<std::string> tests_listed_in(std::string_view list);

/// Those of a program made with GoogleTest that its arguments choose. The program is run for its list, not under
/// control. Fault::invalid: it gives none.
Result<std::vector<std::string>> tests_of(const ProgramCall& call);

/// The program, for this test alone.
ProgramCall call_of_test(const ProgramCall& call, const std::string& test);

}  // namespace lockstep::foreign
