// session.cc: requests, what a transaction keeps until its commit, and the meaning of answers.
#include "engine/stores/redis/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "engine/store/statement_text.h"

namespace lockstep::redis {
namespace {

enum RedisPhase : std::uint32_t { kKey = 1, kNames, kRows, kExec, kEnds, kOwn };

/// As INCRBY takes it: digits without a leading zero, perhaps behind a minus.
std::optional<std::int64_t> number_in(const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data(), end, number);
  if (wrong != std::errc() || rest != end || std::to_string(number) != text) return std::nullopt;
  return number;
}

/// What a command of the scenario's own gave, as rows.
void fill(Reply& reply, const RedisAnswer& answer) {
  StatementResult result;
  switch (answer.kind) {
    case RedisAnswer::Kind::nil:
    case RedisAnswer::Kind::error:
      result.tag = "(nil)";
      break;
    case RedisAnswer::Kind::text:
      result.rows.push_back({answer.text});
      reply.rows = 1;
      break;
    case RedisAnswer::Kind::number:
      result.rows.push_back({std::to_string(answer.number)});
      reply.rows = answer.number;
      break;
    case RedisAnswer::Kind::list:
      for (const RedisAnswer& each : answer.items) {
        auto& row = result.rows.emplace_back();
        if (each.kind != RedisAnswer::Kind::list) {
          row.push_back(each.is_error() ? std::optional(each.text) : each.value());
          continue;
        }
        for (const RedisAnswer& column : each.items) row.push_back(column.value());
      }
      reply.rows = static_cast<std::int64_t>(answer.items.size());
  }
  reply.table = result.rows;
  reply.results.push_back(std::move(result));
}

/// EXEC goes on behind a command that fails, and takes nothing back.
std::string what_is_done_beside(const RedisAnswer& exec) {
  const auto failed =
      std::count_if(exec.items.begin(), exec.items.end(), [](const RedisAnswer& each) { return each.is_error(); });
  return fmt::format(
      "of the {} commands of this EXEC {} failed, and the others were carried out: Redis takes nothing "
      "back",
      exec.items.size(), failed);
}

}  // namespace

Result<std::unique_ptr<Session>> RedisSession::open(const RedisCommon& common) {
  auto connection = RedisConnection::open(common.dsn, common.connect_max);
  if (!connection) return connection.error();
  return std::unique_ptr<Session>(new RedisSession(common, std::move(connection).value()));
}

void RedisSession::cancel(Pending& /*pending*/, Fault why) {
  cancelled_ = static_cast<int>(why);
  connection_->shut();
}

Arrival RedisSession::arrival() { return {.complete = in_flight_ && connection_->move()}; }

bool RedisSession::watches(Verb verb) const noexcept {
  switch (common_.watch) {
    case RedisWatch::nothing:
      return false;
    case RedisWatch::what_is_written:
      return verb != Verb::read && verb != Verb::scan;
    case RedisWatch::what_is_read_too:
      break;
  }
  return true;
}

/// A value that was read before its WATCH is read again behind it: it may have changed in between.
std::vector<RedisCommand> RedisSession::commands_for_key(const Request& request) const {
  std::vector<RedisCommand> commands;
  const std::string key(request.key);
  if (own_.contains(key)) return commands;
  const bool watch = watches(request.verb) && !watched_.contains(key);
  if (watch) commands.push_back({"WATCH", key});
  if (request.verb != Verb::write || (watch && seen_.contains(key))) commands.push_back({"GET", key});
  return commands;
}

RedisCommand RedisSession::names_in_range(const Request& request) const {
  const std::string least = request.key.empty() ? "-" : fmt::format("[{}", request.key);
  const std::string most = request.upper.empty() ? "+" : fmt::format("({}", request.upper);
  RedisCommand names = {"ZRANGEBYLEX", kIndex, least, most};
  if (request.limit != SIZE_MAX) {
    // As many more as the transaction itself may have erased.
    const std::size_t enough = std::min<std::size_t>(request.limit, INT32_MAX) + own_.size();
    names.insert(names.end(), {"LIMIT", "0", std::to_string(enough)});
  }
  return names;
}

