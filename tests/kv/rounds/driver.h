// driver.h: runs a round on a store in one thread: one attempt of one transaction a step.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/store.h"
#include "tests/kv/rounds/describe.h"
#include "tests/kv/rounds/generate.h"
#include "tests/kv/rounds/round.h"

namespace lockstep::kv::rounds {

/// One transaction of a round, from its begin to its end. A program that is tried again has several.
struct Run {
  std::size_t actor = 0;
  std::vector<Answer> answers;           ///< of the operations that were answered
  std::vector<std::size_t> answered_at;  ///< for each, how many transactions had committed then
  std::size_t first_look_at = 0;         ///< the same for its first attempt to look at rows
  std::size_t commit = 0;                ///< its place among the commits, from 1 on; 0 = it did not commit
  bool committed() const noexcept { return commit != 0; }
};

/// What happened, and the rows at the end.
struct History {
  std::vector<Run> runs;
  Rows after{};
  std::size_t commits = 0;
  /// What no order of the transactions may excuse: a wait that nobody ends, a lock that stays, a wrong kind of fault.
  std::string fault;
};

/// A line of the account of a round.
using Tell = std::function<void(std::size_t actor, const std::string& what)>;

class Driver {
 public:
  explicit Driver(Store& store, Isolation isolation = Isolation::protocol)
      : store_(store), isolation_(isolation), holds_locks_(store.protocol() != "occ") {}

  /// Draws the steps, and notes them in the round.
  History run(Round& round, Dice& dice, Style style) {
    begin(round);
    Steps steps(dice, style);
    while (const std::optional<Step> step = draw(dice, steps)) {
      round.steps.push_back(*step);
      take(*step);
    }
    return finish();
  }
  /// Takes the steps of the round.
  History run(const Round& round, Tell tell = {}) {
    tell_ = std::move(tell);
    begin(round);
    for (const Step& step : round.steps)
      if (is_possible(step)) take(step);
    while (const std::optional<Step> step = first_possible()) take(*step);
    return finish();
  }

 private:
  void begin(const Round& round) {
    load(round.before);
    actors_.resize(round.programs.size());
    for (std::size_t i = 0; i < actors_.size(); ++i) actors_[i].program = &round.programs[i];
  }
  History finish() {
    check_end();
    history_.after = rows_at_end();
    history_.commits = commits_;
    return std::move(history_);
  }

  /// Woken once at most, and only while the attempt that it was given to is pending.
  struct StepWaiter final : Waiter {
    void wake() noexcept override { ++wakes; }
    int wakes = 0;
    int may_wake = 0;
  };
  struct Actor {
    const Program* program = nullptr;
    Transaction txn;
    std::size_t run = 0;   // in history_.runs
    std::size_t next = 0;  // operation
    TxnId first_attempt = 0;
    std::uint8_t retries = 0;
    bool begun = false;
    bool over = false;
    bool has_looked = false;
    bool waits = false;
    bool cancelled = false;
    StepWaiter* waiter = nullptr;
    std::vector<std::string> claims;
    std::array<bool, kKeys> locked{};  // nobody else may change these until the end of the transaction
  };
  using Name = std::array<const char*, 3>;

  static bool can_go(const Actor& actor) noexcept {
    return !actor.over && (!actor.waits || actor.cancelled || actor.waiter->wakes > 0);
  }
  bool is_possible(const Step& step) const noexcept {
    if (step.actor >= actors_.size()) return false;
    const Actor& actor = actors_[step.actor];
    switch (step.what) {
      case Step::go:
        return can_go(actor);
      case Step::cancel:
        return !actor.over && actor.waits && !actor.cancelled;
      case Step::abort:
        return !actor.over && actor.begun;
    }
    return false;
  }

