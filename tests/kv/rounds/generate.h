// generate.h: random rounds.
//
// Each round leaves out most verbs and keys at random (swarm testing: Groce et al., ISSTA 2012), because what goes
// wrong needs three or four verbs in one order, which are rare among eleven. And a program is made of phrases: a verb,
// a verb that is undone, a look that is repeated.
#pragma once

#include <algorithm>
#include <iterator>

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

/// How the steps of a round are drawn.
enum class Style : std::uint8_t {
  mixed,
  visits,  ///< the first transaction looks and looks again, and between two looks others come and go
  few,     ///< three short programs of one way to look and one to write, on two keys: cycles of dependencies
};
inline Style style_of(std::uint64_t seed) {
  constexpr Style kStyles[] = {Style::mixed, Style::few, Style::mixed, Style::mixed,
                               Style::mixed, Style::few, Style::mixed, Style::visits};
  return kStyles[seed % std::size(kStyles)];
}

/// One that looks, and others that change little: what two commits between two looks do to it.
inline Round random_visits(Dice& dice) {
  Round round;
  Mix looks{.kinds = {Operation::read, Operation::scan}, .keys = 1 + dice.below(3), .longest = 3};
  if (dice.one_in(4)) looks.kinds.push_back(Operation::read_for_update);
  if (dice.one_in(4)) looks.kinds.push_back(Operation::write);
  Mix changes = looks;
  changes.kinds = {Operation::write, Operation::erase};
  if (dice.one_in(3)) changes.kinds.push_back(Operation::insert);
  if (dice.one_in(3)) changes.kinds.push_back(Operation::read);
  changes.savepoints = dice.one_in(8);
  for (std::size_t key = 0; key < looks.keys; ++key)
    if (dice.one_in(2)) round.before[key] = first_value(key);
  for (std::size_t actor = 0; actor < 3; ++actor)
    round.programs.push_back(ProgramMaker(dice, actor == 0 ? looks : changes, actor).make());
  for (Program& program : round.programs) program.aborts = false;
  return round;
}

inline Round random_few(Dice& dice) {
  constexpr Operation::Kind kLooks[] = {Operation::read, Operation::scan, Operation::scan_for_update};
  constexpr Operation::Kind kWrites[] = {Operation::write, Operation::insert, Operation::write_if, Operation::erase};
  Round round;
  const Mix mix{.kinds = {dice.one_in(2) ? Operation::read : kLooks[dice.below(std::size(kLooks))],
                          dice.one_in(2) ? Operation::write : kWrites[dice.below(std::size(kWrites))]},
                .keys = dice.one_in(4) ? std::size_t{3} : std::size_t{2},
                .longest = 3,
                .retries_in = 8};
  for (std::size_t key = 0; key < mix.keys; ++key)
    if (dice.one_in(2)) round.before[key] = first_value(key);
  for (std::size_t actor = 0; actor < 3; ++actor) round.programs.push_back(ProgramMaker(dice, mix, actor).make());
  for (Program& program : round.programs) program.aborts = false;
  return round;
}

/// Without its steps, which are drawn while it runs.
inline Round random_round(Dice& dice, Style style) {
  if (style == Style::visits) return random_visits(dice);
  if (style == Style::few) return random_few(dice);
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
  Steps(Dice& dice, Style style)
      : dice_(dice), style_(style), kills_(style == Style::mixed && dice.one_in(3)), stays_(dice.below(4)) {}

  /// `open`: the actors that are not over.
  Step draw(const std::uint8_t* open, std::size_t count) {
    const bool may_stay = std::find(open, open + count, last_) != open + count;
    const bool stays = style_ == Style::visits ? last_ != 0 : stays_ > 0 && dice_.below(4) < stays_;
    if (!stays || !may_stay) last_ = open[dice_.below(count)];
    const std::size_t side = kills_ ? dice_.below(24) : 24;
    return {last_, side == 0 ? Step::abort : side <= 2 ? Step::cancel : Step::go};
  }

 private:
  Dice& dice_;
  const Style style_;
  const bool kills_;
  const std::size_t stays_;  // of four steps
  std::uint8_t last_ = 0;
};

}  // namespace lockstep::kv::rounds
