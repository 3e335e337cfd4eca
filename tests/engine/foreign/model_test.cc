// model_test.cc: random programs of pthread's primitives: the reduced and the bounded search of the model must end in
// the same ways, for as many interleavings each, as when every interleaving is gone through.
//
// LOCKSTEP_TEST_SEED=N: the seed of the first program; LOCKSTEP_PROGRAMS=N: how many of each mix.
#include "engine/foreign/model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <random>

#include "engine/explore/search_worker.h"
#include "engine/foreign/touches.h"

namespace lockstep::foreign {
namespace {

constexpr std::uint64_t kObjects = 0x1000;  // address of the first; their kinds lie apart
constexpr std::uint64_t kMutexes = kObjects, kRwLocks = kObjects + 0x100, kSemaphores = kObjects + 0x200,
                        kConditions = kObjects + 0x300, kBarriers = kObjects + 0x400, kOnces = kObjects + 0x500,
                        kPipes = kObjects + 0x600, kWords = kObjects + 0x700, kSignals = kObjects + 0x800,
                        kFileLocks = kObjects + 0x900;
constexpr int kRoomOfPipe = 1;

/// What the threads of a program are made of.
struct PrimitiveMix {
  const char* name;
  std::vector<Act> acts;
  bool tries = false, timed = false;
};

const std::vector<PrimitiveMix>& mixes() {
  static const std::vector<PrimitiveMix> all = {
      {"locks", {Act::lock, Act::unlock}},
      {"tries", {Act::lock, Act::unlock}, true},
      {"timed", {Act::lock, Act::unlock}, false, true},
      {"semaphores", {Act::sem_wait, Act::sem_post}, true, true},
      {"readers", {Act::rdlock, Act::wrlock, Act::rwunlock}, true},
      {"readers and locks", {Act::rdlock, Act::wrlock, Act::rwunlock, Act::lock, Act::unlock}, true, true},
      {"conditions", {Act::lock, Act::wait, Act::signal, Act::broadcast, Act::unlock}},
      {"conditions with time", {Act::lock, Act::wait, Act::signal, Act::unlock}, false, true},
      {"conditions and readers",
       {Act::lock, Act::wait, Act::signal, Act::unlock, Act::rdlock, Act::wrlock, Act::rwunlock}},
      {"barriers", {Act::barrier, Act::lock, Act::unlock}},
      {"joins", {Act::join, Act::lock, Act::unlock}, true, true},
      {"once", {Act::once, Act::lock, Act::unlock}},
      {"pipes", {Act::take_in, Act::give_out}, true},
      {"pipes and locks", {Act::take_in, Act::give_out, Act::lock, Act::unlock}, true},
      {"futexes", {Act::futex_wait, Act::futex_wake, Act::lock, Act::unlock}, false, true},
      {"signals", {Act::sig_wait, Act::sig_send, Act::lock, Act::unlock}, true, true},
      {"locks of files", {Act::file_lock, Act::file_unlock, Act::lock, Act::unlock}, true},
      {"all",
       {Act::lock,     Act::unlock,   Act::rdlock,    Act::wrlock,     Act::rwunlock,   Act::sem_wait,
        Act::sem_post, Act::wait,     Act::signal,    Act::broadcast,  Act::barrier,    Act::once,
        Act::join,     Act::sleep,    Act::take_in,   Act::give_out,   Act::futex_wait, Act::futex_wake,
        Act::sig_wait, Act::sig_send, Act::file_lock, Act::file_unlock},
       true,
       true},
  };
  return all;
}

using ThreadCode = std::vector<Operation>;

bool is_at_file(const Operation& operation) {
  return operation.verb == Act::take_in || operation.verb == Act::give_out;
}

std::vector<ThreadCode> random_program(const PrimitiveMix& mix, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&random](std::uint64_t most) { return random() % most; };
  std::vector<ThreadCode> program(2 + below(2));
  const std::size_t most = program.size() == 2 ? 5 : 3;
  std::vector<bool> is_joined(program.size(), false);
  for (std::size_t i = 0; i < program.size(); ++i) {
    const std::size_t length = 2 + below(most - 1);
    while (program[i].size() < length) {
      Operation operation;
      operation.verb = mix.acts[below(mix.acts.size())];
      if (mix.tries && below(3) == 0) operation.patience = Persistence::tries;
      if (mix.timed && below(3) == 0) operation.patience = Persistence::timed;
      operation.deadline = operation.patience == Persistence::timed ? 1'000'000 : 0;
      const std::uint64_t which = below(2);
      switch (operation.verb) {
        case Act::lock:
          if (below(5) == 0) operation.kind = MutexKind::recursive;
          [[fallthrough]];
        case Act::unlock:
          operation.object = kMutexes + which;
          break;
        case Act::rdlock:
        case Act::wrlock:
        case Act::rwunlock:
          operation.object = kRwLocks + which;
          break;
        case Act::sem_wait:
        case Act::sem_post:
          operation.object = kSemaphores + which;
          break;
        case Act::wait:
          operation.mutex = kMutexes + which;
          [[fallthrough]];
        case Act::signal:
        case Act::broadcast:
          operation.object = kConditions;
          break;
        case Act::barrier:
          operation.object = kBarriers;
          operation.argument = 2;
          break;
        case Act::once:
          operation.object = kOnces;
          break;
        case Act::take_in:
        case Act::give_out:
          operation.object = kPipes + which;
          if (operation.patience == Persistence::timed) operation.patience = Persistence::waits;
          break;
        case Act::futex_wait:
        case Act::futex_wake:
          operation.object = kWords + which;
          operation.argument = 1;  // the word is as expected; one is woken
          if (operation.patience == Persistence::tries) operation.patience = Persistence::waits;
          break;
        case Act::sig_wait:
          operation.object = kSignals;
          operation.mutex = 1 + below(3);  // one signal of two, or both
          break;
        case Act::sig_send:
          operation.object = kSignals;
          operation.mutex = 1 + which;
          operation.argument = static_cast<std::int32_t>(below(program.size() + 1)) - 1;
          break;
        case Act::file_lock:
          operation.kind = below(3) == 0 ? MutexKind::checked : MutexKind::normal;  // shared, or not
          if (operation.patience == Persistence::timed) operation.patience = Persistence::waits;
          [[fallthrough]];
        case Act::file_unlock:
          operation.object = kFileLocks + which;
          break;
        case Act::join:
          operation.argument = static_cast<std::int32_t>(below(program.size()));
          if (operation.argument == static_cast<std::int32_t>(i) || is_joined[operation.argument]) continue;
          is_joined[operation.argument] = true;
          break;
        default:
          break;
      }
      // Only waits have another patience; a wait of a condition has no try.
      const bool waits = operation.verb == Act::lock || operation.verb == Act::rdlock ||
                         operation.verb == Act::wrlock || operation.verb == Act::sem_wait ||
                         operation.verb == Act::join || operation.verb == Act::wait || is_at_file(operation) ||
                         operation.verb == Act::futex_wait || operation.verb == Act::sig_wait ||
                         operation.verb == Act::file_lock;
      if (!waits || (operation.verb == Act::wait && operation.patience == Persistence::tries))
        operation.patience = Persistence::waits;
      program[i].push_back(operation);
    }
  }
  return program;
}

std::string text_of(const std::vector<ThreadCode>& program) {
  static constexpr std::array<const char*, kVerbs> kNames = {
      "none",     "lock",     "unlock",     "wait",       "leave",    "signal",     "broadcast", "rdlock",
      "wrlock",   "rwunlock", "sem_wait",   "sem_post",   "barrier",  "at_barrier", "once",      "join",
      "sleep",    "yield",    "exit",       "futex_wait", "in_futex", "futex_wake", "take_in",   "give_out",
      "look_out", "sigwait",  "in_sigwait", "send",       "flock",    "in_flock",   "funlock"};
  std::string text;
  for (std::size_t i = 0; i < program.size(); ++i) {
    text += fmt::format("T{}:", i);
    for (const Operation& each : program[i]) {
      text += fmt::format(" {}{}{}({:x}{})", kNames[static_cast<std::size_t>(each.verb)],
                          each.patience == Persistence::tries   ? "?"
                          : each.patience == Persistence::timed ? "~"
                                                                : "",
                          each.kind == MutexKind::recursive ? "r" : "",
                          each.verb == Act::join ? each.argument : each.object,
                          each.mutex != 0 ? fmt::format(",{:x}", each.mutex) : "");
    }
    text += "\n";
  }
  return text;
}

/// A program of the model, without any process.
class ModelSubject final : public Subject {
 public:
  explicit ModelSubject(const std::vector<ThreadCode>& program) : program_(program), model_(new PrimitiveModel) {
    for (std::size_t i = 0; i < program.size(); ++i) actors_.push_back(fmt::format("T{}", i));
  }

