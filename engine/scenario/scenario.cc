// scenario.cc: building a scenario and asking it what it expects.
#include "engine/scenario/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/actor/actor.h"
#include "engine/scenario/runs_only.h"
#include "engine/store/left_out.h"

namespace lockstep {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    if (const auto part = trimmed(text.substr(0, end)); !part.empty()) parts.push_back(part);
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::int64_t number_of(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::int64_t total_of(const State& state, std::string_view prefix) {
  std::int64_t sum = 0;
  for (const auto& [key, value] : state) sum += key.starts_with(prefix) ? number_of(value) : 0;
  return sum;
}

std::int64_t rows_of(const State& state, std::string_view prefix) {
  return std::count_if(state.begin(), state.end(), [&](const auto& row) { return row.first.starts_with(prefix); });
}

}  // namespace

std::string key_of(std::string_view prefix, std::uint64_t number) { return fmt::format("{}{:07}", prefix, number); }

State numbered(std::string_view prefix, std::uint64_t rows, std::string_view value) {
  State state;
  for (std::uint64_t i = 0; i < rows; ++i) state.emplace_back(key_of(prefix, i), value);
  return state;
}

bool Context::reads() {
  LOCKSTEP_CHECK(shape().read_percent >= 0, "a body divides its transactions without Scenario::reads()");
  return static_cast<int>(random() % 100) < shape().read_percent;
}

void Context::figure(std::string row, std::string column, double value, std::string_view unit) const {
  if (!measures) return;
  actor->emit({.kind = record::EventKind::figure,
               .verb = std::move(column),
               .object = std::move(row),
               .detail = fmt::format("{:.{}f} {}", value,
                                     value < 10    ? 2
                                     : value < 100 ? 1
                                                   : 0,
                                     unit)});
}

void Context::note(std::string text) const {
  actor->emit({.kind = record::EventKind::note, .detail = std::move(text)});
}

Task<> handled(Context& context, Task<> part) {
  const Result<void> ended = co_await tried(std::move(part));
  if (ended.ok()) co_return;
  const Error& error = ended.error();
  const bool is_expected = error.fault == Fault::constraint || error.fault == Fault::refused;
  if (!is_expected) co_await fail(error);
  context.note("handles it: " + error.message);
}

std::string Final::operator[](std::string_view key) const {
  const auto row = std::find_if(state_.begin(), state_.end(), [key](const auto& r) { return r.first == key; });
  return row == state_.end() ? std::string() : row->second;
}

std::int64_t Final::number(std::string_view key) const { return number_of((*this)[key]); }

bool Final::exists(std::string_view key) const {
  return std::any_of(state_.begin(), state_.end(), [key](const auto& row) { return row.first == key; });
}

std::int64_t Final::total(std::string_view prefix) const { return total_of(state_, prefix); }
std::int64_t Final::rows(std::string_view prefix) const { return rows_of(state_, prefix); }
std::int64_t Final::total_at_start(std::string_view prefix) const { return start_ ? total_of(*start_, prefix) : 0; }
std::int64_t Final::rows_at_start(std::string_view prefix) const { return start_ ? rows_of(*start_, prefix) : 0; }

std::int64_t Final::below_zero(std::string_view prefix) const {
  return std::count_if(state_.begin(), state_.end(),
                       [&](const auto& row) { return row.first.starts_with(prefix) && number_of(row.second) < 0; });
}

Result<Table> Final::query(const std::string& sql) const {
  if (backend_ == nullptr) return Error{Fault::unavailable, {}, "there is no store"};
  return backend_->query(sql);
}

std::int64_t Final::ask(const Sql& sql) const {
  const Result<Table> table = query(std::string(sql.text_on(store_)));
  if (!table || table->empty() || table->front().empty() || !table->front().front()) return -1;
  return number_of(*table->front().front());
}

std::optional<record::Verdict> Pattern::expected(std::string_view store, std::string_view protocol) const {
  for (auto it = expectations.rbegin(); it != expectations.rend(); ++it) {
    if (it->store == store && it->protocol == protocol) return it->verdict;
  }
  for (auto it = expectations.rbegin(); it != expectations.rend(); ++it) {
    if (it->store == store && it->protocol == "*") return it->verdict;
  }
  return std::nullopt;
}

bool Pattern::names_store(std::string_view store) const {
  const std::vector<std::string> named = stores();
  return std::find(named.begin(), named.end(), store) != named.end();
}

bool Pattern::runs_on(std::string_view store) const {
  if (names_store(store)) return true;
  const BackendKind* const kind = backend_named(store);
  const bool on_trial = kind != nullptr && std::any_of(kind->protocols.begin(), kind->protocols.end(),
                                                       [](const ProtocolTraits& each) { return each.on_trial; });
  if (!on_trial || has_ddl()) return false;
  // A server without SQL has commands of its own; what runs in this process knows the common verbs alone.
  const std::vector<std::string> named = stores();
  return std::any_of(named.begin(), named.end(), [](const std::string& each) {
    const BackendKind* const other = backend_named(each);
    return other != nullptr && !other->traits.sql && other->traits.waits == Waits::in_process;
  });
}

bool Pattern::runs_on(const BackendKind& kind, const ProtocolTraits& protocol) const {
  return expected(kind.name, protocol.name) || expected(kind.name, kRunsOnly) ||
         (expectations.empty() && names_store(kind.name)) || (protocol.on_trial && runs_on(kind.name));
}

std::optional<std::string> Pattern::tuned(std::string_view option) const {
  for (const auto& [name, value] : tuning) {
    if (name == option) return value;
  }
  return std::nullopt;
}

void Pattern::tune(const BackendKind& kind, BackendOptions& options) const {
  const auto set = [this](std::string_view option, Nanos& span) {
    if (const auto text = tuned(option)) span = std::chrono::milliseconds(std::stoll(*text));
  };
  set("lock-timeout-ms", options.lock_timeout);
  set("statement-timeout-ms", options.statement_timeout);
  set("deadlock-timeout-ms", options.deadlock_timeout);
  for (const std::string_view option : kind.traits.own_options) {
    if (auto value = tuned(option)) options.own.emplace_back(option, std::move(*value));
  }
}

bool Pattern::is_unsafe(std::string_view store, std::string_view protocol) const {
  return expected(store, protocol) == record::Verdict::anomaly ||
         std::any_of(unsafe.begin(), unsafe.end(), [&](const std::string& place) {
           return place == fmt::format("{}/{}", store, protocol) || place == fmt::format("{}/*", store);
         });
}

std::vector<std::string> Pattern::ddl_on(std::string_view store, const Shape& shape) const {
  if (ddl_of_shape) return ddl_of_shape(shape);
  const auto own = ddl_of_store.find(store);
  return own == ddl_of_store.end() ? ddl : own->second;
}

std::vector<std::string> Pattern::stores() const {
  std::vector<std::string> names;
  for (const Expectation& expectation : expectations) {
    if (std::find(names.begin(), names.end(), expectation.store) == names.end()) names.push_back(expectation.store);
  }
  if (!names.empty()) return names;
  // Nothing is expected anywhere: it runs on the default store, and with statements of its own where they are known.
  if (!has_ddl()) return {std::string(default_backend().name)};
  for (const BackendKind& kind : backends()) {
    if (kind.traits.sql) names.emplace_back(kind.name);
  }
  return names;
}

record::Verdict Pattern::subject() const {
  using record::Verdict;
  const auto expects = [this](Verdict verdict) {
    return std::any_of(expectations.begin(), expectations.end(),
                       [verdict](const Expectation& each) { return each.verdict == verdict; });
  };
  for (const Verdict bad : {Verdict::anomaly, Verdict::deadlock, Verdict::hung, Verdict::timeout, Verdict::error}) {
    if (expects(bad)) return bad;
  }
  if (expectations.empty()) return Verdict::clean;
  const bool avoided = expectations.front().verdict == Verdict::avoided;
  return avoided || !expects(Verdict::clean) ? expectations.front().verdict : Verdict::clean;
}

std::string Pattern::why_of(const record::Run& run) const {
  using record::Verdict;
  // Where whole transactions wait for each other, what a sentence says of rows and statements did not happen.
  const bool waits_to_begin = std::any_of(run.events.begin(), run.events.end(), [](const record::Event& event) {
    return event.kind == record::EventKind::wait && event.verb == "begin";
  });
  const auto is_true = [&](const Explanation& explanation) {
    if (explanation.of.empty()) {
      const Verdict about = subject();
      if (about == Verdict::clean && waits_to_begin) return false;
      // A time-out that ended a deadlock hides one.
      return run.verdict == about ||
             (about == Verdict::deadlock && run.verdict == Verdict::timeout && !run.cycles.empty());
    }
    return std::any_of(explanation.of.begin(), explanation.of.end(), [&run, waits_to_begin](const OutcomeName& each) {
      if (each.store.empty() ? waits_to_begin : each.store != run.store) return false;
      return each.fault ? run.outcomes.faults.contains(std::string(name_of(*each.fault))) : run.verdict == each.verdict;
    });
  };
  const auto found = std::find_if(explanations.begin(), explanations.end(), is_true);
  return found == explanations.end() ? std::string() : found->text;
}

Pattern& Scenario::current() {
  LOCKSTEP_CHECK(!patterns_.empty(), "scenario \"{}\": this call speaks of a pattern and comes before the first one",
                 title_);
  return patterns_.back();
}

Scenario Scenario::story(std::string text) && {
  story_ = std::move(text);
  return std::move(*this);
}

Scenario Scenario::rows(std::uint64_t count, std::function<State(const Shape&)> given, std::uint64_t few) && {
  load_.rows = count;
  load_.few = few;
  load_.given = std::move(given);
  if (rows_.empty()) rows_ = load_.given(shape_of_run(0));
  return std::move(*this);
}

Scenario Scenario::reads(int percent) && {
  load_.read_percent = percent;
  return std::move(*this);
}

Scenario Scenario::takes_rows_in_order() && {
  load_.chooses = false;
  return std::move(*this);
}

Scenario Scenario::repeats() && {
  load_.repeats = true;
  return std::move(*this);
}

Shape Scenario::shape_of_run(std::uint64_t seed) const {
  return {.rows = load_.few, .theta = 0, .read_percent = load_.read_percent, .seed = seed};
}

bool Scenario::runs_under_load() const noexcept {
  return std::any_of(patterns_.begin(), patterns_.end(), [this](const Pattern& each) { return runs_under_load(each); });
}

const Body& Scenario::body_of_session(const Pattern& pattern, std::size_t session) const {
  if (pattern.session) return pattern.session;
  LOCKSTEP_CHECK(load_.repeats && !pattern.actors.empty(), "{}/{} has no body for sessions", name, pattern.name);
  return pattern.actors[session % pattern.actors.size()].body;
}

Scenario Scenario::given(std::vector<Given> rows) && {
  LOCKSTEP_CHECK(load_.given == nullptr, "scenario \"{}\": given() comes before rows()", title_);
  for (Given& row : rows) rows_.emplace_back(std::move(row.key), std::move(row.value));
  std::sort(rows_.begin(), rows_.end());
  return std::move(*this);
}

Scenario Scenario::pattern(std::string pattern, std::string summary) && {
  patterns_.push_back({.name = std::move(pattern), .summary = std::move(summary)});
  return std::move(*this);
}

Scenario Scenario::add_actor(ActorSpec spec) && {
  current().actors.push_back(std::move(spec));
  return std::move(*this);
}

Scenario Scenario::session(Body body) && {
  Pattern& pattern = current();
  if (pattern.actors.empty()) {
    for (const char* actor : {"S1", "S2"}) pattern.actors.push_back({actor, body});
    for (const BackendKind& kind : backends())
      pattern.expectations.push_back({std::string(kind.name), std::string(kRunsOnly), record::Verdict::clean});
  }
  pattern.session = std::move(body);
  return std::move(*this);
}

Scenario Scenario::unsafe_at(std::vector<std::string> places) && {
  current().unsafe = std::move(places);
  return std::move(*this);
}

Scenario Scenario::schedule(std::string order) && {
  current().schedule = std::move(order);
  return std::move(*this);
}

Scenario Scenario::ddl(std::vector<std::string> statements) && {
  current().ddl = std::move(statements);
  return std::move(*this);
}

Scenario Scenario::ddl(std::function<std::vector<std::string>(const Shape&)> statements) && {
  current().ddl_of_shape = std::move(statements);
  return std::move(*this);
}

Scenario Scenario::ddl_on(const std::string& store, std::vector<std::string> statements) && {
  current().ddl_of_store[store] = std::move(statements);
  return std::move(*this);
}

Scenario Scenario::expect(const std::string& store, std::string_view verdicts) && {
  const auto left_out = stores_left_out();
  if (std::find(left_out.begin(), left_out.end(), store) != left_out.end()) return std::move(*this);
  for (const std::string_view entry : split(verdicts, ',')) {
    const std::vector<std::string_view> parts = split(entry, ':');
    LOCKSTEP_CHECK(parts.size() == 2, "scenario \"{}\": \"{}\" is not PROTOCOL: VERDICT", title_, entry);
    const auto verdict = record::verdict_named(parts[1]);
    LOCKSTEP_CHECK(verdict.has_value(), "scenario \"{}\": no verdict \"{}\"", title_, parts[1]);
    current().expectations.push_back({store, std::string(parts[0]), *verdict});
  }
  return std::move(*this);
}

Scenario Scenario::why(std::string text, std::string_view outcomes) && {
  Explanation explanation{.text = std::move(text)};
  for (const std::string_view entry : split(outcomes, ',')) {
    const std::vector<std::string_view> words = split(entry, ' ');
    OutcomeName outcome{.store = words.size() == 2 ? std::string(words.front()) : std::string(),
                        .verdict = record::verdict_named(words.back()),
                        .fault = std::nullopt};
    if (!outcome.verdict) outcome.fault = fault_named(words.back());
    LOCKSTEP_CHECK(words.size() <= 2 && (outcome.verdict || outcome.fault),
                   "scenario \"{}\": \"{}\" is no outcome; write VERDICT or FAULT, or STORE and one of them", title_,
                   entry);
    explanation.of.push_back(std::move(outcome));
  }
  current().explanations.push_back(std::move(explanation));
  return std::move(*this);
}

Scenario Scenario::fix(std::string sentence, std::string pattern) && {
  current().fix = std::move(sentence);
  current().fix_pattern = std::move(pattern);
  return std::move(*this);
}

Scenario Scenario::tune(std::string option, std::string value) && {
  current().tuning.emplace_back(std::move(option), std::move(value));
  return std::move(*this);
}

Scenario Scenario::holds(std::string text, std::function<Held(const Final&)> check) && {
  invariants_.push_back({std::move(text), std::move(check)});
  return std::move(*this);
}

Scenario Scenario::own_code_at_most(Nanos most) && {
  own_code_most_ = most;
  return std::move(*this);
}

Scenario Scenario::waits_at_most(Nanos limit) && {
  longest_wait_ = limit;
  return std::move(*this);
}

const Pattern* Scenario::pattern_named(std::string_view pattern) const noexcept {
  const auto found =
      std::find_if(patterns_.begin(), patterns_.end(), [pattern](const Pattern& p) { return p.name == pattern; });
  return found == patterns_.end() ? nullptr : &*found;
}

std::vector<std::string> Scenario::stores() const {
  std::vector<std::string> names;
  for (const Pattern& pattern : patterns_) {
    for (std::string& store : pattern.stores()) {
      if (std::find(names.begin(), names.end(), store) == names.end()) names.push_back(std::move(store));
    }
  }
  return names;
}

}  // namespace lockstep
