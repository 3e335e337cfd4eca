// check.h: LOCKSTEP_CHECK, the assertion for broken invariants. It is on in every build.
#pragma once

#include <fmt/format.h>

#include <string>

namespace lockstep {

/// Prints `file:line: check failed: expression: message` to stderr and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* expression, const std::string& message) noexcept;

}  // namespace lockstep

/// Aborts with the values when `condition` is false. The arguments after it are a fmt format and its values.
/// Only for invariants of our own code: what a user, a store or the environment may cause is a Result.
#define LOCKSTEP_CHECK(condition, ...)                                                         \
  do {                                                                                         \
    if (!(condition)) [[unlikely]]                                                             \
      ::lockstep::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
