// script.h: a text file (engine/spec/spec_file.h) as a scenario: one actor a session, whose body performs the steps.
//
// Portable files (`given`): a step is one request of the store, as in a body written in C++. A fault ends the body;
// with `option retries N` it is run again.
//
// Files in SQL: a step is sent as it stands. `begin` without a level takes the run's protocol. A step that fails does
// not end its session, as in psql. With `option retries N` a fault that is safe to retry does, and the body is run
// again. A failure that the file does not expect by `=>` and that no other run would mend (a table that does not exist,
// a key twice) ends the session's body at its end, so that the verdict is `error`. Steps with names are PostgreSQL's:
// there any failure is a text like another.
//
// Thread-safe: a Script does not change, but for what the latest run left (Script::latest()).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/record/run.h"
#include "engine/scenario/scenario.h"
#include "engine/script/answers.h"
#include "engine/spec/spec_file.h"

namespace lockstep::script {

/// The document of a run that holds the file's text: {"name": "my-case.spec", "text": "…"}.
inline constexpr const char* kSourceDocument = "scenario-source";

class Script {
 public:
  /// Fault::invalid, as FILE:LINE, for a store, protocol, verdict or outcome that does not exist.
  static Result<std::unique_ptr<Script>> made_of(spec::SpecFile file);
  /// The file at `path`. Faults: as spec::read_file(), and above.
  static Result<std::unique_ptr<Script>> read(const std::string& path);
  /// The file that a recording holds; nullptr: it holds none. Fault::invalid as above.
  static Result<std::unique_ptr<Script>> recorded_in(const record::Run& run);

  /// Its name is the path of the file.
  const Scenario& scenario() const noexcept { return scenario_; }
  const spec::SpecFile& file() const noexcept { return *file_; }
  /// The pattern of the file that a pattern of the scenario is of. Where it has permutations, each is a pattern of the
  /// scenario: "plain" performs the steps of the first one in its order, "permutation-2" those of the second, and
  /// kEveryStep every step of each session in the order of the file.
  const spec::SpecPattern& pattern_named(std::string_view name) const;
  /// Indices of the steps that a session performs in a pattern of the scenario, in order.
  std::vector<std::size_t> steps_in(std::string_view pattern, std::size_t session) const;

  /// What came in the latest run of the scenario that has been taken down; empty before the first one.
  AnswersOfRun latest() const { return sink_->latest(); }

  /// Puts the text of the file into a record, of a run or of a comparison.
  void note_text(record::Run& run) const;
  /// Puts the text of the file, and the lines of its steps, into a run of the scenario.
  void note_source(record::Run& run) const;

 private:
  explicit Script(std::shared_ptr<const spec::SpecFile> file);

  std::shared_ptr<const spec::SpecFile> file_;  // shared with the bodies of the scenario, which may be copied
  std::shared_ptr<AnswerSink> sink_;            // likewise
  Scenario scenario_;
};

/// The pattern of a file with permutations that has every step of each session: what a search goes through.
inline constexpr const char* kEveryStep = "every-step";

/// One thing that a file says must come, and what came.
struct Checked {
  int line = 0;
  bool held = false;
  std::string said = {};  ///< as written
  std::string came = {};
};

/// Every `=>` that speaks of the run's protocol, and every `holds` whose query failed, in the order of the file's
/// lines. `run` followed the order of the file, and is recorded; `answers` are its own.
std::vector<Checked> check(const Script& script, const record::Run& run, const AnswersOfRun& answers);

/// The text of the file with what came in place of its `=>` lines. A step that came differently each time that it was
/// performed (in a loop, in several sessions) keeps its lines. Steps that were not reached have none.
std::string blessed(const Script& script, const record::Run& run, const AnswersOfRun& answers);

}  // namespace lockstep::script