  std::string name() const override { return "a random program"; }
  const std::vector<std::string>& actors() const noexcept override { return actors_; }
  bool is_deterministic() const noexcept override { return true; }
  bool is_quick() const noexcept override { return true; }
  void tell(Footprint* footprint) override { footprint_ = footprint; }
  void give_up_at(Nanos) override {}
  void find_blocked(Footprint& footprint, std::vector<Step>& blocked) override {
    add_blocked(*model_, count(), footprint, blocked);
  }
  record::Ending ending() const noexcept override { return record::Ending::complete; }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }

  Result<void> perform(Schedule& schedule) override {
    model_->reset();
    model_->sets_semaphore(kSemaphores, 1);
    next_.assign(program_.size(), 0);
    seen_.assign(program_.size(), "");
    once_until_.assign(program_.size(), 0);
    times_.clear();
    in_pipe_.clear();
    pending_.assign(program_.size() + 1, 0);
    file_holders_.clear();
    taken_.clear();
    for (int i = 1; i < count(); ++i) model_->begins(i, 0, false);
    Touches start;
    for (int i = 0; i < count(); ++i) go_on(i, start);
    for (;;) {
      look_at_pipes();
      std::vector<Candidate> candidates;
      bool any = false;
      for (int i = 0; i < count(); ++i) {
        const Options options = model_->options(i);
        candidates.push_back({.actor = i,
                              .name = actors_[static_cast<std::size_t>(i)],
                              .enabled = options.goes,
                              .may_time_out = options.times_out,
                              .finished = model_->thread(i).place == ThreadState::Place::ended});
        any = any || options.goes || options.times_out;
      }
      if (!any) {
        schedule.nothing_left();
        return {};
      }
      const Result<Choice> choice = schedule.next(candidates);
      if (!choice) return choice.error();
      const Options options = model_->options(choice->actor);
      if (!(choice->timeout ? options.times_out : options.goes))
        return Error{Fault::invalid,
                     {},
                     fmt::format("{} cannot go", name_of(*choice, actors_[static_cast<std::size_t>(choice->actor)]))};
      taken_.push_back(*choice);
      Touches touches;
      look_ahead_of(choice->actor);
      const std::uint32_t taken_by_step = model_->take(choice->actor, choice->timeout, touches);
      use_pipe(model_->thread(choice->actor).operation, touches);
      const std::uint32_t released = taken_by_step | use_outside(choice->actor, taken_by_step, touches);
      for (int i = 0; i < count(); ++i) {
        const bool is_let_go = i == choice->actor || (released >> static_cast<unsigned>(i) & 1U) != 0;
        if (!is_let_go || model_->thread(i).place != ThreadState::Place::runs) continue;
        look(i);
        go_on(i, touches);
      }
      if (footprint_ != nullptr) add_touches(*footprint_, touches);
    }
  }