  std::optional<Step> draw(Dice& dice, Steps& steps) {
    std::array<std::uint8_t, 3> open{};
    std::size_t count = 0;
    bool can_somebody = false;
    for (std::size_t i = 0; i < actors_.size(); ++i) {
      if (actors_[i].over) continue;
      open[count++] = static_cast<std::uint8_t>(i);
      can_somebody |= can_go(actors_[i]);
    }
    if (count == 0) return std::nullopt;
    if (!can_somebody) return stuck(open[dice.below(count)]);
    Step step = steps.draw(open.data(), count);
    while (!is_possible(step)) step = {open[dice.below(count)], Step::go};
    return step;
  }
  std::optional<Step> first_possible() {
    std::optional<std::uint8_t> open;
    for (std::size_t i = actors_.size(); i-- > 0;)
      if (!actors_[i].over) open = static_cast<std::uint8_t>(i);
    if (!open) return std::nullopt;
    for (std::uint8_t i = 0; i < actors_.size(); ++i)
      if (can_go(actors_[i])) return Step{i, Step::go};
    return stuck(*open);
  }
  /// Nobody can go on: the client's patience ends.
  Step stuck(std::uint8_t actor) {
    if (store_.protocol() != "2pl-timeout") fault("everybody waits, and no deadlock was found");
    return {actor, Step::cancel};
  }

  void take(const Step& step) {
    Actor& actor = actors_[step.actor];
    switch (step.what) {
      case Step::go:
        return actor.begun ? go(actor) : begin(actor);
      case Step::cancel:
        actor.cancelled = actor.waiter->wakes == 0;
        actor.txn.cancel_wait(Fault::lock_timeout);
        return say(actor, actor.cancelled ? "waits no longer" : "would wait no longer, but has been woken");
      case Step::abort:
        actor.txn.abort();
        say(actor, "abort");
        return end(actor);
    }
  }

  void begin(Actor& actor) {
    actor.claims.clear();
    if (!actor.program->claims_all) actor.claims = claims_of(*actor.program);
    actor.txn = store_.begin({.label = names()[index_of(actor)],
                              .claims = actor.claims,
                              .claims_all = actor.program->claims_all,
                              .first_attempt = actor.first_attempt,
                              .isolation = isolation_});
    if (actor.first_attempt == 0) actor.first_attempt = actor.txn.id();
    actor.run = history_.runs.size();
    history_.runs.emplace_back().actor = index_of(actor);
    actor.next = 0;
    actor.begun = true;
    actor.has_looked = false;
    actor.locked = {};
    say(actor, "begin");
  }

  void go(Actor& actor) {
    if (actor.waits && actor.waiter->wakes == 0 && !store_.waits_of(actor.txn.id()).empty())
      fault("a wait was cancelled and is still there");
    StepWaiter& waiter = new_waiter(actor);
    actor.waits = actor.cancelled = false;
    if (actor.next == actor.program->operations.size()) return finish(actor, waiter);
    const Operation& op = actor.program->operations[actor.next];
    if (!actor.has_looked && !op.looks_at_nothing()) {
      actor.has_looked = true;
      history_.runs[actor.run].first_look_at = commits_;
    }
    const Attempt<Answer> answer = attempt(actor.txn, op, waiter);
    if (!answer) return wait(actor, waiter, op);
    if (!answer->ok()) {
      say(actor, fmt::format("{} -> {}", describe_if_told(op), lockstep::name_of(answer->fault())));
      return fail(actor, answer->error());
    }
    if (tell_) say(actor, fmt::format("{} -> {}", describe(op), describe(op, **answer)));
    note(actor, op, **answer);
    ++actor.next;
  }

  void wait(Actor& actor, StepWaiter& waiter, const Operation& op) {
    actor.waits = true;
    waiter.may_wake = 1;
    if (store_.protocol() == "occ") fault("occ never waits");
    if (waiter.wakes == 0 && store_.waits_of(actor.txn.id()).empty()) fault("a transaction waits for nobody");
    if (tell_) say(actor, fmt::format("{} -> waits{}", describe(op), waiter.wakes ? ", and is woken" : ""));
  }

  void finish(Actor& actor, StepWaiter& waiter) {
    if (actor.program->aborts) {
      actor.txn.abort();
      say(actor, "abort");
      return end(actor);
    }
    const Attempt<void> answer = actor.txn.commit(waiter);
    if (!answer) return fault("a commit in memory waits");
    if (!answer->ok()) {
      say(actor, fmt::format("commit -> {}", lockstep::name_of(answer->fault())));
      return fail(actor, answer->error());
    }
    history_.runs[actor.run].commit = ++commits_;
    say(actor, "commit");
    check_locks_of_others(actor);
    end(actor);
  }

