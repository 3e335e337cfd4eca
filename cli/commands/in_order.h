// in_order.h: many results, made side by side and taken one by one in their order.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "kv/base/mutex.h"

namespace lockstep::cli {

/// Calls make(0), make(1) … make(count - 1) on at most `jobs` threads, and take(i, result) for each in order, on the
/// thread of the caller, as soon as it is there. When take() gives false nothing more is begun, and the call returns
/// when what has begun is over. make() does not throw.
template <class Result, class Make, class Take>
void make_in_order(std::size_t count, std::size_t jobs, const Make& make, const Take& take) {
  Mutex mutex;
  CondVar made;
  std::vector<std::optional<Result>> results(count);  // each: guarded by the mutex
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (std::size_t n = std::min(jobs, count); n > 0; --n) {
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) {
        Result result = make(i);
        MutexLock lock(mutex);
        results[i] = std::move(result);
        made.notify_all();
      }
    });
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::optional<Result> result;
    {
      MutexLock lock(mutex);
      while (!results[i]) made.wait(mutex);
      result = std::exchange(results[i], std::nullopt);
    }
    if (!take(i, std::move(*result))) break;
  }
  next = count;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace lockstep::cli
