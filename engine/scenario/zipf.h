// zipf.h: which records a client touches.
//
// Ranks after Gray, Sundaresan, Englert, Baclawski, Weinberger, "Quickly generating billion-record synthetic
// databases", 1994, section 3.2; as in YCSB (Cooper et al., 2010) the ranks are then scattered over the key space, so
// that hot records are not neighbours. Here by a permutation, so that each record has exactly one rank.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "kv/base/random.h"

namespace lockstep {

/// Numbers below `n`, where rank i comes up in proportion to 1 / (i + 1)^theta; uniform for theta = 0.
class Zipf {
 public:
  /// 0 <= theta < 1, n > 0. Takes time in proportion to n.
  Zipf(std::uint64_t n, double theta) : n_(n), theta_(theta) {
    if (theta == 0) return;
    for (std::uint64_t i = 1; i <= n; ++i) zeta_n_ += std::pow(1.0 / static_cast<double>(i), theta);
    const double zeta_2 = 1 + std::pow(0.5, theta);
    alpha_ = 1 / (1 - theta);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(n), 1 - theta)) / (1 - zeta_2 / zeta_n_);
  }

  template <class Random>
  std::uint64_t operator()(Random& random) const {
    if (theta_ == 0) return std::uniform_int_distribution<std::uint64_t>(0, n_ - 1)(random);
    const double u = std::uniform_real_distribution<double>(0, 1)(random);
    const double uz = u * zeta_n_;
    if (uz < 1) return 0;
    if (uz < 1 + std::pow(0.5, theta_)) return n_ > 1 ? 1 : 0;
    const auto rank = static_cast<std::uint64_t>(static_cast<double>(n_) * std::pow(eta_ * u - eta_ + 1, alpha_));
    return rank < n_ ? rank : n_ - 1;
  }

 private:
  std::uint64_t n_;
  double theta_;
  double zeta_n_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
};

/// A permutation of the numbers below `n`: a Feistel network on the next even number of bits, walked until it is back
/// below `n` (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
class Scatter {
 public:
  explicit Scatter(std::uint64_t n) : n_(n), half_bits_((std::bit_width(n - 1) + 1) / 2 + 1) {}

  std::uint64_t operator()(std::uint64_t i) const {
    do i = network(i);
    while (i >= n_);
    return i;
  }

 private:
  std::uint64_t network(std::uint64_t i) const {
    const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
    std::uint64_t left = i >> half_bits_;
    std::uint64_t right = i & mask;
    for (std::uint64_t round = 1; round <= 4; ++round) {
      const std::uint64_t next = left ^ (mixed(right ^ (round << 56U)) & mask);
      left = right;
      right = next;
    }
    return left << half_bits_ | right;
  }

  std::uint64_t n_;
  int half_bits_;
};

}  // namespace lockstep
