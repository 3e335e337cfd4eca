// histories.h: random small transactions, how to run them, and whether what they saw can be explained.
//
// The model is a map. A committed set of transactions is serializable when some order of them, each run alone on the
// model, gives every answer that the store gave and the same final rows. With a handful of transactions every order can
// be tried, so the check is exact.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "kv/store.h"

namespace lockstep::kv::testing {

using Model = std::map<std::string, std::string>;
using Random = std::mt19937_64;

struct Operation {
  enum Kind { read, read_for_update, write, insert, write_if, erase, scan, scan_for_update, savepoint, rollback_to };
  static constexpr int kKinds = 10;
  Kind kind = read;
  std::string key;  // also the lower bound of a scan and the name of a savepoint
  std::string to;   // the upper bound of a scan
  std::size_t limit = 0;
  std::string expected;  // of write_if
  std::string value;
};
using Program = std::vector<Operation>;

/// What became of one transaction: its answers, as text.
struct Outcome {
  bool committed = false;
  std::optional<Fault> fault;
  std::vector<std::string> answers;
  int commits_before_first_operation = 0;
  int commit_number = 0;  // 1 = the first to commit
};

inline std::string text_of(const std::vector<Row>& rows) {
  std::string text = "[";
  for (const Row& row : rows) text += row.key + "=" + row.value + " ";
  return text + "]";
}

/// The answer of the store to one operation.
inline Attempt<std::string> attempt(Transaction& txn, const Operation& op, Waiter& waiter) {
  const auto found = [](Attempt<bool> a, const std::string& value) -> Attempt<std::string> {
    if (!a) return std::nullopt;
    if (!a->ok()) return Result<std::string>(a->error());
    return Result<std::string>(**a ? "yes " + value : std::string("no"));
  };
  const auto done = [](const Attempt<void>& a, std::string answer) -> Attempt<std::string> {
    if (!a) return std::nullopt;
    if (!a->ok() && a->fault() == Fault::constraint) return Result<std::string>(std::string("constraint"));
    if (!a->ok()) return Result<std::string>(a->error());
    return Result<std::string>(std::move(answer));
  };
  std::string value;
  std::vector<Row> rows;
  // The call comes first: the order in which arguments are evaluated is open.
  switch (op.kind) {
    case Operation::read: {
      auto a = txn.read(op.key, value, waiter);
      return found(std::move(a), value);
    }
    case Operation::read_for_update: {
      auto a = txn.read_for_update(op.key, value, waiter);
      return found(std::move(a), value);
    }
    case Operation::write:
      return done(txn.write(op.key, op.value, waiter), "ok");
    case Operation::insert:
      return done(txn.insert(op.key, op.value, waiter), "ok");
    case Operation::write_if:
      return found(txn.write_if(op.key, op.expected, op.value, waiter), "");
    case Operation::erase:
      return found(txn.erase(op.key, waiter), "");
    case Operation::scan: {
      const auto a = txn.scan(op.key, op.to, op.limit, rows, waiter);
      return done(a, text_of(rows));
    }
    case Operation::scan_for_update: {
      const auto a = txn.scan_for_update(op.key, op.to, op.limit, rows, waiter);
      return done(a, text_of(rows));
    }
    case Operation::savepoint:
      return done(txn.savepoint(op.key), "ok");
    case Operation::rollback_to:
      return done(txn.rollback_to(op.key), "ok");
  }
  return std::nullopt;
}

/// One transaction alone on the model.
class ModelRun {
 public:
  explicit ModelRun(Model& model) : model_(model) {}

  std::string apply(const Operation& op) {
    const auto it = model_.find(op.key);
    const bool there = it != model_.end();
    switch (op.kind) {
      case Operation::read:
      case Operation::read_for_update:
        return there ? "yes " + it->second : "no";
      case Operation::write:
        model_[op.key] = op.value;
        return "ok";
      case Operation::insert:
        if (there) return "constraint";
        model_[op.key] = op.value;
        return "ok";
      case Operation::write_if:
        if (!there || it->second != op.expected) return "no";
        it->second = op.value;
        return "yes ";
      case Operation::erase:
        if (there) model_.erase(it);
        return there ? "yes " : "no";
      case Operation::scan:
      case Operation::scan_for_update: {
        std::vector<Row> rows;
        for (auto row = model_.lower_bound(op.key); row != model_.end() && rows.size() < op.limit; ++row)
          if (op.to.empty() || row->first < op.to) rows.push_back(Row{row->first, row->second});
        return text_of(rows);
      }
      case Operation::savepoint:
        savepoints_.emplace_back(op.key, model_);
        return "ok";
      case Operation::rollback_to:
        while (!savepoints_.empty() && savepoints_.back().first != op.key) savepoints_.pop_back();
        if (!savepoints_.empty()) model_ = savepoints_.back().second;
        return "ok";
    }
    return {};
  }

