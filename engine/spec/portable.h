// portable.h: the steps of a file with `given`: `read A -> x`, `write A = x - 10`, `scan ready/ .. ready0 limit 1 -> n,
// job`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/spec/spec_file.h"

namespace lockstep::spec {

/// A step, and the names that its answer gets.
struct PortableStep {
  Operation operation;
  std::vector<std::string> captures = {};
};

/// Reads a whole step. Fault::invalid: what is wrong and what would be right, in one sentence.
Result<PortableStep> portable_step(std::string_view text);

/// The names that stand in a key as `:name`: views of it.
std::vector<std::string_view> names_in_key(std::string_view key);

/// `A = 100, B = 'on'`. Fault::invalid as above.
Result<std::vector<std::pair<std::string, std::string>>> given_rows(std::string_view text);

}  // namespace lockstep::spec