std::vector<RedisCommand> RedisSession::commands_for_names(const Request& request) const {
  std::vector<RedisCommand> commands;
  if (watches(request.verb) && !watched_.contains(kIndex)) commands.push_back({"WATCH", kIndex});
  commands.push_back(names_in_range(request));
  return commands;
}

std::vector<RedisCommand> RedisSession::commands_for_commit() const {
  if (queued_.empty() && watched_.empty()) return {};
  std::vector<RedisCommand> commands = {{"MULTI"}};
  commands.insert(commands.end(), queued_.begin(), queued_.end());
  RedisCommand made = {"ZADD", kIndex}, erased = {"ZREM", kIndex};
  for (const auto& [key, value] : own_) {
    if (value) {
      made.insert(made.end(), {"0", key});
    } else {
      erased.push_back(key);
    }
  }
  if (made.size() > 2) commands.push_back(std::move(made));
  if (erased.size() > 2) commands.push_back(std::move(erased));
  commands.push_back({"EXEC"});
  return commands;
}

std::vector<RedisCommand> RedisSession::commands_for_end() const {
  if (in_own_multi_) return {{"DISCARD"}};
  if (watches_by_itself_ || !watched_.empty()) return {{"UNWATCH"}};
  return {};
}

std::string RedisSession::statement_of(const Request& request) const {
  switch (request.verb) {
    case Verb::execute:
      return std::string(request.key);
    case Verb::scan:
    case Verb::scan_for_update:
      return text_of(commands_for_names(request)) + "; MGET …";
    case Verb::commit:
      return text_of(commands_for_commit());
    case Verb::abort:
    case Verb::reset:
      return text_of(commands_for_end());
    case Verb::begin:
    case Verb::savepoint:
    case Verb::rollback_to:
    case Verb::release:
      return {};
    default:
      return text_of(commands_for_key(request));
  }
}

void RedisSession::send(Pending& pending, const std::vector<RedisCommand>& commands, std::uint32_t phase) {
  connection_->send(commands);
  in_flight_ = true;
  pending.phase = phase;
}

bool RedisSession::attempt(Pending& pending, Waiter& /*waiter*/) {
  if (pending.phase == 0 && start(pending)) return true;
  while (connection_->move()) {
    in_flight_ = false;
    if (take(pending)) return true;
  }
  pending.waiting = Waiting{};
  pending.waiting.fd = connection_->socket();
  pending.waiting.events = connection_->events();
  pending.waiting.external = true;
  return false;
}

/// True: the request has finished, without the server.
bool RedisSession::start(Pending& pending) {
  const Request& request = pending.request;
  failure_.reset();
  if (request.verb == Verb::abort && (is_lost() || !in_transaction_)) {
    end();
    return true;
  }
  if (is_lost()) {
    pending.error = request_error(Fault::unavailable, "", request, connection_->failure()->message);
    return true;
  }
  if ((pending.error = refusal(request, in_transaction_))) return true;
  if (in_own_multi_ && request.verb != Verb::execute && request.verb != Verb::abort) {
    pending.error =
        request_error(Fault::invalid, "", request, "a MULTI of the scenario's own is open; send EXEC first");
    return true;
  }
  std::vector<RedisCommand> commands;
  switch (request.verb) {
    case Verb::begin:
      in_transaction_ = true;
      return true;
    case Verb::savepoint:
      savepoints_.push_back({std::string(request.key), own_, queued_});
      return true;
    case Verb::rollback_to:
    case Verb::release:
      pending.error = leave_savepoint(request);
      return true;
    case Verb::execute:
      return start_own(pending);
    case Verb::scan:
    case Verb::scan_for_update:
      send(pending, commands_for_names(request), kNames);
      return false;
    case Verb::commit:
      commands = commands_for_commit();
      if (!commands.empty()) {
        // A connection that was lost earlier is told apart from one that is lost with the commit on its way.
        if (!connection_->is_sound()) {
          end();
          pending.error = request_error(Fault::unavailable, "", request, "the connection to Redis is lost");
          return true;
        }
        send(pending, commands, kExec);
        return false;
      }
      end();
      return true;
    case Verb::abort:
    case Verb::reset:
      commands = commands_for_end();
      if (!commands.empty()) {
        send(pending, commands, kEnds);
        return false;
      }
      end();
      return true;
    default:
      break;
  }
  if (const auto mine = own_.find(std::string(request.key)); mine != own_.end()) {
    perform(pending, mine->second);
    return true;
  }
  commands = commands_for_key(request);
  if (commands.empty()) {
    perform(pending, std::nullopt);
    return true;
  }
  send(pending, commands, kKey);
  return false;
}

