// describe.h: operations, answers and rows as people read them.
#pragma once

#include "tests/kv/rounds/round.h"

namespace lockstep::kv::rounds {

inline std::string describe(const Rows& rows) {
  std::string text;
  for (std::size_t key = 0; key < kKeys; ++key)
    if (rows[key]) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key_text(key), rows[key]);
  return text.empty() ? "no rows" : text;
}

inline std::string describe(const Operation& op) {
  const std::string& key = key_text(op.key);
  const auto range = [&op] {
    return fmt::format("[{}, {}){}", op.from ? bound_text(op.from) : "first", op.to ? bound_text(op.to) : "last",
                       op.limit < kKeys ? fmt::format(" at most {}", op.limit) : "");
  };
  switch (op.kind) {
    case Operation::read:
      return "read " + key;
    case Operation::read_for_update:
      return "read for update " + key;
    case Operation::write:
      return fmt::format("write {} {}", key, op.value);
    case Operation::insert:
      return fmt::format("insert {} {}", key, op.value);
    case Operation::write_if:
      return fmt::format("write {} {} if {}", key, op.value, op.expected);
    case Operation::erase:
      return "erase " + key;
    case Operation::scan:
      return "scan " + range();
    case Operation::scan_for_update:
      return "scan for update " + range();
    case Operation::savepoint:
      return fmt::format("savepoint s{}", op.name);
    case Operation::rollback_to:
      return fmt::format("rollback to s{}", op.name);
    case Operation::release:
      return fmt::format("release s{}", op.name);
  }
  return "?";
}

inline std::string describe(const Operation& op, Answer answer) {
  if (answer == kWrong) return "what was never written, or rows out of order";
  if (answer == kNoSuchName) return "no such savepoint";
  if (op.is_scan()) {
    Rows rows{};
    for (std::size_t key = 0; key < kKeys; ++key) rows[key] = static_cast<Value>(answer >> (8 * (key + 1)));
    return describe(rows);
  }
  if (op.kind == Operation::insert && answer == kExists) return "exists";
  const bool has_value = op.kind == Operation::read || op.kind == Operation::read_for_update;
  if (answer == kNo) return has_value ? "not there" : "no";
  return has_value ? fmt::format("{}", (answer >> 8) & 255) : "ok";
}

}  // namespace lockstep::kv::rounds