  RunEnd judge(record::Run&) override {
    std::string text;
    for (int i = 0; i < count(); ++i) {
      text += fmt::format("{}{};", seen_[static_cast<std::size_t>(i)],
                          model_->thread(i).place == ThreadState::Place::ended ? "" : "|");
    }
    return {{0, std::move(text)}, record::Verdict::clean};
  }

 private:
  int count() const noexcept { return static_cast<int>(program_.size()); }

  /// What the thread has learnt by its step. Where takers exclude each other, also how many have had the thing before.
  void look(int i) {
    const auto at = static_cast<std::size_t>(i);
    const Operation& operation = program_[at][next_[at]++];
    const std::int32_t result = model_->thread(i).result;
    seen_[at] += fmt::format("{}", result);
    const bool excludes =
        operation.verb == Act::wrlock || (operation.verb == Act::lock && operation.kind == MutexKind::normal);
    if ((excludes || is_at_file(operation)) && result == 0) seen_[at] += fmt::format("#{}", times_[operation.object]++);
    seen_[at] += ' ';
    if (operation.verb == Act::once && result == 1) once_until_[at] = next_[at] + 1;
  }

  /// To the thread's next gate. What it may not do now, such as to unlock what it has not, it does not do.
  void go_on(int i, Touches& touches) {
    const auto at = static_cast<std::size_t>(i);
    // What is done once is the operation behind it.
    if (once_until_[at] != 0 && next_[at] >= once_until_[at]) end_once(i, touches);
    ThreadState& thread = model_->thread(i);
    while (next_[at] < program_[at].size()) {
      const Operation& operation = program_[at][next_[at]];
      const std::uint64_t mutex = operation.verb == Act::wait ? operation.mutex : operation.object;
      const bool needs_mutex = operation.verb == Act::wait || operation.verb == Act::unlock;
      const bool may =
          (!needs_mutex || has_once(mutex, i)) && (operation.verb != Act::rwunlock || reads_or_writes(mutex, i));
      if (may) {
        thread.operation = operation;
        thread.place = ThreadState::Place::at_gate;
        return;
      }
      ++next_[at];
    }
    if (once_until_[at] != 0) end_once(i, touches);
    model_->ends(i, touches);
  }
  void end_once(int i, Touches& touches) {
    once_until_[static_cast<std::size_t>(i)] = 0;
    model_->once_done(kOnces, false, touches);
  }

