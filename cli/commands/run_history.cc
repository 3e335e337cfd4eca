// run_history.cc: the run's events to a text, the text to a verdict.
#include "cli/commands/run_history.h"

#include <fmt/format.h>

#include "engine/histories/run_history.h"
#include "engine/store/backend.h"
#include "reports/text.h"

namespace lockstep::cli {

OptionSpec history_option() {
  return {"history", "FILE",
          "write what the transactions read and wrote as a history (JSON for .json, else EDN), and hold it against the "
          "level that is promised, as check-history does; a broken one is exit code 1",
          Names::file};
}

Result<JudgedFile> write_history(const record::Run& run, OutputFile& file) {
  using histories::Syntax;
  const Result<histories::RunHistory> history =
      histories::history_of(run, file.path().ends_with(".json") ? Syntax::json : Syntax::edn);
  if (!history) return history.error();
  if (const Result<void> kept = file.keep(history->text); !kept) return kept.error();
  histories::JudgeRequest request;
  const BackendKind* const kind = backend_named(run.store);
  const ProtocolTraits* const protocol = kind == nullptr ? nullptr : kind->protocol_named(run.protocol);
  if (protocol != nullptr) request.claims = {{protocol->isolation, check::Ordering::real_time}};
  Result<histories::Judged> judged = histories::judge_text(history->text, request);
  if (!judged) return Error{Fault::internal, {}, file.path() + ":" + judged.error().message};
  if (history->left_out > 0)
    judged->notes.push_back(fmt::format("{} not in it: what was seen is not certain, and is not judged",
                                        reports::counted(history->left_out, "read is", "reads are")));
  return JudgedFile{.path = file.path(), .judged = std::move(*judged)};
}

}  // namespace lockstep::cli
