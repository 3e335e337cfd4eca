// database.cc: requests on their way to a session, and their names.
#include "engine/actor/database.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/actor/actor.h"
#include "engine/actor/results.h"
#include "engine/actor/run_state.h"
#include "engine/store/statement_text.h"

namespace lockstep {

std::int64_t Value::number() const noexcept {
  std::int64_t number = 0;
  if (text_) std::from_chars(text_->data(), text_->data() + text_->size(), number);
  return number;
}

bool StoreOperation::attempt() {
  if (session_ == nullptr) {
    error = Error{Fault::unsupported, {}, "this run has no store"};
    return true;
  }
  if (actor().run.footprint != nullptr) touch_before(*actor().run.footprint);
  const bool finished = session_->attempt(pending_, *this);
  tell_notices();
  if (!finished) {
    if (Footprint* const footprint = actor().run.footprint) touch_wait(*footprint);
    return false;
  }
  if (pending_.error) error = std::move(pending_.error);
  if (error && actor().run.footprint != nullptr) touch_fault(*actor().run.footprint);
  switch (pending_.request.verb) {
    case Verb::begin:
    case Verb::commit:
    case Verb::abort:
      actor().note_transaction(pending_.request.verb, error);
      break;
    case Verb::execute:
      note_statement();
      break;
    default:
      break;
  }
  return true;
}

/// What a statement in SQL did to the transaction as a whole.
void StoreOperation::note_statement() {
  const bool was_open = actor().transaction_open(), is_open = session_->in_transaction();
  if (!was_open && is_open) actor().note_transaction(Verb::begin, std::nullopt);
  if (was_open && !is_open) {
    const bool committed = !error && !pending_.reply.rolled_back;
    actor().note_transaction(committed ? Verb::commit : Verb::abort, std::nullopt);
  }
  if (!error && pending_.reply.autocommitted) actor().note_autocommit();
}

void StoreOperation::tell_notices() {
  for (Notice& notice : pending_.notices) {
    actor().emit({.kind = record::EventKind::notice,
                  .verb = std::move(notice.severity),
                  .detail = std::move(notice.text),
                  .facts = std::move(notice.facts)});
  }
  pending_.notices.clear();
}

Facts StoreOperation::facts_asked() const {
  if (session_ == nullptr || pending_.request.verb == Verb::execute) return {};
  Facts facts;
  if (std::string statement = session_->statement_of(pending_.request); !statement.empty())
    facts.emplace_back("sql", std::move(statement));
  if (pending_.request.limit != SIZE_MAX) facts.emplace_back("limit", std::to_string(pending_.request.limit));
  return facts;
}

Facts StoreOperation::facts_answered() const {
  Facts facts = Operation::facts_answered();
  if (!pending_.reply.results.empty()) facts.emplace_back("results", results_json(pending_.reply.results));
  return facts;
}

void StoreOperation::cancel(Fault why) {
  if (actor().run.footprint != nullptr) touch_wait_given_up(actor());
  session_->cancel(pending_, why);
}

bool StoreOperation::cycle_is_broken_by_store() const {
  const ProtocolTraits* const protocol = actor().run.protocol;
  return protocol != nullptr && protocol->deadlocks != DeadlockBreaking::none;
}

void StoreOperation::touch_wait(Footprint& footprint) const {
  const ProtocolTraits& protocol = *actor().run.protocol;
  // In a store that looks for cycles, every wait may be the one that closes a cycle.
  if (protocol.deadlocks != DeadlockBreaking::none) footprint.global("waits", Touch::changes);
  touch_wait_begun(actor());
  if (protocol.scope == ConflictScope::wounds) footprint.global("wounds", Touch::changes);
  // It stands in a queue now. The order of the queue decides which of several goes on first.
  const Request& request = pending_.request;
  if (request.verb == Verb::scan || request.verb == Verb::scan_for_update) {
    footprint.range(actor().index, request.key, request.upper, Touch::changes);
  } else if (!request.key.empty()) {
    footprint.key(actor().index, request.key, Touch::changes);
  }
  session_->touch_gaps(request, true, footprint);
}

void StoreOperation::touch_fault(Footprint& footprint) const {
  // A transaction that was given up has given back its locks.
  footprint.change_held(actor().index);
  // A request that would close a cycle fails at once, for all the waits that the cycle has.
  if (cycle_is_broken_by_store()) footprint.global("waits", Touch::changes);
}

void StoreOperation::touch_before(Footprint& footprint) const {
  const Request& request = pending_.request;
  const int index = actor().index;
  const ProtocolTraits& protocol = *actor().run.protocol;
  switch (request.verb) {
    case Verb::begin:
      // Age decides which transaction gives up.
      if (protocol.begin_order_matters) footprint.global("ages", Touch::changes);
      break;
    case Verb::read:
      footprint.key(index, request.key, Touch::looks);
      break;
    case Verb::scan:
      footprint.range(index, request.key, request.upper, Touch::looks);
      break;
    case Verb::scan_for_update:
      footprint.range(index, request.key, request.upper, Touch::changes);
      break;
    case Verb::savepoint:
    case Verb::release:
    case Verb::reset:
      break;
    case Verb::rollback_to:
      footprint.touch_held(index);
      break;
    case Verb::commit:
    case Verb::abort:
      footprint.end_transaction(index);
      break;
    default:
      footprint.key(index, request.key, Touch::changes);
      break;
  }
  session_->touch_gaps(request, false, footprint);
  if (protocol.scope == ConflictScope::wounds) footprint.global("wounds", Touch::looks);
  if (protocol.scope == ConflictScope::store) footprint.global("store", Touch::changes);
  if (protocol.scope == ConflictScope::snapshot) {
    footprint.global("commits", request.verb == Verb::commit ? Touch::changes : Touch::looks);
  }
}

Description StoreOperation::describe() const {
  const Request& request = pending_.request;
  Description described{.verb = std::string(name_of(request.verb)), .object = std::string(request.key), .detail = {}};
  switch (request.verb) {
    case Verb::begin:
      if (!request.claims.empty()) described.detail = fmt::format("claims {}", fmt::join(request.claims, ", "));
      break;
    case Verb::write:
    case Verb::insert:
      described.detail = request.value;
      break;
    case Verb::write_if:
      described.detail = fmt::format("{} if {}", request.value, request.expected);
      break;
    case Verb::add:
      described.detail = fmt::format("{:+}", request.delta);
      break;
    case Verb::add_if:
      described.detail = fmt::format("{:+} if >= {}", request.delta, request.floor);
      break;
    case Verb::scan:
    case Verb::scan_for_update:
      described.object = fmt::format("[{}, {})", request.key, request.upper.empty() ? "end" : request.upper);
      break;
    default:
      break;
  }
  return described;
}

std::string StoreOperation::answer() const {
  const Reply& reply = pending_.reply;
  const bool is_sql = pending_.request.verb == Verb::execute;
  const std::string_view sql = pending_.request.key;
  const auto rows = [&] { return fmt::format("{} row{}", reply.rows, reply.rows == 1 ? "" : "s"); };
  switch (pending_.request.verb) {
    case Verb::read:
    case Verb::read_for_update:
    case Verb::add:
      return reply.value.value_or("nothing");
    case Verb::write_if:
    case Verb::add_if:
    case Verb::erase:
      return rows();
    case Verb::scan:
    case Verb::scan_for_update:
    case Verb::execute: {
      if (reply.rolled_back) return "rolled back";
      if (reply.table.empty()) return reply.rows > 0 || !is_sql || tells_rows(sql) ? rows() : std::string();
      std::string text;
      for (const auto& row : reply.table) {
        if (!text.empty()) text += "; ";
        if (text.size() > 60) return text + "…";
        for (std::size_t i = 0; i < row.size(); ++i) {
          if (i > 0) text += "=";
          text += row[i].value_or("null");
        }
      }
      return text;
    }
    default:
      return {};
  }
}

}  // namespace lockstep