bool RedisSession::start_own(Pending& pending) {
  const Request& request = pending.request;
  if (in_transaction_ && !in_own_multi_) {
    pending.error =
        request_error(Fault::invalid, "", request,
                      "a command of the scenario's own stands outside begin and commit: MULTI and EXEC make "
                      "a transaction of several");
    return true;
  }
  auto command = command_in(request.key);
  if (!command) {
    pending.error = command.error();
    return true;
  }
  if (const auto why = why_refused(*command)) {
    pending.error = request_error(Fault::unsupported, "", request, *why);
    return true;
  }
  own_command_ = std::move(command).value();
  send(pending, {own_command_}, kOwn);
  return false;
}

/// True: the request has finished. False: more was sent.
bool RedisSession::take(Pending& pending) {
  if (is_lost()) {
    take_loss(pending);
    return true;
  }
  switch (pending.phase) {
    case kKey:
      return take_value(pending);
    case kNames:
      return take_names(pending);
    case kRows:
      return take_rows(pending);
    case kExec:
      take_exec(pending);
      return true;
    case kEnds:
      pending.error = std::move(failure_);
      end();
      return true;
    default:
      take_own(pending);
      return true;
  }
}

void RedisSession::take_loss(Pending& pending) {
  const Request& request = pending.request;
  const int cancelled = cancelled_.load();
  const bool is_in_doubt =
      pending.phase == kExec ||
      (pending.phase == kOwn && (name_of(own_command_) == "EXEC" || (!in_own_multi_ && !only_reads(own_command_))));
  const Fault fault = is_in_doubt      ? Fault::outcome_unknown
                      : cancelled >= 0 ? static_cast<Fault>(cancelled)
                                       : Fault::unavailable;
  // What is rolled back is gone with the connection.
  if (request.verb != Verb::abort) pending.error = request_error(fault, "", request, connection_->failure()->message);
  end();
}

bool RedisSession::take_value(Pending& pending) {
  const Request& request = pending.request;
  const std::string key(request.key);
  for (const RedisAnswer& each : connection_->answers()) {
    if (!each.is_error()) continue;
    const Error error = error_of(each);
    pending.error = request_error(error.fault, error.code, request, error.message);
    return true;
  }
  const bool watch = watches(request.verb) && !watched_.contains(key);
  if (watch) watched_.insert(key);
  const bool has_value = connection_->answers().size() > (watch ? 1U : 0U);
  const std::optional<std::string> value = has_value ? connection_->answers().back().value() : std::nullopt;
  if (watch) {
    if (const auto before = seen_.find(key); before != seen_.end() && before->second != value) {
      failure_ = request_error(Fault::validation_failure, "WATCH", request,
                               fmt::format("{} was {} when it was read, and is {} now", key,
                                           before->second.value_or("not there"), value.value_or("not there")));
      send(pending, {{"UNWATCH"}}, kEnds);
      return false;
    }
  } else if (common_.watch == RedisWatch::what_is_written && !watched_.contains(key)) {
    seen_[key] = value;
  }
  perform(pending, value);
  return true;
}

bool RedisSession::take_names(Pending& pending) {
  const Request& request = pending.request;
  const RedisAnswer& last = connection_->answers().back();
  if (last.kind != RedisAnswer::Kind::list) {
    const Error error = error_of(last);
    pending.error = request_error(error.fault, error.code, request, error.message);
    return true;
  }
  names_.clear();
  for (const RedisAnswer& each : last.items) names_.push_back(each.text);
  const bool watch = watches(request.verb);
  std::vector<RedisCommand> commands;
  RedisCommand watching = {"WATCH"}, values = {"MGET"};
  for (const std::string& name : names_) {
    if (watch && !watched_.contains(name)) watching.push_back(name);
    values.push_back(name);
  }
  if (watch) watched_.insert(kIndex);
  if (watching.size() > 1) commands.push_back(std::move(watching));
  if (values.size() > 1) commands.push_back(std::move(values));
  if (commands.empty()) {
    connection_->answers().clear();
    return take_rows(pending);
  }
  send(pending, commands, kRows);
  return false;
}

