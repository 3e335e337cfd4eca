// statement.h: what a task sends to PostgreSQL and gets back: statements, their parameters, rows.
//
// Thread-safe: no state is shared. Nothing waits.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/stores/postgres/connection.h"

namespace lockstep::runtime {

/// A statement that each connection prepares as it begins; a constant of the program, as a rule.
struct PgStatement {
  const char* name;         ///< by which the server knows it
  const char* sql;          ///< one statement, with $1, $2 … for its parameters
  bool only_reads = false;  ///< when its answer is lost, nothing is in doubt
};

/// Values for $1, $2 …, sent as text. Numbers are written into place. Texts are not copied. They must live until the
/// statement has been sent, which is before the awaiting task is suspended. nullptr is NULL.
class PgParameters {
 public:
  static constexpr std::size_t kMax = 6;

  template <class... Values>
  explicit PgParameters(const Values&... values) noexcept {
    static_assert(sizeof...(Values) <= kMax, "more parameters than PgParameters::kMax");
    (add(values), ...);
  }
  PgParameters(const PgParameters&) = delete;
  PgParameters& operator=(const PgParameters&) = delete;

  int count() const noexcept { return count_; }
  const char* const* values() const noexcept { return values_.data(); }
  /// A text with a zero byte, which PostgreSQL cannot store.
  bool has_zero_byte() const noexcept { return has_zero_byte_; }

 private:
  template <std::integral Number>
  void add(Number number) noexcept {
    std::array<char, 21>& digits = digits_[static_cast<std::size_t>(count_)];
    *std::to_chars(digits.data(), digits.data() + digits.size() - 1, number).ptr = '\0';
    put(digits.data());
  }
  void add(const char* text) noexcept { put(text); }
  void add(const std::string& text) noexcept {
    has_zero_byte_ = has_zero_byte_ || text.find('\0') != std::string::npos;
    put(text.c_str());
  }
  void add(std::nullptr_t) noexcept { put(nullptr); }
  void put(const char* value) noexcept { values_[static_cast<std::size_t>(count_++)] = value; }

  std::array<const char*, kMax> values_{};
  std::array<std::array<char, 21>, kMax> digits_;  // a sign, 19 digits, the end; not filled before they are needed
  int count_ = 0;
  bool has_zero_byte_ = false;
};

/// The answer to one statement. Owns libpq's memory of it; texts point into that.
class PgRows {
 public:
  PgRows() = default;
  explicit PgRows(postgres::Answer answer) noexcept : answer_(std::move(answer)) {}

  /// How many rows it gave.
  int size() const noexcept { return answer_ == nullptr ? 0 : ::PQntuples(answer_.get()); }
  /// nullopt = NULL. Row and column count from 0 and exist.
  std::optional<std::string_view> text(int row, int column) const noexcept {
    if (::PQgetisnull(answer_.get(), row, column) != 0) return std::nullopt;
    return std::string_view(::PQgetvalue(answer_.get(), row, column),
                            static_cast<std::size_t>(::PQgetlength(answer_.get(), row, column)));
  }
  /// nullopt = NULL, or not a whole number.
  std::optional<std::int64_t> number(int row, int column) const noexcept {
    const std::optional<std::string_view> digits = text(row, column);
    std::int64_t value = 0;
    if (!digits || std::from_chars(digits->data(), digits->data() + digits->size(), value).ec != std::errc()) {
      return std::nullopt;
    }
    return value;
  }
  /// Rows that it changed, or gave.
  std::int64_t touched() const noexcept {
    return answer_ == nullptr ? 0 : std::strtoll(::PQcmdTuples(answer_.get()), nullptr, 10);
  }
  /// "UPDATE 1", "COMMIT".
  std::string_view tag() const noexcept { return answer_ == nullptr ? "" : ::PQcmdStatus(answer_.get()); }

 private:
  postgres::Answer answer_;
};

}  // namespace lockstep::runtime
