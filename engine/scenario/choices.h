// choices.h: the rows among which the sessions of a run choose, and what these tell each other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/scenario/zipf.h"
#include "engine/store/backend.h"

namespace lockstep {

/// A percentage of reads where the bodies do not divide their transactions so.
inline constexpr int kNoReads = -1;

/// What a load is like, beside its strategy.
struct Shape {
  std::uint64_t rows = 1;  ///< among which a transaction chooses; the scenario says what a row is
  double theta = 0;        ///< 0: all alike; towards 1: ever fewer get ever more (Zipf)
  /// Of the transactions, or of the operations: the scenario says which. kNoReads where it has none to choose.
  int read_percent = 50;
  std::uint64_t seed = 1;
};

/// What a session counts for the invariants: what the store has acknowledged. Each session has its own; they are added
/// up when the round is over.
struct Counts {
  std::array<std::int64_t, 4> values{};
  std::int64_t& operator[](std::size_t which) { return values[which]; }
  std::int64_t operator[](std::size_t which) const { return values[which]; }
  Counts& operator+=(const Counts& other) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
    return *this;
  }
};

/// What the sessions of a round tell each other, for scenarios whose clients know of one another's inserts (YCSB D).
/// Thread-safe; nobody else touches it, so other scenarios share nothing.
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

/// One for each run or round, shared by its sessions. Thread-safe: only the board changes.
struct Choices {
  explicit Choices(const Shape& of) : shape(of), zipf(of.rows, of.theta), scatter(of.rows) {}

  const Shape shape;
  const Zipf zipf;
  const Scatter scatter;
  Board board;
};

/// "account/0000042": fixed width, so that the order of the keys is that of the numbers.
std::string key_of(std::string_view prefix, std::uint64_t number);
/// `rows` keys that hold `value`.
State numbered(std::string_view prefix, std::uint64_t rows, std::string_view value);

}  // namespace lockstep
