// bodies.cc: performs the steps of a session, one operation each.
#include "engine/script/bodies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/script/world.h"

namespace lockstep::script {
namespace {

using spec::Operation;
using spec::PortableVerb;
using Values = std::map<std::string, std::optional<std::string>>;

/// One request, with all that comes back.
class WholeRequest final : public StoreOperation {
 public:
  WholeRequest(const std::unique_ptr<Session>& session, const Request& request) : StoreOperation(session, request) {}
  Reply await_resume() { return std::move(pending_.reply); }
};

/// "begin", "start transaction" and the like, without a level: the run's protocol says it then.
bool is_plain_begin(std::string_view sql) {
  std::string words;
  for (const char c : sql) {
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';';
    if (!blank) words += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (blank && !words.empty() && words.back() != ' ') words += ' ';
  }
  while (words.ends_with(' ')) words.pop_back();
  return words == "begin" || words == "begin transaction" || words == "begin work" || words == "start transaction";
}

Request request_of_statement(const std::unique_ptr<Session>& session, const std::string& sql) {
  const bool begins = session != nullptr && !session->in_transaction() && is_plain_begin(sql);
  if (begins) return {.verb = Verb::begin};
  return {.verb = Verb::execute, .key = sql.empty() ? std::string_view(";") : std::string_view(sql)};
}

/// Sends one statement. The references outlive the task: they are of the body that awaits it.
Task<> send(Context& context, const std::string& sql, StepAnswer& answer) {
  const std::unique_ptr<Session>& session = context.actor->session;
  Reply reply = co_await WholeRequest(session, request_of_statement(session, sql));
  answer.table = std::move(reply.table);
  answer.rows = reply.rows;
}

/// A failure that belongs to the file: another run of the same body would fail again.
bool is_of_file(Fault fault) noexcept {
  return fault == Fault::invalid || fault == Fault::unsupported || fault == Fault::constraint ||
         fault == Fault::refused || fault == Fault::internal;
}

/// The error with the line that it belongs to in front, in place of the actor, which is named elsewhere.
Error at_line(const spec::SpecFile& file, const spec::Step& step, const std::string& actor, const Error& error) {
  std::string_view said = error.message;
  if (said.starts_with(actor + ": ")) said.remove_prefix(actor.size() + 2);
  const std::string_view hint =
      step.has_arrow && error.fault == Fault::invalid ? " (an answer is kept by `-> name` behind the semicolon)" : "";
  return {error.fault, error.code, fmt::format("{}:{}: {}{}", file.path, step.line, said, hint)};
}

void take_row(const spec::Step& step, const Table& table, Values& values) {
  for (std::size_t i = 0; i < step.captures.size(); ++i) {
    std::optional<std::string>& value = values[step.captures[i]];
    value.reset();
    if (!table.empty() && i < table.front().size()) value = table.front()[i];
  }
}

void take_named(const spec::Step& step, const std::vector<std::optional<std::string>>& named, Values& values) {
  for (std::size_t i = 0; i < step.captures.size(); ++i)
    values[step.captures[i]] = i < named.size() ? named[i] : std::nullopt;
}

/// The names that may stand in a session's SQL: those that it captures anywhere, without values yet, and `me`.
Values names_of(const spec::SpecSession& session) {
  Values values{{"me", session.name}};
  for (const spec::Step& step : session.steps) {
    for (const std::string& name : step.captures) values.emplace(name, std::nullopt);
  }
  return values;
}

bool has_retries(const spec::SpecPattern& pattern) {
  const auto last = std::find_if(pattern.options.rbegin(), pattern.options.rend(),
                                 [](const spec::Option& option) { return option.name == "retries"; });
  return last != pattern.options.rend() && last->value > 0;
}

/// The texts of a portable request, which must stay until it is answered.
struct Texts {
  std::string key = {}, upper = {}, value = {}, compared = {};
  std::vector<std::string> claims = {};
  std::int64_t number = 0, floor = 0;
};

Result<Texts> texts_of(const Operation& operation, const Values& values) {
  const auto lookup = [&values](std::string_view name) {
    const auto found = values.find(std::string(name));
    return found == values.end() ? std::string() : found->second.value_or(std::string());
  };
  Texts texts{.key = key_with_values(operation.key, values), .upper = key_with_values(operation.upper, values)};
  const Result<std::string> value = operation.value.value(lookup);
  if (!value) return value.error();
  const Result<std::string> compared = operation.compared.value(lookup);
  if (!compared) return compared.error();
  texts.value = *value;
  texts.compared = *compared;
  texts.number = spec::whole_number(texts.value).value_or(0);
  texts.floor = spec::whole_number(texts.compared).value_or(0);
  for (const std::string& key : operation.claims) texts.claims.push_back(key_with_values(key, values));
  return texts;
}

Request request_of(const Operation& operation, const Texts& texts) {
  switch (operation.verb) {
    case PortableVerb::begin:
      return {.verb = Verb::begin, .claims = texts.claims};
    case PortableVerb::read:
      return {.verb = Verb::read, .key = texts.key};
    case PortableVerb::read_for_update:
      return {.verb = Verb::read_for_update, .key = texts.key};
    case PortableVerb::write:
      return {.verb = Verb::write, .key = texts.key, .value = texts.value};
    case PortableVerb::insert:
      return {.verb = Verb::insert, .key = texts.key, .value = texts.value};
    case PortableVerb::write_if:
      return {.verb = Verb::write_if, .key = texts.key, .value = texts.value, .expected = texts.compared};
    case PortableVerb::add:
      return {.verb = Verb::add, .key = texts.key, .delta = texts.number};
    case PortableVerb::add_if:
      return {.verb = Verb::add_if, .key = texts.key, .delta = texts.number, .floor = texts.floor};
    case PortableVerb::erase:
      return {.verb = Verb::erase, .key = texts.key};
    case PortableVerb::scan:
    case PortableVerb::scan_for_update:
      return {.verb = operation.verb == PortableVerb::scan ? Verb::scan : Verb::scan_for_update,
              .key = texts.key,
              .upper = texts.upper,
              .limit = operation.limit.value_or(SIZE_MAX)};
    case PortableVerb::savepoint:
      return {.verb = Verb::savepoint, .key = texts.key};
    case PortableVerb::rollback_to:
      return {.verb = Verb::rollback_to, .key = texts.key};
    case PortableVerb::release:
      return {.verb = Verb::release, .key = texts.key};
    case PortableVerb::commit:
      return {.verb = Verb::commit};
    case PortableVerb::abort:
      return {.verb = Verb::abort};
    case PortableVerb::sql:
    case PortableVerb::require:
      break;
  }
  return {.verb = Verb::execute, .key = operation.text};
}

/// The answer of a portable step as rows: what `=>` and captures speak of.
void take_reply(const Operation& operation, Reply reply, StepAnswer& answer,
                std::vector<std::optional<std::string>>& named) {
  answer.rows = reply.rows;
  switch (operation.verb) {
    case PortableVerb::read:
    case PortableVerb::read_for_update:
    case PortableVerb::add:
      answer.table = {{reply.value}};
      named = {reply.value};
      break;
    case PortableVerb::write_if:
    case PortableVerb::add_if:
    case PortableVerb::erase:
      named = {std::to_string(reply.rows)};
      break;
    case PortableVerb::scan:
    case PortableVerb::scan_for_update: {
      std::int64_t sum = 0;
      for (const auto& row : reply.table)
        sum += row.size() > 1 ? spec::whole_number(row[1].value_or(std::string())).value_or(0) : 0;
      named = {std::to_string(reply.table.size()),
               reply.table.empty() || reply.table.front().empty() ? std::nullopt : reply.table.front().front(),
               std::to_string(sum)};
      answer.table = std::move(reply.table);
      break;
    }
    default:
      answer.table = std::move(reply.table);
  }
}

/// One request of a portable step, and what came of it. The references are of the body that awaits it.
Task<> ask(Context& context, const Operation& operation, const Texts& texts, StepAnswer& answer,
           std::vector<std::optional<std::string>>& named) {
  Reply reply = co_await WholeRequest(context.actor->session, request_of(operation, texts));
  take_reply(operation, std::move(reply), answer, named);
}

/// The load that a transaction is of, by the shares.
const spec::SpecLoad& drawn_load(const std::vector<spec::SpecLoad>& loads, Random& random) {
  if (loads.size() == 1) return loads.front();
  int rest = 100, without_share = 0;
  for (const spec::SpecLoad& load : loads) {
    rest -= load.percent;
    without_share += load.percent == 0 ? 1 : 0;
  }
  double drawn = static_cast<double>(random() >> 11U) * 0x1.0p-53 * 100;
  for (const spec::SpecLoad& load : loads) {
    drawn -= load.percent > 0 ? load.percent : static_cast<double>(rest) / without_share;
    if (drawn < 0) return load;
  }
  return loads.back();
}

/// The rows that a transaction chooses, numbers from 1 on, all different; false: there are too few.
bool choose_rows(Context& context, const spec::SpecLoad& load, Values& values) {
  if (load.chosen.size() > context.shape().rows) return false;
  std::vector<std::uint64_t> rows;
  while (rows.size() < load.chosen.size()) {
    std::uint64_t row = context.choose();
    while (std::find(rows.begin(), rows.end(), row) != rows.end()) row = (row + 1) % context.shape().rows;
    rows.push_back(row);
  }
  if (load.ascending) std::sort(rows.begin(), rows.end());
  for (std::size_t i = 0; i < rows.size(); ++i) values[load.chosen[i]] = std::to_string(rows[i] + 1);
  return true;
}

}  // namespace

std::string actor_name(std::string session) {
  for (char& c : session) {
    if (c == ' ' || c == '\t' || c == ',' || c == ':') c = '_';
  }
  return session;
}

bool speaks_of(const spec::SpecFile& file, std::string_view store, std::string_view protocol) noexcept {
  const BackendKind& usual = default_backend();
  return !file.portable || (store == usual.name && protocol == usual.protocols.front().name);
}

const spec::Expected* expected_at(const spec::SpecFile& file, const spec::Step& step, std::string_view store,
                                  std::string_view protocol) noexcept {
  const bool speaks_of_all = speaks_of(file, store, protocol);
  const spec::Expected* of_all = nullptr;
  for (const spec::Expected& each : step.expected) {
    if (each.protocols.empty() && speaks_of_all) of_all = &each;
    if (std::find(each.protocols.begin(), each.protocols.end(), protocol) != each.protocols.end()) return &each;
  }
  return of_all;
}

bool names_fault(const spec::Expected& expected, const Error& error) {
  if (expected.rows.size() != 1 || expected.count) return false;
  const std::string& said = expected.rows.front();
  return said == name_of(error.fault) || (!error.code.empty() && said == error.code);
}

std::string key_with_values(const std::string& key, const Values& values) {
  std::string text;
  for (std::size_t at = 0; at < key.size();) {
    std::size_t end = at + 1;
    if (key[at] == ':') {
      while (end < key.size() && (std::isalnum(static_cast<unsigned char>(key[end])) != 0 || key[end] == '_')) ++end;
      const auto value = values.find(key.substr(at + 1, end - at - 1));
      if (value != values.end()) {
        text += value->second.value_or(std::string());
        at = end;
        continue;
      }
      end = at + 1;
    }
    text += key[at];
    at = end;
  }
  return text;
}

std::string with_values(const std::string& sql, const Values& values) {
  std::string text;
  const auto copy_to = [&](std::size_t& at, std::size_t end) {
    end = std::min(end, sql.size());
    text.append(sql, at, end - at);
    at = end;
  };
  const auto behind = [&sql](std::string_view what, std::size_t from) {
    const std::size_t found = sql.find(what, from);
    return found == std::string::npos ? sql.size() : found + what.size();
  };
  for (std::size_t at = 0; at < sql.size();) {
    const char c = sql[at];
    if (c == '\'' || c == '"') {
      copy_to(at, behind(std::string_view(&c, 1), at + 1));
    } else if (sql.compare(at, 2, "--") == 0) {
      copy_to(at, behind("\n", at));
    } else if (sql.compare(at, 2, "/*") == 0) {
      copy_to(at, behind("*/", at));
    } else if (sql.compare(at, 2, "::") == 0) {
      copy_to(at, at + 2);
    } else if (c == ':') {
      const bool quoted = at + 1 < sql.size() && sql[at + 1] == '\'';
      const std::size_t begin = at + (quoted ? 2 : 1);
      std::size_t end = begin;
      while (end < sql.size() && (std::isalnum(static_cast<unsigned char>(sql[end])) != 0 || sql[end] == '_')) ++end;
      const auto value = values.find(sql.substr(begin, end - begin));
      const bool closed = !quoted || (end < sql.size() && sql[end] == '\'');
      if (value == values.end() || !closed) {
        copy_to(at, at + 1);
        continue;
      }
      at = end + (quoted ? 1 : 0);
      if (!value->second) {
        text += "null";
      } else if (quoted) {
        text += '\'';
        for (const char v : *value->second) text += v == '\'' ? std::string("''") : std::string(1, v);
        text += '\'';
      } else {
        text += *value->second;
      }
    } else {
      copy_to(at, at + 1);
    }
  }
  return text;
}

Task<> sql_body(Context& context, SessionPart part) {
  const spec::SpecSession& session = part.its_session();
  Actor& actor = *context.actor;
  const std::string protocol = actor.run.protocol == nullptr ? std::string() : actor.run.protocol->name;
  const bool tries_again = has_retries(part.its_pattern());
  std::vector<StepAnswer>& answers = context.world<World>().begin(actor.index, part.sink);
  Values values = names_of(session);
  if (session.setup) {
    StepAnswer unasked;
    co_await send(context, session.setup->text, unasked);
  }
  bool has_failed = false;  // in the transaction that is open: what comes after it fails for that
  std::optional<Error> unexpected;
  for (const std::size_t i : part.steps) {
    const spec::Step& step = session.steps[i];
    const std::string sql = with_values(step.text, values);
    StepAnswer& answer = answers.emplace_back();
    answer.step = i;
    const Result<void> ended = co_await tried(send(context, sql, answer));
    answer.number = actor.step();
    const bool in_transaction = actor.session != nullptr && actor.session->in_transaction();
    if (ended.ok()) {
      take_row(step, answer.table, values);
      has_failed = has_failed && in_transaction;
      continue;
    }
    answer.error = ended.error();
    const Error& error = ended.error();
    const bool goes_on = is_of_file(error.fault) || (is_retry_safe(error.fault) && !tries_again);
    if (!goes_on) co_await fail(error);
    const spec::Expected* const expected = expected_at(*part.file, step, {}, protocol);
    const bool is_foreseen = expected != nullptr && names_fault(*expected, error);
    const bool is_news = is_of_file(error.fault) && !has_failed && !is_foreseen && step.name.empty();
    if (is_news && !unexpected) unexpected = at_line(*part.file, step, context.name, error);
    has_failed = in_transaction;
  }
  if (session.teardown) {
    StepAnswer unasked;
    const Result<void> ended = co_await tried(send(context, session.teardown->text, unasked));
    const bool goes_on = ended.ok() || is_of_file(ended.fault()) || (is_retry_safe(ended.fault()) && !tries_again);
    if (!goes_on) co_await fail(ended.error());
  }
  if (unexpected) co_await fail(*unexpected);
}

Task<> portable_body(Context& context, SessionPart part) {
  const spec::SpecSession& session = part.its_session();
  Actor& actor = *context.actor;
  std::vector<StepAnswer>& answers = context.world<World>().begin(actor.index, part.sink);
  Values values = names_of(session);
  for (const std::size_t i : part.steps) {
    const spec::Step& step = session.steps[i];
    const Operation& operation = *step.operation;
    const Result<Texts> texts = texts_of(operation, values);
    if (!texts) co_await fail(texts.error());
    if (operation.verb == PortableVerb::require) {
      if (texts->number != 0) continue;
      context.note(operation.text.empty() ? step.text : operation.text);
      co_return;
    }
    StepAnswer& answer = answers.emplace_back();
    answer.step = i;
    std::vector<std::optional<std::string>> named;
    const Result<void> ended = co_await tried(ask(context, operation, *texts, answer, named));
    answer.number = actor.step();
    if (!ended.ok()) {
      answer.error = ended.error();
      co_await fail(ended.error());
    }
    take_named(step, named, values);
  }
}

Task<> load_body(Context& context, SessionPart part) {
  const spec::SpecLoad& load = drawn_load(part.its_pattern().loads, context.random);
  Values values = names_of(load.session);
  values["me"] = context.name;
  values["rows"] = std::to_string(context.shape().rows);
  if (!choose_rows(context, load, values)) {
    co_await fail(
        Error{Fault::invalid,
              {},
              fmt::format("{} chooses {} different rows of {}", load.name, load.chosen.size(), context.shape().rows)});
  }
  for (const spec::Step& step : load.session.steps) {
    StepAnswer answer;
    if (!step.operation) {
      const std::string sql = with_values(step.text, values);
      co_await send(context, sql, answer);
      take_row(step, answer.table, values);
      continue;
    }
    const Operation& operation = *step.operation;
    const Result<Texts> texts = texts_of(operation, values);
    if (!texts) co_await fail(texts.error());
    if (operation.verb == PortableVerb::require) {
      if (texts->number != 0) continue;
      context.note(operation.text.empty() ? step.text : operation.text);
      co_return;
    }
    std::vector<std::optional<std::string>> named;
    co_await ask(context, operation, *texts, answer, named);
    take_named(step, named, values);
  }
}

}  // namespace lockstep::script
