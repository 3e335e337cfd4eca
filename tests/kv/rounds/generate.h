// generate.h: random rounds.
//
// Each round leaves out most verbs and keys at random (swarm testing: Groce et al., ISSTA 2012), because what goes
// wrong needs three or four verbs in one order, which are rare among eleven. And a program is made of phrases: a verb,
// a verb that is undone, a look that is repeated.
#pragma once

#include <algorithm>

#include "tests/kv/rounds/round.h"

namespace lockstep::kv::rounds {

/// What one round is made of.
struct Mix {
  std::vector<Operation::Kind> kinds;  ///< but for savepoints
  std::size_t keys = kKeys;
  std::size_t longest = 6;         ///< program
  std::size_t whole_scans_in = 3;  ///< one bound in so many is none
  std::size_t retries_in = 3;
  bool savepoints = false;
};

inline Mix random_mix(Dice& dice) {
  Mix mix;
  const std::size_t wanted = 2 + dice.below(4);
  while (mix.kinds.size() < wanted) {
    const auto kind = static_cast<Operation::Kind>(dice.below(Operation::savepoint));
    if (std::find(mix.kinds.begin(), mix.kinds.end(), kind) == mix.kinds.end()) mix.kinds.push_back(kind);
  }
  mix.keys = dice.one_in(3) ? 1 + dice.below(kKeys) : 1 + dice.below(2);
  mix.longest = 3 + dice.below(6);
  mix.whole_scans_in = 1 + dice.below(4);
  mix.retries_in = 1 + dice.below(4);
  mix.savepoints = !dice.one_in(3);
  return mix;
}

inline Operation random_operation(Dice& dice, const Mix& mix, std::size_t actor, std::size_t at) {
  Operation op;
  op.kind = mix.kinds[dice.below(mix.kinds.size())];
  op.key = static_cast<std::uint8_t>(dice.below(mix.keys));
  op.value = written_value(actor, at);
  // Mostly what may be there.
  op.expected = dice.one_in(3) ? written_value(dice.below(3), dice.below(mix.longest)) : first_value(op.key);
  op.name = static_cast<std::uint8_t>(dice.one_in(4) ? 1 : 0);
  if (!op.is_scan()) return op;
  const auto bound = [&] {
    return dice.one_in(mix.whole_scans_in) ? Bound{0} : static_cast<Bound>(1 + dice.below(2 * mix.keys + 1));
  };
  op.from = bound();
  op.to = bound();
  if (op.to != 0 && op.to < op.from) std::swap(op.from, op.to);
  op.limit = static_cast<std::uint8_t>(dice.one_in(3) ? dice.below(4) : kKeys);
  return op;
}

class ProgramMaker {
 public:
  ProgramMaker(Dice& dice, const Mix& mix, std::size_t actor) : dice_(dice), mix_(mix), actor_(actor) {}

  Program make() {
    const std::size_t length = 1 + dice_.below(mix_.longest);
    while (operations_.size() < length) add_phrase();
    Program program;
    program.operations = std::move(operations_);
    program.aborts = dice_.one_in(12);
    program.retries = static_cast<std::uint8_t>(dice_.one_in(mix_.retries_in) ? 1 : 0);
    program.claims_all = dice_.one_in(4);
    return program;
  }

 private:
  void add_phrase() {
    if (mix_.savepoints && dice_.one_in(4)) return add_undone();
    if (mix_.savepoints && dice_.one_in(12)) return add_about_savepoint(Operation::savepoint + dice_.below(3));
    if (dice_.one_in(4) && repeat()) return;
    add_one();
  }
  void add_one() { operations_.push_back(random_operation(dice_, mix_, actor_, operations_.size())); }
  void add_about_savepoint(std::size_t kind) {
    Operation op;
    op.kind = static_cast<Operation::Kind>(kind);
    op.name = static_cast<std::uint8_t>(dice_.one_in(4) ? 1 : 0);
    operations_.push_back(op);
  }
  void add_undone() {
    add_about_savepoint(Operation::savepoint);
    const std::uint8_t name = operations_.back().name;
    for (std::size_t count = 1 + dice_.below(2); count > 0; --count) add_one();
    add_about_savepoint(dice_.one_in(5) ? Operation::release : Operation::rollback_to);
    operations_.back().name = name;
  }
  /// A look at what the program has looked at before.
  bool repeat() {
    if (operations_.empty()) return false;
    const Operation op = operations_[dice_.below(operations_.size())];
    const bool looks = op.is_scan() || op.kind == Operation::read || op.kind == Operation::read_for_update;
    if (looks) operations_.push_back(op);
    return looks;
  }

  Dice& dice_;
  const Mix& mix_;
  const std::size_t actor_;
  std::vector<Operation> operations_;
};

/// Without its steps, which are drawn while it runs.
inline Round random_round(Dice& dice) {
  Round round;
  const Mix mix = random_mix(dice);
  const std::size_t rows_one_in = 1 + dice.below(4);
  for (std::size_t key = 0; key < mix.keys; ++key)
    if (dice.one_in(rows_one_in)) round.before[key] = first_value(key);
  const std::size_t actors = dice.one_in(2) ? 2 : 3;
  for (std::size_t actor = 0; actor < actors; ++actor) round.programs.push_back(ProgramMaker(dice, mix, actor).make());
  return round;
}

/// Draws steps: in some rounds no transaction is disturbed from outside, and in some each goes on for a while.
class Steps {
 public:
  explicit Steps(Dice& dice) : dice_(dice), kills_(dice.one_in(3)), stays_(dice.below(4)) {}

  /// `open`: the actors that are not over.
  Step draw(const std::uint8_t* open, std::size_t count) {
    const bool stays = stays_ > 0 && dice_.below(4) < stays_ && std::find(open, open + count, last_) != open + count;
    if (!stays) last_ = open[dice_.below(count)];
    const std::size_t side = kills_ ? dice_.below(24) : 24;
    return {last_, side == 0 ? Step::abort : side <= 2 ? Step::cancel : Step::go};
  }

 private:
  Dice& dice_;
  const bool kills_;
  const std::size_t stays_;
  std::uint8_t last_ = 0;
};

}  // namespace lockstep::kv::rounds
