// database.h: a store as a scenario body sees it: `co_await c.db.begin()`, `read`, `write`, `commit`, `abort`.
//
// Every call is one operation: awaited once, it gives its value or ends the task with its fault (task.h). The views
// given must stay valid until then, which they do when they are arguments or locals of the body.
#pragma once

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/actor/operation.h"
#include "engine/store/sql.h"

namespace lockstep {

/// What a key holds: text, which may be a number, or nothing.
class Value {
 public:
  Value() = default;
  explicit Value(std::optional<std::string> text) : text_(std::move(text)) {}

  bool exists() const noexcept { return text_.has_value(); }
  /// Empty when the key does not exist.
  std::string text() const { return text_.value_or(std::string()); }
  /// 0 when it is not a number.
  std::int64_t number() const noexcept;
  operator std::int64_t() const noexcept { return number(); }  // implicit: bodies read as prose
  friend bool operator==(const Value& value, const char* text) { return value.text_ && *value.text_ == text; }
  friend bool operator==(const Value& value, std::string_view text) { return value.text_ && *value.text_ == text; }

 private:
  std::optional<std::string> text_;
};

/// A number or text to write, formatted in place.
class Written {
 public:
  Written(std::string_view text) : text_(text) {}
  Written(const std::string& text) : text_(text) {}
  Written(const char* text) : text_(text) {}
  template <std::integral T>
  Written(T number) : number_(static_cast<std::int64_t>(number)), is_number_(true) {}

  /// The text; a number is formatted into `digits`, which must outlive the view.
  std::string_view view(char (&digits)[24]) const noexcept {
    if (!is_number_) return text_;
    const auto end = std::to_chars(digits, digits + sizeof digits, number_).ptr;
    return {digits, static_cast<std::size_t>(end - digits)};
  }

 private:
  std::string_view text_;
  std::int64_t number_ = 0;
  bool is_number_ = false;
};

/// One request to the actor's session.
class StoreOperation : public AwaitableOperation {
 public:
  explicit StoreOperation(const std::unique_ptr<Session>& session, const Request& request) : session_(session) {
    pending_.request = request;
  }

  bool attempt() final;
  void cancel(Fault why) final;
  const Waiting& waiting() const final { return pending_.waiting; }
  std::vector<Blocker> blockers() final { return session_->blockers(pending_); }
  bool cycle_is_broken_by_store() const final;
  Arrival arrival() final { return session_->arrival(); }
  bool has_limit_elsewhere() const final { return session_ != nullptr && session_->has_limit(); }
  bool may_block() const final { return session_ != nullptr && session_->blocks(); }
  bool is_cleanup() const final { return pending_.request.verb == Verb::abort || pending_.request.verb == Verb::reset; }
  Verb verb() const noexcept { return pending_.request.verb; }
  /// For a search: what the next attempt touches.
  void touch_before(Footprint& footprint) const;
  Description describe() const final;
  std::string answer() const final;
  Facts facts_asked() const final;
  Facts facts_answered() const final;

 protected:
  ~StoreOperation() = default;
  void note_statement();
  void tell_notices();
  /// What it touches besides when it has to wait.
  void touch_wait(Footprint& footprint) const;
  /// What it touches besides when it fails.
  void touch_fault(Footprint& footprint) const;

  const std::unique_ptr<Session>& session_;
  Pending pending_;
  char digits_[2][24];  ///< numbers that are written or expected
};

/// A StoreOperation that gives a T.
template <class T>
class [[nodiscard]] StoreCall final : public StoreOperation {
 public:
  StoreCall(const std::unique_ptr<Session>& session, const Request& request) : StoreOperation(session, request) {}
  StoreCall(const std::unique_ptr<Session>& session, Request request, Written value, Written expected = "")
      : StoreOperation(session, request) {
    pending_.request.value = value.view(digits_[0]);
    pending_.request.expected = expected.view(digits_[1]);
  }

