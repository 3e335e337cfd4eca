// junit.cc: verdicts against expectations for whatever reads JUnit XML: a case a run, a case a cell of a matrix.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/record/matrix.h"
#include "reports/escape.h"
#include "reports/report.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::Run;

class Suite {
 public:
  /// `failure`: empty when the case has passed.
  void add(const std::string& scenario, const std::string& name, double seconds, const std::string& failure,
           const std::string& text) {
    ++tests_;
    std::string dotted = scenario;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    const auto out = std::back_inserter(cases_);
    fmt::format_to(out, "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", html(dotted), html(name), seconds);
    if (failure.empty()) {
      cases_ += "/>\n";
      return;
    }
    ++failures_;
    fmt::format_to(out, ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>\n", html(failure), html(text));
  }

  std::string xml() const {
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"lockstep report\" tests=\"{}\" "
        "failures=\"{}\">\n{}"
        "</testsuite>\n",
        tests_, failures_, cases_);
  }

 private:
  std::size_t tests_ = 0, failures_ = 0;
  std::string cases_;
};

void add_run(Suite& suite, const Subject& subject) {
  const Run& run = subject.run;
  std::string failure = subject.wrong;
  if (failure.empty() && !run.as_expected()) failure = fmt::format("{}: {}", name_of(run.verdict), expectation(run));
  suite.add(run.scenario, strategy(run) + " " + run.id, run.wall_ms / 1000, failure, run.summary + "; " + run.command);
}

void add_matrix(Suite& suite, const std::vector<record::MatrixCell>& cells) {
  for (const record::MatrixCell& cell : cells) {
    std::string failure;
    if (!cell.as_expected()) {
      failure = fmt::format("expected {}, was {}", cell.expected ? name_of(*cell.expected) : "nothing",
                            cell.verdict ? name_of(*cell.verdict) : "not run");
    }
    suite.add(cell.scenario, fmt::format("{} {} {} {}", cell.store, cell.protocol, cell.pattern, cell.executor), 0,
              failure, cell.summary + "; lockstep replay " + cell.run);
  }
}

}  // namespace

std::string junit_report(const Report& report) {
  Suite suite;
  for (const Subject& subject : report.subjects) {
    const auto document = subject.run.documents.find(record::kMatrixDocument);
    if (document != subject.run.documents.end()) {
      if (const auto cells = record::matrix_of(document->second)) {
        add_matrix(suite, *cells);
        continue;
      }
    }
    add_run(suite, subject);
  }
  return suite.xml();
}

}  // namespace lockstep::reports
