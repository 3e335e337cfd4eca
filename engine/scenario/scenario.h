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
//
// The same scenario runs under load (`lockstep compare`): many sessions perform a body over and over, on rows that it
// chooses at random.
//
//   Task<> pays(Context& c) { return transfer(c, key_of("account/", c.choose()), ...); }
//
//         .rows(1000, [](const Shape& shape) { return numbered("account/", shape.rows, "100"); })
//         .pattern("plain", "each locks its source first")
//             .actor(...) .actor(...)
//             .session(pays)
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
#include "engine/scenario/choices.h"
#include "engine/store/backend.h"
#include "engine/task/task.h"
#include "kv/base/random.h"

namespace lockstep {

/// What a body is given. Outlives the body.
struct Context {
  Database db;              ///< the actor's session; a body of in-process locks alone does not touch it
  const std::string& name;  ///< of the actor
  Random random;            ///< seeded from the run's seed and the actor's index; a retried body draws the same again

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

  // -- of bodies that are performed again and again, and choose their rows (Scenario::rows) --
  std::size_t index = 0;     ///< of the actor, or of the session of a load; from 0
  Counts acknowledged = {};  ///< what the store has acknowledged to it, for the invariants: Final::count()
  std::uint64_t serial = 0;  ///< for bodies that make keys of their own
  const Shape& shape() const { return its_choices().shape; }
  /// A row below shape().rows, hot ones scattered among the others.
  std::uint64_t choose() { return its_choices().scatter(its_choices().zipf(random)); }
  /// True for shape().read_percent of all calls. Only where the scenario has reads().
  bool reads();
  Board& board() const { return its_choices().board; }

  Choices& its_choices() const {
    LOCKSTEP_CHECK(choices != nullptr, "a body chooses rows, but its scenario has none: rows() is missing");
    return *choices;
  }

  std::type_index world_type = typeid(void);
  void* world_object = nullptr;
  Actor* actor = nullptr;
  Choices* choices = nullptr;  ///< of the run; nullptr where the scenario has no rows()
};

/// For a body: runs a part of it, and handles what an application has to expect. A constraint that the part would
/// break, and a refusal, are told in the actor's story, and end the body well, its transaction rolled back. Any other
/// fault is the body's. What is not handled is an incident: the run's verdict is `error`.
Task<> handled(Context& context, Task<> part);

/// The end of a run or of a round of load, as an invariant sees it.
class Final {
 public:
  Final(State state, Backend* backend, std::type_index world_type, void* world, std::string_view store = {})
      : state_(std::move(state)), backend_(backend), world_type_(world_type), world_(world), store_(store) {}
  /// What the store held at the start, what the sessions chose among, and what they all were told.
  Final with(const State& start, const Shape& shape, const Counts& counts) && {
    start_ = &start;
    shape_ = shape;
    counts_ = counts;
    return std::move(*this);
  }

  /// The committed value; empty when there is no such key.
  std::string operator[](std::string_view key) const;
  /// The same as a number; 0 when it is none.
  std::int64_t number(std::string_view key) const;
  bool exists(std::string_view key) const;
  const State& state() const noexcept { return state_; }
  /// The sum of all values that are numbers, of the keys that begin with `prefix`.
  std::int64_t total(std::string_view prefix = {}) const;
  /// How many of them are below zero.
  std::int64_t below_zero(std::string_view prefix = {}) const;
  std::int64_t rows(std::string_view prefix = {}) const;
  /// Total and rows when the run or the round began.
  std::int64_t total_at_start(std::string_view prefix = {}) const;
  std::int64_t rows_at_start(std::string_view prefix = {}) const;
  /// The sum of Context::acknowledged of all actors or sessions, the warm-up of a load included.
  std::int64_t count(std::size_t which) const { return counts_[which]; }
  const Shape& shape() const noexcept { return shape_; }
  /// The first column of the first row that `sql` gives, as a number; -1 when it cannot be asked.
  std::int64_t ask(const Sql& sql) const;
  /// The rows of a query. Fault::unavailable without a store; else as the store says.
  Result<Table> query(const std::string& sql) const;

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
  const State* start_ = nullptr;
  Shape shape_;
  Counts counts_;
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

using Body = std::function<Task<>(Context&)>;

struct ActorSpec {
  std::string name;
  Body body;
};

/// What an invariant says of an end: that it holds, or not; or a text of what is wrong, empty when it holds.
struct Held {
  bool held = false;
  std::string wrong = {};  ///< with the values, for people; may be empty
  Held(bool does) : held(does) {}
  Held(std::string what) : held(what.empty()), wrong(std::move(what)) {}
  Held(const char*) = delete;  // would be a bool
};

struct InvariantSpec {
  std::string text;
  std::function<Held(const Final&)> holds;
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
  Body session = {};                     ///< what a session of a load does; empty: see Scenario::repeats()
  std::vector<std::string> unsafe = {};  ///< as Scenario::unsafe_at() gives them
  std::string schedule = {};             ///< the default order of steps; empty = the actors take turns
  std::vector<std::string> ddl = {};     ///< statements run at set-up, for stores with SQL
  std::map<std::string, std::vector<std::string>, std::less<>> ddl_of_store = {};  ///< those of a store in their place
  std::function<std::vector<std::string>(const Shape&)> ddl_of_shape = {};         ///< in place of `ddl`
  std::vector<std::pair<std::string, std::string>> tuning = {};                    ///< as Scenario::tune() gives them
  std::vector<Expectation> expectations = {};
  std::vector<Explanation> explanations = {};
  std::string fix = {};          ///< one sentence; empty when nothing is to be fixed
  std::string fix_pattern = {};  ///< the pattern that mends it

