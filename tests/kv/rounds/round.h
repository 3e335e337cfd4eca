// round.h: one round of kv's histories: up to three programs, the rows that they find, and the steps in which their
// attempts are interleaved. All of it is data, so that a round can be run again, made smaller and printed.
//
// Keys and values are numbers here, and answers are too: an order of transactions is tried in some hundred nanoseconds.
#pragma once

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::kv::rounds {

/// Small and fast (SplitMix64, Steele et al., 2014): a round begins with a seed of its own.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  /// 0 to `sides` - 1.
  std::size_t below(std::size_t sides) { return next() % sides; }
  bool one_in(std::size_t sides) { return below(sides) == 0; }

 private:
  std::uint64_t state_;
};

inline constexpr std::size_t kKeys = 6;
/// 0 = there is no row.
using Value = std::uint8_t;
using Rows = std::array<Value, kKeys>;

/// "b", "d" … "l": between two keys there is room for the bound of a scan.
inline const std::string& key_text(std::size_t key) {
  static const std::array<std::string, kKeys> texts = {"b", "d", "f", "h", "j", "l"};
  return texts[key];
}

/// A bound of a scan: 0 is none, n the n-th letter.
using Bound = std::uint8_t;
inline constexpr Bound kBounds = 14;
inline const std::string& bound_text(Bound bound) {
  static const std::array<std::string, kBounds> texts = {"",  "a", "b", "c", "d", "e", "f",
                                                         "g", "h", "i", "j", "k", "l", "m"};
  return texts[bound];
}
constexpr Bound bound_of_key(std::size_t key) { return static_cast<Bound>(2 * key + 2); }

/// Some values are short enough to lie in the record, some are not.
inline const std::string& value_text(Value value) {
  static const std::array<std::string, 256> texts = [] {
    std::array<std::string, 256> made;
    for (std::size_t i = 0; i < made.size(); ++i)
      made[i] = fmt::format("{}{}", i, i % 3 == 0 ? ", and so long that it needs a block of its own" : "");
    return made;
  }();
  return texts[value];
}
inline Value value_in(std::string_view text) {
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  const bool known = value < 256 && text == value_text(static_cast<Value>(value));
  return known ? static_cast<Value>(value) : Value{255};
}
/// What the round begins with, and what operation `at` of program `actor` writes.
constexpr Value first_value(std::size_t key) { return static_cast<Value>(1 + key); }
constexpr Value written_value(std::size_t actor, std::size_t at) { return static_cast<Value>(16 + 16 * actor + at); }

struct Operation {
  enum Kind : std::uint8_t {
    read,
    read_for_update,
    write,
    insert,
    write_if,
    erase,
    scan,
    scan_for_update,
    savepoint,
    rollback_to,
    release
  };
  static constexpr std::size_t kKinds = 11;
  Kind kind = read;
  std::uint8_t key = 0;
  Bound from = 0;
  Bound to = 0;
  std::uint8_t limit = kKeys;
  Value expected = 0;  ///< of write_if
  Value value = 0;
  std::uint8_t name = 0;  ///< of a savepoint

  bool is_scan() const noexcept { return kind == scan || kind == scan_for_update; }
  bool is_about_savepoints() const noexcept { return kind >= savepoint; }
  bool looks_at_nothing() const noexcept {
    return is_about_savepoints() || (is_scan() && (limit == 0 || (to != 0 && to <= from)));
  }
  bool covers(std::size_t k) const noexcept {
    return is_scan() ? bound_of_key(k) >= from && (to == 0 || bound_of_key(k) < to) : k == key;
  }
};

struct Program {
  std::vector<Operation> operations;
  bool aborts = false;       ///< at its end
  std::uint8_t retries = 0;  ///< after the store has given it up
  bool claims_all = false;   ///< names no key: the banker lets it lock any, and nothing is fetched ahead
};

/// What the driver does next.
struct Step {
  enum Do : std::uint8_t { go, cancel, abort };
  std::uint8_t actor = 0;
  Do what = go;
};

