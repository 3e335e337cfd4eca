// test_names.cc: see test_names.h.
#include "engine/foreign/test_names.h"

#include <fmt/format.h>

#include "engine/foreign/names.h"

namespace lockstep::foreign {

std::vector<std::string> tests_listed_in(std::string_view list) {
  std::vector<std::string> tests;
  std::string suite;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\n'), list.size());
    std::string_view line = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    // "Works/0  # GetParam() = 3"
    line = line.substr(0, line.find("  #"));
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    const bool is_test = line.starts_with("  ");
    if (is_test) line.remove_prefix(2);
    if (line.empty() || line.find(' ') != std::string_view::npos) continue;
    if (!is_test) {
      suite = line.ends_with('.') ? std::string(line) : std::string();
      continue;
    }
    const std::string test = suite + std::string(line);
    if (!suite.empty() && test.find("DISABLED_") == std::string::npos) tests.push_back(test);
  }
  return tests;
}

Result<std::vector<std::string>> tests_of(const ProgramCall& call) {
  std::vector<std::string> words = call.words;
  words.front() = call.path;
  words.emplace_back("--gtest_list_tests");
  std::vector<std::string> tests = tests_listed_in(answer_of(words));
  if (!tests.empty()) return tests;
  return Error{
      Fault::invalid, {}, fmt::format("{} lists no tests: it is to be made with GoogleTest", call.words.front())};
}

ProgramCall call_of_test(const ProgramCall& call, const std::string& test) {
  ProgramCall one = call;
  one.words.push_back("--gtest_filter=" + test);
  return one;
}

}  // namespace lockstep::foreign
