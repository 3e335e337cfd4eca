// junit_report.cc: recordings as JUnit XML: a case a run, a case a cell of a matrix.
#include <fmt/format.h>

#include "engine/record/matrix.h"
#include "reports/junit.h"
#include "reports/report.h"
#include "reports/words.h"

namespace lockstep::reports {
namespace {

using record::Run;

/// `failure`: empty when the case has passed.
JunitCase case_of(std::string scenario, std::string name, double seconds, std::string failure, std::string text) {
  const bool failed = !failure.empty();
  return {.scenario = std::move(scenario),
          .name = std::move(name),
          .seconds = seconds,
          .status = failed ? JunitCase::Status::failed : JunitCase::Status::passed,
          .message = std::move(failure),
          .lines = {std::move(text)}};
}

JunitCase run_case(const OpenRecording& recording) {
  const Run& run = recording.run;
  std::string failure = recording.wrong;
  if (failure.empty() && !run.as_expected()) failure = fmt::format("{}: {}", name_of(run.verdict), expectation(run));
  return case_of(run.scenario, strategy(run) + " " + run.id, run.wall_ms / 1000, failure,
                 run.summary + "; " + run.command);
}

JunitCase cell_case(const record::MatrixCell& cell) {
  std::string failure;
  if (!cell.as_expected()) {
    failure = fmt::format("expected {}, was {}", cell.expected ? name_of(*cell.expected) : "nothing",
                          cell.verdict ? name_of(*cell.verdict) : "not run");
  }
  return case_of(cell.scenario, fmt::format("{} {} {} {}", cell.store, cell.protocol, cell.pattern, cell.executor), 0,
                 failure, cell.summary + "; lockstep replay " + cell.run);
}

}  // namespace

std::string junit_report(const Report& report) {
  JunitSuite suite{.name = "lockstep report"};
  for (const OpenRecording& recording : report.recordings) {
    const auto document = recording.run.documents.find(record::kMatrixDocument);
    if (document != recording.run.documents.end()) {
      if (const auto cells = record::matrix_of(document->second)) {
        for (const record::MatrixCell& cell : *cells) suite.cases.push_back(cell_case(cell));
        continue;
      }
    }
    suite.cases.push_back(run_case(recording));
  }
  return junit_document(suite);
}

}  // namespace lockstep::reports