  // A pipe holds so many, as preload/files.cc looks at one.
  bool is_readable(std::uint64_t pipe) { return in_pipe_[pipe] > 0; }
  bool is_writable(std::uint64_t pipe) { return in_pipe_[pipe] < kRoomOfPipe; }
  void look_at_pipes() {
    for (int i = 0; i < count(); ++i) {
      Operation& operation = model_->thread(i).operation;
      if (model_->thread(i).place != ThreadState::Place::at_gate || !is_at_file(operation)) continue;
      const bool readable = is_readable(operation.object), writable = is_writable(operation.object);
      operation.argument = (operation.verb == Act::take_in ? readable : writable) ? 1 : 0;
      operation.mutex = (readable ? kReadable : 0) | (writable ? kWritable : 0);
    }
  }
  void use_pipe(const Operation& operation, Touches& touches) {
    if (!is_at_file(operation) || operation.argument != 1) return;
    in_pipe_[operation.object] += operation.verb == Act::take_in ? -1 : 1;
    touches.add(
        {.object = operation.object, .touch = TouchKind::changes, .closed_after = !is_readable(operation.object)});
    touches.add({.object = operation.object,
                 .touch = TouchKind::changes,
                 .facet = 1,
                 .closed_after = !is_writable(operation.object)});
  }

  // Signals and locks of files, as the kernel keeps them. Pending: those of each thread, and of all.
  std::uint64_t pending_for(int i) const { return pending_[static_cast<std::size_t>(i)] | pending_.back(); }
  void consume(int i) {
    std::uint64_t& own = pending_[static_cast<std::size_t>(i)];
    const std::uint64_t wanted = model_->thread(i).operation.mutex;
    std::uint64_t& from = (own & wanted) != 0 ? own : pending_.back();
    const std::uint64_t got = from & wanted & (~(from & wanted) + 1);
    from &= ~got;
    seen_[static_cast<std::size_t>(i)] += fmt::format("s{}", got);
  }
  /// Each thread has opened the file for itself.
  bool ask_for_file(int i) {
    const Operation& operation = model_->thread(i).operation;
    const bool shares = operation.kind == MutexKind::checked;
    auto& holders = file_holders_[operation.object];
    for (const auto& [other, other_shares] : holders) {
      if (other != i && !(shares && other_shares)) return false;
    }
    holders[i] = shares;
    return true;
  }
  void look_ahead_of(int i) {
    Operation& operation = model_->thread(i).operation;
    if (operation.verb == Act::sig_wait) operation.argument = (pending_for(i) & operation.mutex) != 0 ? 1 : 0;
    if (operation.verb == Act::file_lock) operation.argument = ask_for_file(i) ? 1 : 0;
  }
  /// Answers who is let in by what the step has given back.
  std::uint32_t use_outside(int i, std::uint32_t released, Touches& touches) {
    const Operation& operation = model_->thread(i).operation;
    if (operation.verb == Act::sig_wait && operation.argument == 1) consume(i);
    if (operation.verb == Act::sig_send) {
      pending_[operation.argument < 0 ? program_.size() : static_cast<std::size_t>(operation.argument)] |=
          operation.mutex;
      for (int t = 0; t < count(); ++t) {
        if ((released >> static_cast<unsigned>(t) & 1U) != 0) consume(t);
      }
    }
    std::uint32_t let_in = 0;
    if (operation.verb != Act::file_unlock) return let_in;
    file_holders_[operation.object].erase(i);
    for (std::uint64_t after = 0;;) {
      int next = -1;
      for (int t = 0; t < count(); ++t) {
        const ThreadState& thread = model_->thread(t);
        if (thread.place == ThreadState::Place::at_gate && thread.operation.verb == Act::in_file_lock &&
            thread.operation.object == operation.object && thread.ticket > after &&
            (next < 0 || thread.ticket < model_->thread(next).ticket))
          next = t;
      }
      if (next < 0) return let_in;
      after = model_->thread(next).ticket;
      if (!ask_for_file(next)) continue;
      model_->lets_in(next, touches);
      let_in |= 1U << static_cast<unsigned>(next);
    }
  }