 private:
  Model& model_;
  std::vector<std::pair<std::string, Model>> savepoints_;
};

/// True when `program` alone on `model` gives `answers`; `model` is then as it leaves it.
inline bool replays(const Program& program, const std::vector<std::string>& answers, Model& model) {
  ModelRun run(model);
  for (std::size_t i = 0; i < program.size(); ++i)
    if (run.apply(program[i]) != answers[i]) return false;
  return true;
}

inline bool is_serializable(const Model& before, const std::vector<Program>& programs,
                            const std::vector<Outcome>& outcomes, const Model& after) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < programs.size(); ++i)
    if (outcomes[i].committed) order.push_back(i);
  do {
    Model model = before;
    const bool fits = std::all_of(order.begin(), order.end(),
                                  [&](std::size_t i) { return replays(programs[i], outcomes[i].answers, model); });
    if (fits && model == after) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

inline const std::vector<std::string>& domain() {
  static const std::vector<std::string> keys = {"a", "b", "c", "d"};
  return keys;
}

inline std::string any_key(Random& random) { return domain()[random() % domain().size()]; }

inline Operation random_operation(Random& random, const std::string& value) {
  Operation op;
  op.kind = static_cast<Operation::Kind>(random() % Operation::kKinds);
  op.key = any_key(random);
  op.value = value;
  op.expected = "start";
  if (op.kind == Operation::scan || op.kind == Operation::scan_for_update) {
    if (random() % 3 == 0) op.key.clear();
    if (random() % 3 != 0) op.to = any_key(random);
    op.limit = random() % 2 == 0 ? 100 : 1 + random() % 3;
  }
  if (op.kind == Operation::savepoint) op.key = "s";
  if (op.kind == Operation::rollback_to) op.key = "s";
  return op;
}

inline Program random_program(Random& random, int transaction) {
  Program program;
  bool has_savepoint = false;
  const std::size_t length = 1 + random() % 5;
  while (program.size() < length) {
    Operation op = random_operation(random, fmt::format("{}.{}", transaction, program.size()));
    if (op.kind == Operation::rollback_to && !has_savepoint) continue;
    has_savepoint |= op.kind == Operation::savepoint;
    program.push_back(std::move(op));
  }
  return program;
}

inline Model random_rows(Random& random) {
  Model rows;
  for (const std::string& key : domain())
    if (random() % 2 == 0) rows[key] = "start";
  return rows;
}

inline std::string describe(const Operation& op) {
  static const char* const names[] = {"read", "read_for_update", "write",     "insert",     "write_if", "erase",
                                      "scan", "scan_upd",        "savepoint", "rollback_to"};
  return fmt::format("{}({},{},{},{})", names[op.kind], op.key, op.to, op.limit, op.value);
}

inline std::string describe(const Model& before, const std::vector<Program>& programs,
                            const std::vector<Outcome>& outcomes, const Model& after) {
  std::string text = "before:";
  for (const auto& [key, value] : before) text += fmt::format(" {}={}", key, value);
  for (std::size_t i = 0; i < programs.size(); ++i) {
    text += fmt::format("\nT{} {}", i, outcomes[i].committed ? "committed" : "did not commit");
    for (std::size_t j = 0; j < programs[i].size(); ++j)
      text += fmt::format("\n   {} -> {}", describe(programs[i][j]),
                          j < outcomes[i].answers.size() ? outcomes[i].answers[j] : "?");
  }
  text += "\nafter:";
  for (const auto& [key, value] : after) text += fmt::format(" {}={}", key, value);
  return text;
}

}  // namespace lockstep::kv::testing
