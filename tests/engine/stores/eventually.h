// eventually.h: waiting for what another process brings about, where nothing but looking tells.
#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace lockstep::testing_support {

using namespace std::chrono_literals;

/// Asks often at first, then more slowly; false when it did not come true within `limit`.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = 20s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (auto step = 1ms; !condition(); step = std::min(step * 2, std::chrono::milliseconds(50))) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(step);
  }
  return true;
}

}  // namespace lockstep::testing_support
