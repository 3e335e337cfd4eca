// workload.h: how a scenario is written for load: the same kind of bodies, on rows that are chosen at random, with
// invariants on the state at the end. One file scenarios/THEME/load/some_name.cc defines one function that returns a
// Workload; it is called THEME/some-name on the command line, like the scenario that it belongs to.
//
//   Workload money_hot_counter() {
//     return workload("Everybody is counted in one of a few rows")
//         .rows(1, [](const Shape& shape) { return numbered("visits/", shape.rows, 0); })
//         .pattern("plain", "visits = visits + 1", one_statement)
//         .holds("every acknowledged visit counts", [](const Settled& end) { return end.total() == end.count("visits");
//         });
//   }
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "engine/actor/database.h"
#include "engine/scenario/scenario.h"
#include "engine/scenario/zipf.h"
#include "kv/base/check.h"

namespace lockstep::load {

/// A percentage of reads for workloads that do not divide their transactions so.
inline constexpr int kNoReads = -1;

/// What a load is like, beside its strategy.
struct Shape {
  std::uint64_t rows = 1;  ///< among which a transaction chooses; the workload says what a row is
  double theta = 0;        ///< 0: all alike; towards 1: ever fewer get ever more (Zipf)
  /// Of the transactions, or of the operations: the workload says which. kNoReads where it has none to choose.
  int read_percent = 50;
  std::uint64_t seed = 1;
};

/// What a session counts for the invariants: what the store has acknowledged. Each session has its own; they are added
/// up when the round is over.
struct Counts {
  std::array<std::int64_t, 4> values{};
  std::int64_t& operator[](std::size_t which) { return values[which]; }
  std::int64_t operator[](std::size_t which) const { return values[which]; }
};

/// What the sessions of a round tell each other, for workloads whose clients know of one another's inserts (YCSB D).
/// Thread-safe; nobody else touches it, so other workloads share nothing.
class Board {
 public:
  /// A number that nobody else gets in this round: 0, 1, 2 …
  std::uint64_t draw() noexcept { return drawn_.fetch_add(1, std::memory_order_relaxed); }
  /// `number` has been acknowledged.
  void publish(std::uint64_t number) noexcept {
    std::uint64_t seen = newest_.load(std::memory_order_relaxed);
    // Release: whoever reads the number begins after its commit was answered.
    while (seen < number && !newest_.compare_exchange_weak(seen, number, std::memory_order_release)) {
    }
  }
  /// The highest number acknowledged; 0 when there is none.
  std::uint64_t newest() const noexcept { return newest_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> drawn_{0}, newest_{0};
};

/// What a body is given. Outlives the body. A body that is tried again draws the same random numbers again.
struct LoadContext {
  Database db;
  Random random;
  const Shape& shape;
  const Zipf& zipf;
  const Scatter& scatter;
  Board& board;
  std::size_t session;  ///< from 0
  Counts acknowledged = {};
  std::uint64_t serial = 0;  ///< of bodies that make keys of their own

  /// A row below shape.rows, hot ones scattered among the others.
  std::uint64_t choose() { return scatter(zipf(random)); }
  /// True for shape.read_percent of all calls. Only in workloads with Workload::reads().
  bool reads() {
    LOCKSTEP_CHECK(shape.read_percent >= 0, "a workload reads without Workload::reads()");
    return static_cast<int>(random() % 100) < shape.read_percent;
  }
};

/// "account/000042": fixed width, so that the order of the keys is that of the numbers.
std::string key_of(std::string_view prefix, std::uint64_t number);
/// `rows` keys that hold `value`.
State numbered(std::string_view prefix, std::uint64_t rows, std::string_view value);

/// The end of a round, as an invariant sees it.
struct Settled {
  const State& state;  ///< every committed row
  const Shape& shape;
  const Counts& counts;  ///< acknowledged, of all sessions, warm-up included

  /// The sum of all values that are numbers, of the keys that begin with `prefix`.
  std::int64_t total(std::string_view prefix = {}) const;
  /// How many of them are below zero.
  std::int64_t below_zero(std::string_view prefix = {}) const;
  std::int64_t rows(std::string_view prefix = {}) const;
};

/// What an invariant says: empty when it holds, else what is wrong, with the values.
using Invariant = std::function<std::string(const Settled&)>;

struct LoadPattern {
  std::string name, summary;
  std::function<Task<>(LoadContext&)> body;
  std::vector<std::string> stores = {};  ///< empty: all
  /// STORE/PROTOCOL at which the pattern is known to break an invariant; "STORE/*" for all.
  std::vector<std::string> unsafe = {};

  bool runs_on(std::string_view store) const;
  bool is_unsafe(std::string_view store, std::string_view protocol) const;
};

struct NamedInvariant {
  std::string text;
  Invariant check;
};

class Workload {
 public:
  explicit Workload(std::string title) : title_(std::move(title)) {}

  /// How many rows there are unless --rows says otherwise, and what they hold at the start.
  Workload rows(std::uint64_t count, std::function<State(const Shape&)> given) &&;
  /// Percent of reads unless --read says otherwise. Without this the workload has none to choose (kNoReads).
  Workload reads(int percent) &&;
  /// No row is chosen among others, so --theta means nothing.
  Workload takes_rows_in_order() &&;
  Workload pattern(std::string name, std::string summary, std::function<Task<>(LoadContext&)> body) &&;
  /// Of the latest pattern.
  Workload only_on(std::vector<std::string> stores) &&;
  /// Of the latest pattern: see LoadPattern::unsafe.
  Workload unsafe_at(std::vector<std::string> places) &&;
  Workload holds(std::string text, Invariant check) &&;

  std::string name;  ///< "theme/name"; set by the catalogue
  const std::string& title() const noexcept { return title_; }
  std::uint64_t rows_default() const noexcept { return rows_; }
  int read_percent_default() const noexcept { return read_percent_; }
  bool has_reads() const noexcept { return read_percent_ != kNoReads; }
  bool chooses_rows() const noexcept { return chooses_rows_; }
  State given(const Shape& shape) const { return given_(shape); }
  const std::vector<LoadPattern>& patterns() const noexcept { return patterns_; }
  const std::vector<NamedInvariant>& invariants() const noexcept { return invariants_; }
  const LoadPattern* pattern_named(std::string_view pattern) const noexcept;

 private:
  std::string title_;
  std::uint64_t rows_ = 1;
  int read_percent_ = kNoReads;
  bool chooses_rows_ = true;
  std::function<State(const Shape&)> given_;
  std::vector<LoadPattern> patterns_;
  std::vector<NamedInvariant> invariants_;
};

inline Workload workload(std::string title) { return Workload(std::move(title)); }

}  // namespace lockstep::load
