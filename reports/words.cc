// words.cc: see words.h.
#include "reports/words.h"

#include "engine/record/comparison.h"

namespace lockstep::reports {

std::string expectation(const record::Run& run) {
  if (!run.expected) return "nothing was expected of these coordinates";
  if (run.as_expected()) return "as expected ✓";
  return "not as expected ✗: expected " + std::string(name_of(*run.expected));
}

const char* sign_of_verdict(record::Verdict verdict) noexcept {
  return verdict == record::Verdict::clean || verdict == record::Verdict::avoided ? "✓" : "✗";
}

std::string strategy(const record::Run& run) {
  if (run.documents.contains(record::kComparisonDocument)) return run.store + ", compared";
  std::string text = run.store == record::kNoStore ? "in-process" : run.store + " " + run.protocol;
  text += " " + run.pattern;
  return run.executor == "threads" ? text : text + " " + run.executor;
}

}  // namespace lockstep::reports