  bool has_once(std::uint64_t mutex, int i) { return model_->is_held(mutex) && model_->holder(mutex) == i; }
  bool reads_or_writes(std::uint64_t lock, int i) {
    // Anybody that does neither has no part in it: without it the lock would be somebody else's, or nobody's.
    return model_->is_held(lock) && (model_->holder(lock) == i || model_->reads(lock, i));
  }

  const std::vector<ThreadCode>& program_;
  const std::unique_ptr<PrimitiveModel> model_;
  std::vector<std::string> actors_;
  Footprint* footprint_ = nullptr;
  std::vector<std::size_t> next_;
  std::vector<std::string> seen_;
  std::vector<std::size_t> once_until_;  ///< the number of steps after which the thread has done it; 0: nothing to do
  std::map<std::uint64_t, int> times_;
  std::map<std::uint64_t, int> in_pipe_;
  std::vector<std::uint64_t> pending_;                         ///< by thread; the last: of the process
  std::map<std::uint64_t, std::map<int, bool>> file_holders_;  ///< who, and whether it shares
  std::vector<Choice> taken_;
};

struct Searched {
  bool complete = false;
  Tally tally;
  std::string error;
};

Searched searched(const std::vector<ThreadCode>& program, Strategy strategy, std::uint64_t most_runs) {
  SearchWorker worker(std::make_unique<ModelSubject>(program), std::make_shared<ObjectNumbers>(), nullptr);
  for (;;) {
    Searched result;
    const std::unique_ptr<Search> search = make_search({.strategy = strategy});
    const Result<Halt> halt = worker.search(*search, result.tally, {.most_runs = most_runs});
    if (!halt) {
      result.error = halt.error().message;
      return result;
    }
    if (*halt == Halt::news) continue;
    result.complete = *halt == Halt::exhausted;
    return result;
  }
}

std::map<std::string, double> endings_of(const Tally& tally) {
  std::map<std::string, double> endings;
  for (const auto& [key, outcome] : tally.outcomes) endings[key.second] = outcome.interleavings;
  return endings;
}

class RandomPrimitives : public testing::TestWithParam<std::size_t> {};

TEST_P(RandomPrimitives, AreSearchedAsEveryInterleaving) {
  const PrimitiveMix& mix = mixes()[GetParam()];
  const char* const seed_text = std::getenv("LOCKSTEP_TEST_SEED");
  const char* const count_text = std::getenv("LOCKSTEP_PROGRAMS");
  const std::uint64_t first = seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : 20261130;
  const std::uint64_t programs = count_text != nullptr ? std::strtoull(count_text, nullptr, 10) : 300;
  constexpr std::uint64_t kRunsMost = 20'000;
  std::uint64_t compared = 0, pruned = 0, runs = 0;
  for (std::uint64_t i = 0; i < programs; ++i) {
    const std::vector<ThreadCode> program = random_program(mix, first + i);
    const Searched all = searched(program, Strategy::unreduced, kRunsMost);
    ASSERT_EQ(all.error, "") << "seed " << first + i << "\n" << text_of(program);
    if (!all.complete) continue;
    const Searched reduced = searched(program, Strategy::exhaustive, kRunsMost);
    const Searched bounded = searched(program, Strategy::bounded, kRunsMost);
    ++compared;
    pruned += reduced.tally.pruned;
    runs += reduced.tally.runs;
    ASSERT_EQ(reduced.error + bounded.error, "") << "seed " << first + i << "\n" << text_of(program);
    ASSERT_TRUE(reduced.complete);
    ASSERT_EQ(endings_of(reduced.tally), endings_of(all.tally)) << "seed " << first + i << "\n" << text_of(program);
    ASSERT_EQ(endings_of(bounded.tally), endings_of(all.tally)) << "seed " << first + i << "\n" << text_of(program);
  }
  std::cout << fmt::format("{:22}: seed {}, {} programs compared, {} classes, {} runs cut\n", mix.name, first, compared,
                           runs, pruned);
}

INSTANTIATE_TEST_SUITE_P(Mixes, RandomPrimitives, testing::Range(std::size_t{0}, mixes().size()), [](const auto& info) {
  std::string name = mixes()[info.param].name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace lockstep::foreign
