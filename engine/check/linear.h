// linear.h: whether the calls of one object can be put in one order that its clients could have seen (Herlihy and Wing,
// "Linearizability", 1990).
//
// The search is that of Wing and Gong, "Testing and verifying concurrent objects", 1993, with the memo of Lowe,
// "Testing for linearizability", 2017: what was done, as a set, and the state that it left are looked at once. A set is
// known by a hash of 128 bits: two of them are taken for one with a chance of about 1 in 10^20 where there are a
// billion.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/check/findings.h"

namespace lockstep::check {

/// One call of an object whose state is one number; 0: nil, its first state.
struct LinearCall {
  enum class Kind : std::uint8_t {
    read,     ///< saw `a`
    write,    ///< made it `a`
    cas,      ///< saw `a` and made it `b`
    differs,  ///< saw something else than `a`
    append,   ///< made it what Appends says of the state and `a`
  };
  Kind kind = Kind::read;
  std::uint32_t a = 0, b = 0;
  std::int64_t began = 0, ended = 0;  ///< places in one order; no two alike
  bool certain = true;                ///< false: it may have happened after it began, or never
};

/// The state that an append of a number makes of a state.
using Appends = std::function<std::uint32_t(std::uint32_t state, std::uint32_t number)>;

struct LinearAnswer {
  Judgement answer = Judgement::unknown;
  std::vector<std::uint32_t> order;  ///< calls: an order that fits; when there is none, the longest beginning of one
  std::uint32_t stuck = 0;           ///< the call that fits nowhere behind it
  std::uint64_t states = 0;          ///< that were looked at
  bool out_of_memory = false;        ///< else, when unknown, out of time
};

/// Whether `calls` are linearizable. Gives up at `deadline`, and when the memo would take more than `memory_most`
/// bytes.
LinearAnswer linearize(const std::vector<LinearCall>& calls, const Appends& appends,
                       std::chrono::steady_clock::time_point deadline, std::uint64_t memory_most = 2'000'000'000);

}  // namespace lockstep::check