struct Round {
  Rows before{};
  std::vector<Program> programs;
  std::vector<Step> steps;  ///< when they are over, the first that can go on does
};

/// The answer to an operation. Of a read and of a scan: what was there. Otherwise see below.
using Answer = std::uint64_t;
inline constexpr Answer kNo = 0;
inline constexpr Answer kYes = 1;
inline constexpr Answer kExists = 2;      ///< insert: constraint
inline constexpr Answer kNoSuchName = 3;  ///< of a savepoint
inline constexpr Answer kWrong = ~Answer{0};
constexpr Answer answer_with(Value value) { return std::uint64_t{value} << 8; }
constexpr Answer row_in_answer(std::size_t key, Value value) { return std::uint64_t{value} << (8 * (key + 1)); }

/// One transaction alone on the rows that `Base` gives: `base(key)` is asked until the transaction writes the key.
class Alone {
 public:
  /// What the transaction has made of a key; nothing while it has not touched it.
  using Own = std::array<std::optional<Value>, kKeys>;

  template <class Base>
  Answer apply(const Operation& op, Base base) {
    const auto now = [&](std::size_t key) { return own_[key] ? *own_[key] : base(key); };
    switch (op.kind) {
      case Operation::read:
      case Operation::read_for_update: {
        const Value there = now(op.key);
        return there ? kYes | answer_with(there) : kNo;
      }
      case Operation::write:
        own_[op.key] = op.value;
        return kYes;
      case Operation::insert:
        if (now(op.key)) return kExists;
        own_[op.key] = op.value;
        return kYes;
      case Operation::write_if:
        if (now(op.key) == 0 || now(op.key) != op.expected) return kNo;
        own_[op.key] = op.value;
        return kYes;
      case Operation::erase:
        if (!now(op.key)) return kNo;
        own_[op.key] = Value{0};
        return kYes;
      case Operation::scan:
      case Operation::scan_for_update: {
        Answer rows = kYes;
        std::size_t count = 0;
        for (std::size_t key = 0; key < kKeys && count < op.limit; ++key) {
          if (!op.covers(key)) continue;
          const Value there = now(key);
          if (!there) continue;
          rows |= row_in_answer(key, there);
          ++count;
        }
        return rows;
      }
      case Operation::savepoint:
        points_.push_back({op.name, own_});
        return kYes;
      case Operation::rollback_to:
        if (!find(op.name)) return kNoSuchName;
        own_ = points_.back().own;
        return kYes;
      case Operation::release:
        if (!find(op.name)) return kNoSuchName;
        points_.pop_back();
        return kYes;
    }
    return kWrong;
  }

  /// As apply(), when only the answer is known, and not the rows.
  void note(const Operation& op, Answer answer) {
    const auto none = [](std::size_t) { return Value{0}; };
    switch (op.kind) {
      case Operation::write:
      case Operation::insert:
      case Operation::write_if:
        if (answer == kYes) own_[op.key] = op.value;
        return;
      case Operation::erase:
        if (answer == kYes) own_[op.key] = Value{0};
        return;
      case Operation::savepoint:
      case Operation::rollback_to:
      case Operation::release:
        apply(op, none);
        return;
      default:
        return;
    }
  }

  const Own& own() const noexcept { return own_; }
  void add_to(Rows& rows) const {
    for (std::size_t key = 0; key < kKeys; ++key)
      if (own_[key]) rows[key] = *own_[key];
  }

 private:
  struct Point {
    std::uint8_t name;
    Own own;
  };
  /// Drops the points behind the latest with that name.
  bool find(std::uint8_t name) {
    std::size_t size = points_.size();
    while (size > 0 && points_[size - 1].name != name) --size;
    if (size == 0) return false;
    points_.resize(size);
    return true;
  }

  Own own_{};
  std::vector<Point> points_;
};

}  // namespace lockstep::kv::rounds
