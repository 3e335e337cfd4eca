// junit.cc: one case after the other, indented by its depth.
#include "reports/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "reports/escape.h"

namespace lockstep::reports {
namespace {

constexpr const char* kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

struct Totals {
  std::size_t tests = 0, failures = 0, skipped = 0;
  double seconds = 0;

  void add(const JunitSuite& suite) {
    for (const JunitCase& each : suite.cases) {
      ++tests;
      failures += each.status == JunitCase::Status::failed ? 1 : 0;
      skipped += each.status == JunitCase::Status::skipped ? 1 : 0;
      seconds += each.seconds;
    }
  }
};

void write_case(std::string& text, const JunitCase& one, const std::string& indent) {
  std::string dotted = one.scenario;
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}<testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", indent, html(dotted), html(one.name),
                 one.seconds);
  switch (one.status) {
    case JunitCase::Status::passed:
      text += "/>\n";
      return;
    case JunitCase::Status::skipped:
      fmt::format_to(out, "><skipped message=\"{}\"/></testcase>\n", html(one.message));
      return;
    case JunitCase::Status::failed:
      break;
  }
  fmt::format_to(out, ">\n{}  <failure message=\"{}\">", indent, html(one.message));
  for (std::size_t i = 0; i < one.lines.size(); ++i) text += (i > 0 ? "\n" : "") + html(one.lines[i]);
  fmt::format_to(out, "</failure>\n{}</testcase>\n", indent);
}

void write_suite(std::string& text, const JunitSuite& suite, const std::string& indent) {
  Totals totals;
  totals.add(suite);
  fmt::format_to(std::back_inserter(text),
                 "{}<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" errors=\"0\" time=\"{:.3f}\">\n",
                 indent, html(suite.name), totals.tests, totals.failures, totals.skipped, totals.seconds);
  for (const JunitCase& each : suite.cases) write_case(text, each, indent + "  ");
  text += indent + "</testsuite>\n";
}

}  // namespace

std::string junit_document(const JunitSuite& suite) {
  std::string text = kDeclaration;
  write_suite(text, suite, "");
  return text;
}

std::string junit_document(const std::string& name, std::span<const JunitSuite> suites) {
  Totals all;
  for (const JunitSuite& suite : suites) all.add(suite);
  std::string text = kDeclaration;
  fmt::format_to(std::back_inserter(text),
                 "<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{:.3f}\">\n", html(name),
                 all.tests, all.failures, all.skipped, all.seconds);
  for (const JunitSuite& suite : suites) write_suite(text, suite, "  ");
  return text + "</testsuites>\n";
}

}  // namespace lockstep::reports