  void note(Actor& actor, const Operation& op, Answer answer) {
    Run& run = history_.runs[actor.run];
    run.answers.push_back(answer);
    run.answered_at.push_back(commits_);
    if (op.kind == Operation::rollback_to && answer == kYes) actor.locked = {};  // some may have been given back
    if (!holds_locks_) return;
    const bool writes = op.kind == Operation::write || op.kind == Operation::insert || op.kind == Operation::write_if ||
                        op.kind == Operation::erase;
    if ((writes && answer == kYes) || op.kind == Operation::read_for_update) actor.locked[op.key] = true;
    if (op.kind == Operation::scan_for_update)
      for (std::size_t key = 0; key < kKeys; ++key)
        if (answer >> (8 * (key + 1)) & 255) actor.locked[key] = true;
  }

  /// What the transaction that has just committed has written, no other one may have locked.
  void check_locks_of_others(const Actor& committed) {
    if (!holds_locks_) return;
    Alone alone;
    const Run& run = history_.runs[committed.run];
    for (std::size_t i = 0; i < run.answers.size(); ++i) alone.note(committed.program->operations[i], run.answers[i]);
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (!alone.own()[key]) continue;
      for (const Actor& other : actors_)
        if (&other != &committed && other.begun && !other.over && other.locked[key])
          fault(fmt::format("{} committed a write of {}, which {} had locked", names()[index_of(committed)],
                            key_text(key), names()[index_of(other)]));
    }
  }
  void fail(Actor& actor, const Error& error) {
    if (!is_retry_safe(error.fault)) fault(fmt::format("{}: {}", lockstep::name_of(error.fault), error.message));
    if (error.message.empty()) fault("a fault says nothing");
    std::string value;
    StepWaiter& waiter = new_waiter(actor);
    const Attempt<bool> again = actor.txn.read(key_text(0), value, waiter);
    if (!again || again->ok() || again->fault() != error.fault) fault("a transaction that was given up goes on");
    actor.txn.abort();
    if (actor.retries == actor.program->retries) return end(actor);
    ++actor.retries;
    actor.begun = actor.waits = actor.cancelled = false;
  }
  static void end(Actor& actor) {
    actor.over = true;
    actor.waits = false;
  }

  /// The answer of the store to one operation.
  Attempt<Answer> attempt(Transaction& txn, const Operation& op, Waiter& waiter) {
    const std::string& key = key_text(op.key);
    switch (op.kind) {
      case Operation::read:
        return found(txn.read(key, value_, waiter));
      case Operation::read_for_update:
        return found(txn.read_for_update(key, value_, waiter));
      case Operation::write:
        return done(txn.write(key, value_text(op.value), waiter));
      case Operation::insert:
        return done(txn.insert(key, value_text(op.value), waiter));
      case Operation::write_if:
        return yes_or_no(txn.write_if(key, value_text(op.expected), value_text(op.value), waiter));
      case Operation::erase:
        return yes_or_no(txn.erase(key, waiter));
      case Operation::scan:
        return listed(op, txn.scan(bound_text(op.from), bound_text(op.to), op.limit, rows_, waiter));
      case Operation::scan_for_update:
        return listed(op, txn.scan_for_update(bound_text(op.from), bound_text(op.to), op.limit, rows_, waiter));
      case Operation::savepoint:
        return named(txn.savepoint(point_text(op.name)));
      case Operation::rollback_to:
        return named(txn.rollback_to(point_text(op.name)));
      case Operation::release:
        return named(txn.release(point_text(op.name)));
    }
    return Result<Answer>(kWrong);
  }
  Attempt<Answer> found(const Attempt<bool>& a) const {
    if (!a) return std::nullopt;
    if (!a->ok()) return Result<Answer>(a->error());
    return Result<Answer>(**a ? kYes | answer_with(value_in(value_)) : kNo);
  }
  static Attempt<Answer> yes_or_no(const Attempt<bool>& a) {
    if (!a) return std::nullopt;
    if (!a->ok()) return Result<Answer>(a->error());
    return Result<Answer>(**a ? kYes : kNo);
  }
  static Attempt<Answer> done(const Attempt<void>& a) {
    if (!a) return std::nullopt;
    if (a->ok()) return Result<Answer>(kYes);
    if (a->fault() == Fault::constraint) return Result<Answer>(kExists);
    return Result<Answer>(a->error());
  }
  static Attempt<Answer> named(const Result<void>& a) {
    if (a.ok()) return Result<Answer>(kYes);
    if (a.fault() == Fault::invalid) return Result<Answer>(kNoSuchName);
    return Result<Answer>(a.error());
  }
  Attempt<Answer> listed(const Operation& op, const Attempt<void>& a) const {
    if (!a) return std::nullopt;
    if (!a->ok()) return Result<Answer>(a->error());
    Answer answer = kYes;
    std::size_t next = 0;  // key
    for (const Row& row : rows_) {
      while (next < kKeys && key_text(next) != row.key) ++next;
      if (next == kKeys || !op.covers(next)) return Result<Answer>(kWrong);
      answer |= row_in_answer(next++, value_in(row.value));
    }
    return Result<Answer>(rows_.size() > op.limit ? kWrong : answer);
  }