bool RedisSession::take_rows(Pending& pending) {
  const Request& request = pending.request;
  std::map<std::string, std::string> rows;
  std::optional<Error> changed;
  if (!connection_->answers().empty()) {
    const RedisAnswer& values = connection_->answers().back();
    const bool watch = watches(request.verb);
    for (std::size_t i = 0; i < names_.size() && i < values.items.size(); ++i) {
      const std::string& name = names_[i];
      // Erased in between, or no text: no row.
      const std::optional<std::string> value = values.items[i].value();
      if (value) rows.emplace(name, *value);
      if (watch) watched_.insert(name);
      if (common_.watch != RedisWatch::what_is_written) continue;
      const auto before = seen_.find(name);
      if (watch && before != seen_.end() && before->second != value && !own_.contains(name)) {
        changed = request_error(Fault::validation_failure, "WATCH", request,
                                fmt::format("{} has changed since it was read", name));
      } else if (!watch && !watched_.contains(name)) {
        seen_[name] = value;
      }
    }
  }
  if (changed) {
    failure_ = std::move(changed);
    send(pending, {{"UNWATCH"}}, kEnds);
    return false;
  }
  own_rows(request, rows);
  for (const auto& [key, value] : rows) {
    if (pending.reply.table.size() == request.limit) break;
    pending.reply.table.push_back({key, value});
  }
  pending.reply.rows = static_cast<std::int64_t>(pending.reply.table.size());
  return true;
}

/// Puts over the server's rows what the transaction itself has written in the range.
void RedisSession::own_rows(const Request& request, std::map<std::string, std::string>& rows) const {
  for (const auto& [key, value] : own_) {
    if (key < request.key || (!request.upper.empty() && key >= request.upper)) continue;
    if (value) {
      rows.insert_or_assign(key, *value);
    } else {
      rows.erase(key);
    }
  }
}

void RedisSession::take_exec(Pending& pending) {
  const Request& request = pending.request;
  const std::vector<RedisAnswer>& answers = connection_->answers();
  const RedisAnswer& exec = answers.back();
  if (exec.is_nil()) {
    pending.error =
        request_error(Fault::validation_failure, "EXEC", request,
                      fmt::format("EXEC gave nil: another session has changed one of the keys that were watched ({})",
                                  fmt::join(watched_, ", ")));
  } else if (exec.is_error()) {
    // The first refusal says why nothing was carried out.
    const auto first =
        std::find_if(answers.begin(), answers.end(), [](const RedisAnswer& each) { return each.is_error(); });
    const Error error = error_of(*first);
    pending.error = request_error(error.fault, error.code, request, error.message);
  }
  for (std::size_t i = 0; i < exec.items.size() && !pending.error; ++i) {
    const RedisAnswer& each = exec.items[i];
    if (each.is_error()) {
      const Error error = error_of(each);
      pending.error = request_error(error.fault, error.code, request,
                                    fmt::format("{} ({})", error.message, what_is_done_beside(exec)));
    } else if (each.is_nil() && i < queued_.size() && queued_[i].back() == "NX") {
      pending.error = request_error(Fault::constraint, "", request,
                                    fmt::format("{} exists by now; the other writes were carried out: Redis takes "
                                                "nothing back",
                                                queued_[i][1]));
    }
  }
  end();
}