  T await_resume() {
    if constexpr (std::is_same_v<T, Value>) {
      return Value(std::move(pending_.reply.value));
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return pending_.reply.rows;
    } else if constexpr (std::is_same_v<T, Table>) {
      return std::move(pending_.reply.table);
    }
  }
};

class Database {
 public:
  /// `session` outlives it and may be set later; so does the text of `store`, the name of the session's store.
  explicit Database(const std::unique_ptr<Session>& session, std::string_view store = {})
      : session_(session), store_(store) {}

  /// `claims`: every key that the transaction may lock, for protocols that want to know up front (the banker's).
  StoreCall<void> begin(std::span<const std::string> claims = {}) {
    return {session_, {.verb = Verb::begin, .claims = claims}};
  }
  StoreCall<Value> read(std::string_view key) { return {session_, {.verb = Verb::read, .key = key}}; }
  StoreCall<Value> read_for_update(std::string_view key) {
    return {session_, {.verb = Verb::read_for_update, .key = key}};
  }
  /// Inserts or overwrites.
  StoreCall<void> write(std::string_view key, Written value) {
    return {session_, {.verb = Verb::write, .key = key}, value};
  }
  /// Fault::constraint when the key exists.
  StoreCall<void> insert(std::string_view key, Written value) {
    return {session_, {.verb = Verb::insert, .key = key}, value};
  }
  /// Overwrites when the key holds `expected`: gives the rows touched, 0 or 1.
  StoreCall<std::int64_t> write_if(std::string_view key, Written expected, Written value) {
    return {session_, {.verb = Verb::write_if, .key = key}, value, expected};
  }
  /// value := value + delta in one statement; gives the new value.
  StoreCall<Value> add(std::string_view key, std::int64_t delta) {
    return {session_, {.verb = Verb::add, .key = key, .delta = delta}};
  }
  /// add() if the result is at least `floor`: gives the rows touched, 0 or 1 (a conditional update).
  StoreCall<std::int64_t> add_if(std::string_view key, std::int64_t delta, std::int64_t floor) {
    return {session_, {.verb = Verb::add_if, .key = key, .delta = delta, .floor = floor}};
  }
  /// Gives the rows touched, 0 or 1.
  StoreCall<std::int64_t> erase(std::string_view key) { return {session_, {.verb = Verb::erase, .key = key}}; }
  /// The rows with from <= key < to (an empty `to`: no end) as key and value.
  StoreCall<Table> scan(std::string_view from, std::string_view to, std::size_t limit = SIZE_MAX) {
    return {session_, {.verb = Verb::scan, .key = from, .upper = to, .limit = limit}};
  }
  StoreCall<Table> scan_for_update(std::string_view from, std::string_view to, std::size_t limit = SIZE_MAX) {
    return {session_, {.verb = Verb::scan_for_update, .key = from, .upper = to, .limit = limit}};
  }
  /// A statement in the store's SQL, or in the words that `sql` has for this store; gives its rows. Only where the
  /// pattern's stores have SQL.
  StoreCall<Table> execute(const Sql& sql) { return {session_, {.verb = Verb::execute, .key = sql.text_on(store_)}}; }
  /// execute() for a statement without rows: gives the number of rows touched.
  StoreCall<std::int64_t> execute_count(const Sql& sql) {
    return {session_, {.verb = Verb::execute, .key = sql.text_on(store_)}};
  }
  StoreCall<void> savepoint(std::string_view name) { return {session_, {.verb = Verb::savepoint, .key = name}}; }
  StoreCall<void> rollback_to(std::string_view name) { return {session_, {.verb = Verb::rollback_to, .key = name}}; }
  StoreCall<void> release(std::string_view name) { return {session_, {.verb = Verb::release, .key = name}}; }
  StoreCall<void> commit() { return {session_, {.verb = Verb::commit}}; }
  StoreCall<void> abort() { return {session_, {.verb = Verb::abort}}; }
  /// Gives back what the session keeps beyond its transactions, such as locks of the session.
  StoreCall<void> reset() { return {session_, {.verb = Verb::reset}}; }

 private:
  const std::unique_ptr<Session>& session_;
  std::string_view store_;
};

}  // namespace lockstep
