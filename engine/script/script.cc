// script.cc: builds the scenario of a file, and puts the file into the records of its runs.
#include "engine/script/script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/suggest.h"
#include "engine/record/sites.h"
#include "engine/scenario/runs_only.h"
#include "engine/script/bodies.h"
#include "engine/script/world.h"
#include "engine/spec/portable.h"

namespace lockstep::script {
namespace {

using Json = nlohmann::ordered_json;

bool is_on_trial(const BackendKind& kind) {
  return std::any_of(kind.protocols.begin(), kind.protocols.end(),
                     [](const ProtocolTraits& each) { return each.on_trial; });
}

std::vector<std::string> all_stores(bool with_sql) {
  std::vector<std::string> names;
  // Servers first where there is a choice: a file in SQL is written for one. Last those that are on trial: a build that
  // has one more of them runs files where it ran them before.
  for (const bool on_trial : {false, true}) {
    for (const Waits waits : {Waits::external, Waits::in_process}) {
      for (const BackendKind& kind : backends()) {
        if (kind.traits.waits == waits && is_on_trial(kind) == on_trial && (!with_sql || kind.traits.sql))
          names.emplace_back(kind.name);
      }
    }
  }
  return names;
}

std::vector<std::string> all_verdicts() {
  std::vector<std::string> names;
  for (int v = 0; v <= static_cast<int>(record::kLastVerdict); ++v)
    names.emplace_back(record::name_of(static_cast<record::Verdict>(v)));
  return names;
}

/// Where a pattern runs: the stores of its expectations and of `on`; without any, all that speak its language.
std::vector<std::string> stores_of(const spec::SpecFile& file, const spec::SpecPattern& pattern) {
  std::vector<std::string> stores;
  const auto add = [&stores](const std::string& store) {
    if (std::find(stores.begin(), stores.end(), store) == stores.end()) stores.push_back(store);
  };
  for (const spec::VerdictExpected& each : pattern.expectations) add(each.store);
  for (const spec::NamedStore& store : file.stores) add(store.name);
  if (stores.empty() || file.portable) {
    for (const std::string& store : all_stores(!file.portable)) add(store);
  }
  return stores;
}

Error fault_at(const spec::SpecFile& file, int line, std::string what) {
  return {Fault::invalid, {}, spec::Complaint{.line = line, .what = std::move(what)}.text(file.path)};
}

/// The first name in `=> [PROTOCOL] …` that no store has on which the file can run.
std::optional<Error> unknown_protocol_in(const spec::SpecFile& file, const std::vector<std::string>& stores) {
  std::vector<std::string> known;
  for (const std::string& store : stores) {
    for (std::string& protocol : backend_named(store)->protocol_names()) known.push_back(std::move(protocol));
  }
  for (const spec::SpecPattern& pattern : file.patterns) {
    for (const spec::SpecSession& session : pattern.sessions) {
      for (const spec::Step& step : session.steps) {
        for (const spec::Expected& expected : step.expected) {
          for (const std::string& protocol : expected.protocols) {
            if (std::find(known.begin(), known.end(), protocol) == known.end())
              return fault_at(file, expected.lines.front(), unknown_name("protocol", protocol, known));
          }
        }
      }
    }
  }
  return std::nullopt;
}

/// The first name of a store, protocol, verdict or outcome that does not exist.
std::optional<Error> unknown_in(const spec::SpecFile& file) {
  const std::vector<std::string> stores = all_stores(!file.portable);
  const auto is_store = [&stores](const std::string& name) {
    return std::find(stores.begin(), stores.end(), name) != stores.end();
  };
  const char* const kind_of_store = file.portable ? "store" : "store with SQL";
  for (const spec::NamedStore& store : file.stores) {
    if (!is_store(store.name)) return fault_at(file, store.line, unknown_name(kind_of_store, store.name, stores));
  }
  for (const spec::SpecPattern& pattern : file.patterns) {
    for (const spec::VerdictExpected& each : pattern.expectations) {
      if (!is_store(each.store)) return fault_at(file, each.line, unknown_name(kind_of_store, each.store, stores));
      const BackendKind& kind = *backend_named(each.store);
      if (each.protocol != "*" && kind.protocol_named(each.protocol) == nullptr)
        return fault_at(file, each.line,
                        unknown_name("protocol of " + each.store, each.protocol, kind.protocol_names()));
      if (!record::verdict_named(each.verdict))
        return fault_at(file, each.line, unknown_name("verdict", each.verdict, all_verdicts()));
    }
    for (const spec::Sentence& why : pattern.whys) {
      std::string_view rest = why.outcomes;
      while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        std::string entry(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        std::vector<std::string> words;
        for (std::size_t at = 0; (at = entry.find_first_not_of(" \t", at)) != std::string::npos;) {
          const std::size_t end = std::min(entry.find_first_of(" \t", at), entry.size());
          words.push_back(entry.substr(at, end - at));
          at = end;
        }
        const bool known = !words.empty() && words.size() <= 2 &&
                           (record::verdict_named(words.back()) || fault_named(words.back())) &&
                           (words.size() == 1 || is_store(words.front()));
        if (!known)
          return fault_at(file, why.line,
                          fmt::format("\"{}\" is no outcome; write `why \"…\" deadlock`, with a verdict, a fault, or a "
                                      "store before one of them",
                                      entry));
      }
    }
  }
  return unknown_protocol_in(file, stores);
}

/// How many patterns of the scenario a pattern of the file is: one for each permutation, and one with every step.
std::size_t ways_of(const spec::SpecPattern& pattern) {
  return pattern.permutations.empty() ? 1 : pattern.permutations.size() + 1;
}

bool has_every_step(const spec::SpecPattern& pattern, std::size_t permutation) {
  return permutation >= pattern.permutations.size();
}

/// The pattern of the scenario that follows a permutation: the first is the pattern of the file itself.
std::string name_of_permutation(const spec::SpecPattern& pattern, std::size_t permutation) {
  if (permutation == 0) return pattern.name;
  const std::string word =
      has_every_step(pattern, permutation) ? std::string(kEveryStep) : fmt::format("permutation-{}", permutation + 1);
  return pattern.name == spec::SpecPattern().name ? word : fmt::format("{}-{}", pattern.name, word);
}

std::string summary_of_permutation(const spec::SpecPattern& pattern, std::size_t permutation) {
  if (pattern.permutations.empty()) return pattern.summary;
  if (has_every_step(pattern, permutation)) return "every step of each session, in the order of the file";
  std::string text;
  for (const spec::PermutationStep& step : pattern.permutations[permutation].steps)
    text += (text.empty() ? "" : " ") + step.step;
  return text;
}

/// The steps of a session in a permutation, in its order.
std::vector<std::size_t> steps_of(const spec::SpecPattern& pattern, std::size_t session, std::size_t permutation) {
  std::vector<std::size_t> steps;
  if (has_every_step(pattern, permutation)) {
    for (std::size_t i = 0; i < pattern.sessions[session].steps.size(); ++i) steps.push_back(i);
    return steps;
  }
  for (const spec::PermutationStep& each : pattern.permutations[permutation].steps) {
    const auto [of, step] = *pattern.step_named(each.step);
    if (static_cast<std::size_t>(of) == session) steps.push_back(static_cast<std::size_t>(step));
  }
  return steps;
}

/// The order of steps as a schedule. A session with a setup begins with it, before all others.
std::string schedule_of(const spec::SpecPattern& pattern, std::size_t permutation) {
  std::string text;
  const auto add = [&text](const std::string& name) { text += (text.empty() ? "" : " ") + actor_name(name); };
  for (const spec::SpecSession& session : pattern.sessions) {
    if (session.setup) add(session.name);
  }
  for (const int each : pattern.order) add(pattern.sessions[static_cast<std::size_t>(each)].name);
  if (!has_every_step(pattern, permutation)) {
    for (const spec::PermutationStep& step : pattern.permutations[permutation].steps)
      add(pattern.sessions[static_cast<std::size_t>(pattern.step_named(step.step)->first)].name);
  }
  return text;
}

/// The query of a `holds`: true, a number that is not 0, or no row at all, since rows are offenders then.
Held holds_by_query(const Final& end, const std::string& sql, std::size_t index) {
  const Result<Table> rows = end.query(sql);
  if (!rows) {
    end.world<World>().note_failed_query(index, rows.error().message);
    return Held("its query failed: " + rows.error().message);
  }
  if (rows->empty()) return true;
  if (rows->size() > 1 || rows->front().size() != 1 || !rows->front().front()) return false;
  const std::string& value = *rows->front().front();
  return value == "t" || value == "true" || spec::whole_number(value).value_or(0) != 0;
}

/// SQL of a load, with the number of rows in it.
std::string with_rows(const std::string& sql, const Shape& shape) {
  return with_values(sql, {{"rows", std::to_string(shape.rows)}});
}

std::vector<std::string> ddl_of(const spec::SpecFile& file, const spec::SpecPattern& pattern) {
  std::vector<std::string> ddl;
  for (const auto* const setups : {&file.setups, &pattern.setups}) {
    for (const spec::SqlBlock& block : *setups) {
      if (block.text.find_first_not_of(" \t\r\n") != std::string::npos) ddl.push_back(block.text);
    }
  }
  return ddl;
}

/// The rows of `given` in a file with `load`: a key with `:row` stands for one of each row.
State rows_of_load(const spec::SpecFile& file, const Shape& shape) {
  State state;
  for (const auto& [key, value] : file.given) {
    const std::vector<std::string_view> names = spec::names_in_key(key);
    if (std::find(names.begin(), names.end(), "row") == names.end()) {
      state.emplace_back(key, value);
      continue;
    }
    for (std::uint64_t row = 1; row <= shape.rows; ++row)
      state.emplace_back(key_with_values(key, {{"row", std::to_string(row)}}), value);
  }
  std::sort(state.begin(), state.end());
  return state;
}

/// In a run of its own two sessions perform a load once each, on so few rows that they meet.
std::uint64_t few_rows(const spec::SpecFile& file) {
  std::size_t most = 2;
  for (const spec::SpecPattern& pattern : file.patterns) {
    for (const spec::SpecLoad& load : pattern.loads) most = std::max(most, load.chosen.size());
  }
  return most;
}

Scenario scenario_of(const std::shared_ptr<const spec::SpecFile>& file, const std::shared_ptr<AnswerSink>& sink) {
  std::vector<Given> rows;
  for (const auto& [key, value] : file->given) rows.emplace_back(key, std::string_view(value));
  Scenario scenario = Scenario(file->title).story(file->story).with<World>();
  if (file->is_load()) {
    const auto given = [file](const Shape& shape) { return rows_of_load(*file, shape); };
    scenario = std::move(scenario).rows(static_cast<std::uint64_t>(std::max<std::int64_t>(file->rows, 1)), given,
                                        few_rows(*file));
  } else {
    scenario = std::move(scenario).given(std::move(rows));
  }
  // Each permutation is a way of asking of its own, with the same sessions.
  std::vector<std::pair<std::size_t, std::size_t>> ways;
  for (std::size_t p = 0; p < file->patterns.size(); ++p) {
    for (std::size_t n = 0; n < ways_of(file->patterns[p]); ++n) ways.emplace_back(p, n);
  }
  for (const auto& [p, n] : ways) {
    const spec::SpecPattern& pattern = file->patterns[p];
    scenario = std::move(scenario).pattern(name_of_permutation(pattern, n), summary_of_permutation(pattern, n));
    for (std::size_t s = 0; s < pattern.sessions.size(); ++s) {
      const SessionPart part{.file = file, .pattern = p, .session = s, .sink = sink, .steps = steps_of(pattern, s, n)};
      scenario = std::move(scenario).actor(actor_name(pattern.sessions[s].name),
                                           file->portable ? portable_body : sql_body, part);
    }
    scenario = std::move(scenario).schedule(schedule_of(pattern, n));
    std::vector<std::string> ddl = ddl_of(*file, pattern);
    if (file->is_load()) {
      const SessionPart part{.file = file, .pattern = p, .session = 0, .sink = sink};
      const auto body = [part](Context& context) { return load_body(context, part); };
      scenario = std::move(scenario).actor("S1", body).actor("S2", body).session(body);
      if (!ddl.empty()) {
        scenario = std::move(scenario).ddl([ddl](const Shape& shape) {
          std::vector<std::string> statements;
          for (const std::string& each : ddl) statements.push_back(with_rows(each, shape));
          return statements;
        });
      }
    } else if (!ddl.empty()) {
      scenario = std::move(scenario).ddl(std::move(ddl));
    }
    for (const spec::VerdictExpected& each : pattern.expectations)
      scenario = std::move(scenario).expect(each.store, each.protocol + ": " + each.verdict);
    // Where it runs without being judged. The verdict counts for nothing there.
    const std::string any = pattern.expectations.empty() ? "clean" : pattern.expectations.front().verdict;
    for (const std::string& store : stores_of(*file, pattern)) {
      const bool is_judged_everywhere =
          std::any_of(pattern.expectations.begin(), pattern.expectations.end(),
                      [&store](const spec::VerdictExpected& e) { return e.store == store && e.protocol == "*"; });
      if (!is_judged_everywhere) scenario = std::move(scenario).expect(store, fmt::format("{}: {}", kRunsOnly, any));
    }
    for (const spec::Sentence& why : pattern.whys) scenario = std::move(scenario).why(why.text, why.outcomes);
    if (pattern.fix) scenario = std::move(scenario).fix(pattern.fix->text, pattern.fix->pattern);
    // The latest of a name is the first that the engine finds.
    std::set<std::string> tuned;
    for (auto option = pattern.options.rbegin(); option != pattern.options.rend(); ++option) {
      if (!tuned.insert(option->name).second) continue;
      scenario =
          std::move(scenario).tune(option->name == "retries" ? option->name : option->name + "-ms", option->value);
    }
    if (!tuned.contains("retries") && !file->is_load()) scenario = std::move(scenario).tune("retries", 0);
  }
  for (std::size_t i = 0; i < file->invariants.size(); ++i) {
    const spec::SpecInvariant& each = file->invariants[i];
    if (!each.sql.empty()) {
      scenario = std::move(scenario).holds(each.text, [sql = each.sql, i, of_load = file->is_load()](const Final& end) {
        return holds_by_query(end, of_load ? with_rows(sql, end.shape()) : sql, i);
      });
      continue;
    }
    scenario = std::move(scenario).holds(
        each.text, [expression = each.expression, of_load = file->is_load()](const Final& end) {
          const Result<std::int64_t> value = expression.number([&end, of_load](std::string_view key) {
            if (of_load && key == "rows") return std::to_string(end.shape().rows);
            if (of_load && key == "total") return std::to_string(end.total());
            return end[key];
          });
          return value.ok() && *value != 0;
        });
  }
  scenario.name = file->path;
  scenario.source = file->path;
  return scenario;
}

/// The lines of the operations of one actor, from its events: its steps in their order, from the first one again after
/// each retry.
void note_lines(const spec::SpecSession& session, const std::vector<std::size_t>& steps, int actor,
                const std::string& path, const record::Run& run, std::vector<std::string>& sites) {
  std::vector<int> lines;
  if (session.setup) lines.push_back(session.setup->line);
  for (const std::size_t i : steps) {
    const spec::Step& step = session.steps[i];
    if (!step.operation || step.operation->verb != spec::PortableVerb::require) lines.push_back(step.line);
  }
  if (session.teardown) lines.push_back(session.teardown->line);
  std::size_t next = 0;
  for (const record::Event& event : run.events) {
    if (event.actor != actor) continue;
    if (event.kind == record::EventKind::retry) next = 0;
    if (event.kind != record::EventKind::request || event.step == 0) continue;
    if (sites.size() < event.step) sites.resize(event.step);
    sites[event.step - 1] = next < lines.size() ? fmt::format("{}:{}", path, lines[next++]) : std::string();
  }
}

}  // namespace

Script::Script(std::shared_ptr<const spec::SpecFile> file)
    : file_(std::move(file)), sink_(std::make_shared<AnswerSink>()), scenario_(scenario_of(file_, sink_)) {}

Result<std::unique_ptr<Script>> Script::made_of(spec::SpecFile file) {
  if (std::optional<Error> unknown = unknown_in(file)) return *std::move(unknown);
  return std::unique_ptr<Script>(new Script(std::make_shared<const spec::SpecFile>(std::move(file))));
}

Result<std::unique_ptr<Script>> Script::read(const std::string& path) {
  Result<spec::SpecFile> file = spec::read_file(path);
  if (!file) return file.error();
  return made_of(std::move(*file));
}

Result<std::unique_ptr<Script>> Script::recorded_in(const record::Run& run) {
  const auto document = run.documents.find(kSourceDocument);
  if (document == run.documents.end()) return std::unique_ptr<Script>();
  std::string name, text;
  try {
    const Json json = Json::parse(document->second);
    name = json.at("name").get<std::string>();
    text = json.at("text").get<std::string>();
  } catch (const Json::exception&) {
    return Error{Fault::invalid, {}, "the recording holds a file that cannot be read: a part of it is missing"};
  }
  spec::ParsedSpec parsed = spec::parse(std::move(name), std::move(text));
  if (!parsed.file)
    return Error{Fault::invalid, {}, "the recording holds a file of another form: " + parsed.complaint.what};
  return made_of(std::move(*parsed.file));
}

const spec::SpecPattern& Script::pattern_named(std::string_view name) const {
  const auto found =
      std::find_if(file_->patterns.begin(), file_->patterns.end(), [name](const spec::SpecPattern& each) {
        for (std::size_t n = 0; n < ways_of(each); ++n) {
          if (name_of_permutation(each, n) == name) return true;
        }
        return false;
      });
  LOCKSTEP_CHECK(found != file_->patterns.end(), "{} has no pattern {}", file_->path, name);
  return *found;
}

std::vector<std::size_t> Script::steps_in(std::string_view pattern, std::size_t session) const {
  const spec::SpecPattern& found = pattern_named(pattern);
  std::size_t n = 0;
  while (name_of_permutation(found, n) != pattern) ++n;
  return steps_of(found, session, n);
}

void Script::note_text(record::Run& run) const {
  run.documents[kSourceDocument] = Json{{"name", file_->path}, {"text", file_->text}}.dump();
}

void Script::note_source(record::Run& run) const {
  note_text(run);
  std::vector<std::string> sites;
  const spec::SpecPattern& pattern = pattern_named(run.pattern);
  for (std::size_t actor = 0; actor < pattern.sessions.size(); ++actor)
    note_lines(pattern.sessions[actor], steps_in(run.pattern, actor), static_cast<int>(actor), file_->path, run, sites);
  if (!sites.empty()) run.documents[record::kSitesDocument] = record::sites_to_json(sites);
}

}  // namespace lockstep::script