void RedisSession::take_own(Pending& pending) {
  const Request& request = pending.request;
  const RedisAnswer& answer = connection_->answers().back();
  const std::string name = name_of(own_command_);
  const bool ends_multi = in_own_multi_ && (name == "EXEC" || name == "DISCARD");
  const bool was_open = in_own_multi_;
  if (ends_multi) {
    in_own_multi_ = in_transaction_ = watches_by_itself_ = false;
  } else if (name == "MULTI" && !answer.is_error()) {
    in_own_multi_ = in_transaction_ = true;
  } else if (name == "WATCH" && !answer.is_error()) {
    watches_by_itself_ = true;
  } else if (name == "UNWATCH" && !was_open) {
    watches_by_itself_ = false;
  }
  if (answer.is_error()) {
    const Error error = error_of(answer);
    pending.error = request_error(error.fault, error.code, request, error.message);
    return;
  }
  if (name == "EXEC" && answer.is_nil()) {
    pending.error = request_error(Fault::validation_failure, "EXEC", request,
                                  "EXEC gave nil: another session has changed a key that was watched");
    return;
  }
  fill(pending.reply, answer);
  pending.reply.rolled_back = ends_multi && name == "DISCARD";
  pending.reply.autocommitted = !was_open && !only_reads(own_command_);
  if (name != "EXEC") return;
  const auto failed =
      std::find_if(answer.items.begin(), answer.items.end(), [](const RedisAnswer& each) { return each.is_error(); });
  if (failed == answer.items.end()) return;
  const Error error = error_of(*failed);
  pending.error = request_error(error.fault, error.code, request,
                                fmt::format("{} ({})", error.message, what_is_done_beside(answer)));
  pending.reply.results.back().error = pending.error;
}

void RedisSession::put(const Request& request, std::optional<std::string> value, RedisCommand command) {
  own_.insert_or_assign(std::string(request.key), std::move(value));
  queued_.push_back(std::move(command));
}

void RedisSession::perform(Pending& pending, const std::optional<std::string>& value) {
  const Request& request = pending.request;
  Reply& reply = pending.reply;
  const std::string key(request.key), written(request.value);
  switch (request.verb) {
    case Verb::read:
    case Verb::read_for_update:
      reply.value = value;
      reply.rows = value ? 1 : 0;
      return;
    case Verb::write:
      put(request, written, {"SET", key, written});
      reply.rows = 1;
      return;
    case Verb::insert:
      if (value) {
        pending.error = request_error(Fault::constraint, "", request, fmt::format("{} exists", key));
        return;
      }
      put(request, written, {"SET", key, written, "NX"});
      reply.rows = 1;
      return;
    case Verb::write_if:
      if (!value || *value != request.expected) return;
      put(request, written, {"SET", key, written});
      reply.rows = 1;
      return;
    case Verb::erase:
      if (!value) return;
      put(request, std::nullopt, {"DEL", key});
      reply.rows = 1;
      return;
    default:
      add(pending, value);
  }
}

/// The sum is told from the value that was read; the server adds by itself, at the commit.
void RedisSession::add(Pending& pending, const std::optional<std::string>& value) {
  const Request& request = pending.request;
  if (!value) return;
  const auto number = number_in(*value);
  std::int64_t sum = 0;
  if (!number || __builtin_add_overflow(*number, request.delta, &sum)) {
    pending.error =
        request_error(Fault::invalid, "", request, fmt::format("{} and {} have no sum", *value, request.delta));
    return;
  }
  if (request.verb == Verb::add_if && sum < request.floor) return;
  pending.reply.value = std::to_string(sum);
  pending.reply.rows = 1;
  put(request, pending.reply.value, {"INCRBY", std::string(request.key), std::to_string(request.delta)});
}

std::optional<Error> RedisSession::leave_savepoint(const Request& request) {
  const auto last = std::find_if(savepoints_.rbegin(), savepoints_.rend(),
                                 [&request](const MadeSavepoint& each) { return each.name == request.key; });
  if (last == savepoints_.rend())
    return request_error(Fault::invalid, "", request, fmt::format("there is no savepoint \"{}\"", request.key));
  const bool stays = request.verb == Verb::rollback_to;
  if (stays) {
    own_ = last->own;
    queued_ = last->queued;
  }
  savepoints_.erase(stays ? last.base() : std::prev(last.base()), savepoints_.end());
  return std::nullopt;
}

/// Of the transaction nothing is left here; the server has forgotten what was watched, or was told to.
void RedisSession::end() {
  own_.clear();
  seen_.clear();
  watched_.clear();
  queued_.clear();
  savepoints_.clear();
  in_transaction_ = in_own_multi_ = watches_by_itself_ = false;
}

}  // namespace lockstep::redis