  static const std::string& point_text(std::uint8_t name) {
    static const std::array<std::string, 2> texts = {"s0", "s1"};
    return texts[name];
  }
  static const Name& names() {
    static const Name texts = {"T1", "T2", "T3"};
    return texts;
  }
  std::size_t index_of(const Actor& actor) const { return static_cast<std::size_t>(&actor - actors_.data()); }

  static std::vector<std::string> claims_of(const Program& program) {
    std::vector<std::string> claims{key_text(0)};  // it may not be without
    for (std::size_t key = 1; key < kKeys; ++key)
      if (std::any_of(program.operations.begin(), program.operations.end(),
                      [key](const Operation& op) { return !op.is_about_savepoints() && op.covers(key); }))
        claims.push_back(key_text(key));
    return claims;
  }

  StepWaiter& new_waiter(Actor& actor) {
    waiters_.push_back(std::make_unique<StepWaiter>());
    return *(actor.waiter = waiters_.back().get());
  }

  void load(const Rows& rows) {
    StepWaiter waiter;
    Transaction txn = store_.begin({.label = "load", .claims_all = true});
    for (std::size_t key = 0; key < kKeys; ++key) {
      if (!rows[key]) continue;
      const Attempt<void> written = txn.write(key_text(key), value_text(rows[key]), waiter);
      if (!written || !written->ok()) fault("the rows could not be loaded");
    }
    const Attempt<void> committed = txn.commit(waiter);
    if (!committed || !committed->ok()) fault("the rows could not be loaded");
  }

  /// By a scan, and by looking for each key: the two indexes must agree.
  Rows rows_at_end() {
    StepWaiter waiter;
    Transaction txn = store_.begin({.label = "end", .claims_all = true});
    Operation all;
    all.kind = Operation::scan;
    const Attempt<Answer> scanned = attempt(txn, all, waiter);
    Rows rows{};
    for (std::size_t key = 0; key < kKeys; ++key) {
      Operation one;
      one.key = static_cast<std::uint8_t>(key);
      const Attempt<Answer> answer = attempt(txn, one, waiter);
      if (!answer || !answer->ok() || !scanned || !scanned->ok()) {
        fault("a lock is still held at the end");
        break;
      }
      rows[key] = static_cast<Value>(**answer >> 8);
      if (rows[key] != static_cast<Value>(**scanned >> (8 * (key + 1)))) fault("a scan and a read do not agree");
    }
    txn.abort();
    return rows;
  }

  void check_end() {
    for (const auto& waiter : waiters_)
      if (waiter->wakes > waiter->may_wake) fault("a waiter was woken twice, or by nobody that it waited for");
    if (!store_.locks().empty()) fault("a lock is left");
    if (!store_.waits().empty()) fault("a wait is left");
  }

  void fault(std::string what) {
    if (history_.fault.empty()) history_.fault = std::move(what);
  }
  void say(const Actor& actor, const std::string& what) const {
    if (tell_) tell_(index_of(actor), what);
  }
  std::string describe_if_told(const Operation& op) const { return tell_ ? describe(op) : std::string(); }

  Store& store_;
  const Isolation isolation_;
  const bool holds_locks_;
  std::vector<Actor> actors_;
  std::vector<std::unique_ptr<StepWaiter>> waiters_;  // they stay: a store that still knows one would wake it
  std::size_t commits_ = 0;
  History history_;
  Tell tell_;
  std::string value_;
  std::vector<Row> rows_;
};

}  // namespace lockstep::kv::rounds
