// junit.h: verdicts against expectations as JUnit XML, for CI servers: suites of cases, each passed, failed or skipped.
//
// Thread-safe: no state. Every text goes through html() (escape.h), so a stranger's name cannot break the document.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep::reports {

struct JunitCase {
  enum class Status : std::uint8_t { passed, failed, skipped };

  std::string scenario;  ///< "deadlock/two-lock"; the class name, with dots
  std::string name;
  double seconds = 0;
  Status status = Status::passed;
  std::string message = {};             ///< why it failed or was skipped, in one line
  std::vector<std::string> lines = {};  ///< of a failure: what else there is to say
};

struct JunitSuite {
  std::string name;
  std::vector<JunitCase> cases = {};
};

/// A document of one suite.
std::string junit_document(const JunitSuite& suite);
/// A document of several, which together are called `name`.
std::string junit_document(const std::string& name, std::span<const JunitSuite> suites);

}  // namespace lockstep::reports
