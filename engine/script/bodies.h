// bodies.h: the bodies of a file's sessions.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "engine/scenario/scenario.h"
#include "engine/script/answers.h"
#include "engine/spec/spec_file.h"

namespace lockstep::script {

/// Which session of which pattern a body performs.
struct SessionPart {
  std::shared_ptr<const spec::SpecFile> file;
  std::size_t pattern = 0;
  std::size_t session = 0;
  std::shared_ptr<AnswerSink> sink;
  std::vector<std::size_t> steps = {};  ///< indices of those that it performs, in order

  const spec::SpecPattern& its_pattern() const { return file->patterns[pattern]; }
  const spec::SpecSession& its_session() const { return its_pattern().sessions[session]; }
};

/// A session of a file in SQL.
Task<> sql_body(Context& context, SessionPart part);
/// A session of a portable file.
Task<> portable_body(Context& context, SessionPart part);

/// One transaction of the pattern's loads: of the one that its share chooses.
Task<> load_body(Context& context, SessionPart part);

/// The actor of a session: its name, with `_` in place of what separates the names of a schedule.
std::string actor_name(std::string session);
/// True when a line `=>` without a protocol speaks of a run there. In a portable file it speaks of the default store at
/// its first protocol: which session waits differs from store to store.
bool speaks_of(const spec::SpecFile& file, std::string_view store, std::string_view protocol) noexcept;
/// What a file says must come of a step of its own there; nullptr: nothing.
const spec::Expected* expected_at(const spec::SpecFile& file, const spec::Step& step, std::string_view store,
                                  std::string_view protocol) noexcept;
/// True when that is this fault: by its name, or by the store's code.
bool names_fault(const spec::Expected& expected, const Error& error);

/// A key with the values of `:x` in it.
std::string key_with_values(const std::string& key, const std::map<std::string, std::optional<std::string>>& values);
/// SQL with the values of `:x` and `:'x'`, as psql puts them in: outside of quotes and comments, and only names that
/// are `values`. One without a value is NULL.
std::string with_values(const std::string& sql, const std::map<std::string, std::optional<std::string>>& values);

}  // namespace lockstep::script