  /// nullopt: the pattern says nothing of it, and runs there only on trial.
  std::optional<record::Verdict> expected(std::string_view store, std::string_view protocol) const;
  /// The statements that are run at set-up on that store.
  std::vector<std::string> ddl_on(std::string_view store, const Shape& shape) const;
  bool has_ddl() const noexcept { return !ddl.empty() || !ddl_of_store.empty() || ddl_of_shape; }
  /// True where a load is known to break an invariant: where an anomaly is expected, and as unsafe_at() says.
  bool is_unsafe(std::string_view store, std::string_view protocol) const;
  /// The stores it says something of, in the order of the expectations.
  std::vector<std::string> stores() const;
  bool names_store(std::string_view store) const;
  /// True when it can be run there: it says something of the store; or the store is new (ProtocolTraits::on_trial), and
  /// the pattern is written in the verbs that every store has.
  bool runs_on(std::string_view store) const;
  bool runs_on(const BackendKind& kind, const ProtocolTraits& protocol) const;
  /// The value that tune() gave to an option.
  std::optional<std::string> tuned(std::string_view option) const;
  /// Puts what tune() gave into the options of a store that is to be opened.
  void tune(const BackendKind& kind, BackendOptions& options) const;
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
  /// The rows among which sessions of a load choose: how many unless --rows says otherwise, and what they hold at the
  /// start. Where the patterns have no actors, a run under a schedule has `few` of them.
  Scenario rows(std::uint64_t count, std::function<State(const Shape&)> given, std::uint64_t few = 2) &&;
  /// Percent of reads unless --read says otherwise. Without this the bodies have none to choose.
  Scenario reads(int percent) &&;
  /// No row is chosen among others, so --theta means nothing.
  Scenario takes_rows_in_order() &&;
  /// Under load the sessions perform the actors' bodies in turn, over and over, on the rows of given(). For scenarios
  /// whose invariants hold then too.
  Scenario repeats() &&;
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
  /// What every session of a load does, again and again. A pattern that has no actors by now gets two, S1 and S2, who
  /// do it once; it runs on every store, and is judged where it expects something.
  Scenario session(Body body) &&;
  /// STORE/PROTOCOL at which a load is known to break an invariant, beside those with an anomaly; "STORE/*" for all.
  Scenario unsafe_at(std::vector<std::string> places) &&;
  /// The default order of steps, such as "T1 T2 T1 T2"; an actor that cannot go is passed over.
  Scenario schedule(std::string order) &&;
  /// Statements that make the pattern's own tables, for stores with SQL.
  Scenario ddl(std::vector<std::string> statements) &&;
  /// Statements that depend on how many rows a load chooses among.
  Scenario ddl(std::function<std::vector<std::string>(const Shape&)> statements) &&;
  /// The same in the words of one store, in place of the others.
  Scenario ddl_on(const std::string& store, std::vector<std::string> statements) &&;
  /// The verdicts on `store` ("kv", "sqlite", "postgres", "mariadb", or "none" for in-process locks alone): "PROTOCOL:
  /// VERDICT, …", "*" for every protocol not named. What is not named is not supported, unless the store is on trial
  /// (Pattern::runs_on()). A store that this build has no library for is passed over.
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
  Scenario holds(std::string text, std::function<Held(const Final&)> check) &&;

  // -- reading --
  std::string name;    ///< "theme/name"; set by the catalogue
  std::string source;  ///< the file, from the root of the tree; set by the catalogue
  const std::string& title() const noexcept { return title_; }
  const std::string& story() const noexcept { return story_; }
  /// What the store holds when a run begins.
  const State& rows() const noexcept { return rows_; }
  /// What the store holds when a load of that shape begins.
  State rows_of_load(const Shape& shape) const { return load_.given ? load_.given(shape) : rows_; }
  /// What the bodies of a run have to choose from.
  Shape shape_of_run(std::uint64_t seed) const;
  bool has_rows_to_choose() const noexcept { return load_.given != nullptr; }
  std::uint64_t rows_of_load_default() const noexcept { return load_.rows; }
  int read_percent_default() const noexcept { return load_.read_percent; }
  bool has_reads() const noexcept { return load_.read_percent != kNoReads; }
  bool chooses_rows() const noexcept { return load_.given != nullptr && load_.chooses; }
  /// True when some pattern has a body for sessions of a load.
  bool runs_under_load() const noexcept;
  bool runs_under_load(const Pattern& pattern) const noexcept { return pattern.session || load_.repeats; }
  /// What a session of a load does, by its number from 0. Only where the pattern runs under load.
  const Body& body_of_session(const Pattern& pattern, std::size_t session) const;
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
  struct Load {
    std::uint64_t rows = 1, few = 2;
    std::function<State(const Shape&)> given = {};
    int read_percent = kNoReads;
    bool chooses = true;
    bool repeats = false;
  };
  Load load_;
  Nanos longest_wait_ = kNever;
  Nanos own_code_most_ = std::chrono::seconds(2);
  std::type_index world_type_ = typeid(void);
  std::function<std::shared_ptr<void>()> make_world_;
};

inline Scenario scenario(std::string title) { return Scenario(std::move(title)); }

}  // namespace lockstep
