// ticker.cc: see ticker.h.
#include "cli/text/ticker.h"

#include <fmt/format.h>
#include <pthread.h>

#include <chrono>
#include <csignal>
#include <utility>

namespace lockstep::cli {
namespace {

constexpr std::chrono::milliseconds kFirst{1000};
constexpr std::chrono::milliseconds kNext{200};

}  // namespace

Ticker::Ticker(bool wanted, std::string doing, std::function<std::string()> more)
    : doing_(std::move(doing)), more_(std::move(more)), line_(wanted) {
  if (!line_.is_live()) return;
  // Signals are for the threads that do the work.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { tick(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Ticker::end() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  ended_.notify_all();
  thread_.join();
  line_.erase();
}

void Ticker::tick() {
  const auto began = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  auto next = began + kFirst;
  while (!ended_.wait_until(lock, next, [this] { return is_over_; })) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const std::string more = more_ ? more_() : std::string();
    line_.show(fmt::format("{}{}  {:.0f} s", doing_, more.empty() ? "" : "  " + more, seconds));
    next += kNext;
  }
}

}  // namespace lockstep::cli
