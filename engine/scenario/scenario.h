// scenario.h: how a scenario is written. One file under scenarios/THEME/ defines one function that returns a Scenario.
//
//   Scenario deadlock_two_lock() {
//     return scenario("Two transfers take the same two locks in opposite order")
//         .given({{"A", 100}, {"B", 100}})
//         .pattern("plain", "each locks its source first")
//             .actor("T1", transfer, "A", "B", 10)
//             .actor("T2", transfer, "B", "A", 20)
//             .expect("kv", "2pl-detect: deadlock, occ: abort")
//         .holds("money is conserved", [](const Final& end) { return end.number("A") + end.number("B") == 200; });
//   }
//
// Calls after pattern() speak of that pattern; calls before the first one of all of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <typeindex>
#include <vector>

#include "engine/actor/database.h"
#include "engine/record/run.h"
#include "engine/store/backend.h"
#include "engine/task/task.h"
#include "kv/base/random.h"

namespace lockstep {

/// What a body is given. Outlives the body.
struct Context {
  Database db;              ///< the actor's session; a body of in-process locks alone does not touch it
  const std::string& name;  ///< of the actor
  Random random;            ///< seeded from the run's seed and the actor's index

  /// True when figures are wanted: a body that measures then runs at full size, for a second or so. Else it only shows,
  /// in milliseconds, that it works.
  bool measures = false;
  /// One cell of the run's table of figures, such as figure("10000 descriptors", "epoll", 2.4, "us"). Kept only when
  /// figures are wanted: they differ from run to run, and a run's story does not.
  void figure(std::string row, std::string column, double value, std::string_view unit) const;
  /// A line of the actor's story.
  void note(std::string text) const;

  /// The world that the scenario declared with `.with<W>()`: one for each run, shared by its actors.
  template <class W>
  W& world() const {
    LOCKSTEP_CHECK(world_type == std::type_index(typeid(W)), "the scenario did not declare this world with .with<W>()");
    return *static_cast<W*>(world_object);
  }

  std::type_index world_type = typeid(void);
  void* world_object = nullptr;
  Actor* actor = nullptr;
};

/// For a body: runs a part of it, and handles what an application has to expect. A constraint that the part would
/// break, and a refusal, are told in the actor's story, and end the body well, its transaction rolled back. Any other
/// fault is the body's. What is not handled is an incident: the run's verdict is `error`.
Task<> handled(Context& context, Task<> part);

/// The end of a run, as an invariant sees it.
class Final {
 public:
  Final(State state, Backend* backend, std::type_index world_type, void* world, std::string_view store = {})
      : state_(std::move(state)), backend_(backend), world_type_(world_type), world_(world), store_(store) {}

  /// The committed value; empty when there is no such key.
  std::string operator[](std::string_view key) const;
  /// The same as a number; 0 when it is none.
  std::int64_t number(std::string_view key) const;
  bool exists(std::string_view key) const;
  const State& state() const noexcept { return state_; }
  /// The sum of all values that are numbers.
  std::int64_t total() const;
  /// The first column of the first row that `sql` gives, as a number; -1 when it cannot be asked.
  std::int64_t ask(const Sql& sql) const;

  template <class W>
  const W& world() const {
    LOCKSTEP_CHECK(world_type_ == std::type_index(typeid(W)),
                   "the scenario did not declare this world with .with<W>()");
    return *static_cast<const W*>(world_);
  }

 private:
  State state_;
  Backend* backend_;
  std::type_index world_type_;
  void* world_;
  std::string_view store_;
};

/// A value of the initial state: text or a number.
struct Given {
  std::string key;
  std::string value;
  Given(std::string k, std::string_view v) : key(std::move(k)), value(v) {}
  Given(std::string k, const char* v) : key(std::move(k)), value(v) {}
  Given(std::string k, std::int64_t v) : key(std::move(k)), value(std::to_string(v)) {}
  Given(std::string k, int v) : key(std::move(k)), value(std::to_string(v)) {}
};

struct ActorSpec {
  std::string name;
  std::function<Task<>(Context&)> body;
};

struct InvariantSpec {
  std::string text;
  std::function<bool(const Final&)> holds;
};

/// One expectation: which verdict at which store and protocol. Later ones go before earlier ones.
struct Expectation {
  std::string store;
  std::string protocol;  ///< a name or "*"
  record::Verdict verdict;
};

/// An outcome that an explanation speaks of: a verdict, or a fault that the run had.
struct OutcomeName {
  std::string store;  ///< empty: any
  std::optional<record::Verdict> verdict;
  std::optional<Fault> fault;
};

/// What a run of a pattern shows, for the outcomes that the sentence is true of.
struct Explanation {
  std::string text;                  ///< one or two sentences
  std::vector<OutcomeName> of = {};  ///< empty: the outcome that the pattern is about (Pattern::subject)
};

/// One way in which the application asks for what it needs.
struct Pattern {
  std::string name = {};
  std::string summary = {};
  std::vector<ActorSpec> actors = {};
  std::string schedule = {};          ///< the default order of steps; empty = the actors take turns
  std::vector<std::string> ddl = {};  ///< statements run at set-up, for stores with SQL
  std::map<std::string, std::vector<std::string>, std::less<>> ddl_of_store = {};  ///< those of a store in their place
  std::vector<std::pair<std::string, std::string>> tuning = {};                    ///< as Scenario::tune() gives them
  std::vector<Expectation> expectations = {};
  std::vector<Explanation> explanations = {};
  std::string fix = {};          ///< one sentence; empty when nothing is to be fixed
  std::string fix_pattern = {};  ///< the pattern that mends it

