// random.h: the one generator of pseudo-random numbers, and its mixing function as a hash.
//
// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#pragma once

#include <cstdint>

namespace lockstep {

inline constexpr std::uint64_t kSplitMixStep = 0x9e3779b97f4a7c15U;

/// The next number of SplitMix64 after the state `z`: every bit of it depends on every bit of `z`.
constexpr std::uint64_t mixed(std::uint64_t z) noexcept {
  z += kSplitMixStep;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

/// A UniformRandomBitGenerator. Two streams of one seed differ. Not thread-safe. Made in no time, since a search makes
/// one for every actor of every run.
class Random {
 public:
  using result_type = std::uint64_t;
  constexpr Random(std::uint64_t seed, std::uint64_t stream) noexcept : state_(seed * kSplitMixStep + stream) {
    (*this)();
  }
  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return ~result_type{0}; }
  constexpr result_type operator()() noexcept {
    const result_type number = mixed(state_);
    state_ += kSplitMixStep;
    return number;
  }

 private:
  std::uint64_t state_;
};

}  // namespace lockstep