  /// nullopt: the pattern says nothing of it, and runs there only on trial.
  std::optional<record::Verdict> expected(std::string_view store, std::string_view protocol) const;
  /// The statements that are run at set-up on that store.
  const std::vector<std::string>& ddl_on(std::string_view store) const;
  bool has_ddl() const noexcept { return !ddl.empty() || !ddl_of_store.empty(); }
  /// The stores it says something of, in the order of the expectations.
  std::vector<std::string> stores() const;
  /// What the pattern is there to show: the worst of what it expects anywhere; of one that expects nothing bad, that
  /// all is well.
  record::Verdict subject() const;
  /// The first explanation, for people who read of the pattern before it has run; empty when there is none.
  std::string why() const { return explanations.empty() ? std::string() : explanations.front().text; }
  /// The explanation that is true of this run; empty when none is.
  std::string why_of(const record::Run& run) const;
};

/// A scenario: data, made by the builder calls below. A value.
class Scenario {
 public:
  explicit Scenario(std::string title) : title_(std::move(title)) {}

  // -- building --
  /// The story in a few sentences, for `lockstep show`.
  Scenario story(std::string text) &&;
  Scenario given(std::vector<Given> rows) &&;
  /// A world of in-process objects (locks, counters), made anew for every run.
  template <class W>
  Scenario with() && {
    world_type_ = typeid(W);
    make_world_ = [] { return std::static_pointer_cast<void>(std::make_shared<W>()); };
    return std::move(*this);
  }
  Scenario pattern(std::string name, std::string summary) &&;
  /// An actor whose body is `body(Context&, args...)`; the arguments are copied for every run.
  template <class Body, class... Args>
  Scenario actor(std::string name, Body body, Args... args) && {
    return std::move(*this).add_actor(
        {std::move(name), [body, stored = std::make_tuple(owned(std::move(args))...)](Context& context) {
           return std::apply([&](const auto&... each) { return body(context, each...); }, stored);
         }});
  }
  /// The default order of steps, such as "T1 T2 T1 T2"; an actor that cannot go is passed over.
  Scenario schedule(std::string order) &&;
  /// Statements that make the pattern's own tables, for stores with SQL.
  Scenario ddl(std::vector<std::string> statements) &&;
  /// The same in the words of one store, in place of the others.
  Scenario ddl_on(const std::string& store, std::vector<std::string> statements) &&;
  /// The verdicts on `store` ("kv", "sqlite", "postgres", or "none" for in-process locks alone): "PROTOCOL: VERDICT,
  /// …", "*" for every protocol not named. What is not named is not supported, unless it is new (can_run_on() in
  /// engine/run/run.h).
  Scenario expect(const std::string& store, std::string_view verdicts) &&;
  /// What the run shows, where it ends as the pattern is there to show (Pattern::subject). Other outcomes are named:
  /// "abort, deadlock", a fault such as "version_changed", on one store "postgres abort". May be called again for
  /// others. A run of which no explanation is true is explained from its events (engine/run/explain.h).
  Scenario why(std::string text, std::string_view outcomes = {}) &&;
  /// Shown where the run of `pattern` ends better; `lockstep check` runs it and sees to that.
  Scenario fix(std::string sentence, std::string pattern) &&;
  /// Run options of the pattern: "lock-timeout-ms", "statement-timeout-ms", "deadlock-timeout-ms", "retries"; and
  /// "bare" with the name of a file: on PostgreSQL a database of the run's own with nothing of ours in it; and
  /// "victim", whom a deadlock costs at kv: a name of kv::VictimPolicy, such as "least work".
  Scenario tune(std::string option, std::int64_t value) && {
    return std::move(*this).tune(std::move(option), std::to_string(value));
  }
  Scenario tune(std::string option, std::string value) &&;
  /// A body may run its own code for so long from one operation to the next; default: 2 s. One that keeps to it for
  /// longer has hung. For bodies that measure.
  Scenario own_code_at_most(Nanos most) &&;
  /// Nobody may wait for somebody longer than that, on the run's clock: an invariant like those of holds(). So a
  /// pile-up or a hot row can be judged.
  Scenario waits_at_most(Nanos limit) &&;
  /// An invariant, checked on the committed state at the end of every run.
  Scenario holds(std::string text, std::function<bool(const Final&)> check) &&;

  // -- reading --
  std::string name;    ///< "theme/name"; set by the catalogue
  std::string source;  ///< the file, from the root of the tree; set by the catalogue
  const std::string& title() const noexcept { return title_; }
  const std::string& story() const noexcept { return story_; }
  const State& rows() const noexcept { return rows_; }
  const std::vector<Pattern>& patterns() const noexcept { return patterns_; }
  const std::vector<InvariantSpec>& invariants() const noexcept { return invariants_; }
  /// kNever: nothing is said of it.
  Nanos longest_wait() const noexcept { return longest_wait_; }
  Nanos own_code_most() const noexcept { return own_code_most_; }
  const Pattern* pattern_named(std::string_view pattern) const noexcept;
  /// The stores that some pattern runs on.
  std::vector<std::string> stores() const;
  std::shared_ptr<void> make_world() const { return make_world_ ? make_world_() : nullptr; }
  std::type_index world_type() const noexcept { return world_type_; }

 private:
  static std::string owned(const char* text) { return text; }
  template <class T>
  static T owned(T value) {
    return value;
  }
  Scenario add_actor(ActorSpec spec) &&;
  Pattern& current();

  std::string title_;
  std::string story_;
  State rows_;
  std::vector<Pattern> patterns_;
  std::vector<InvariantSpec> invariants_;
  Nanos longest_wait_ = kNever;
  Nanos own_code_most_ = std::chrono::seconds(2);
  std::type_index world_type_ = typeid(void);
  std::function<std::shared_ptr<void>()> make_world_;
};

inline Scenario scenario(std::string title) { return Scenario(std::move(title)); }

}  // namespace lockstep
