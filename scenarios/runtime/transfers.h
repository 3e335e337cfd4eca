// transfers.h: the same transfers on kv by sessions that are threads and by sessions that are coroutines.
#pragma once

#include <fmt/format.h>
#include <pthread.h>

#include <atomic>
#include <charconv>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "engine/runtime/runtime.h"
#include "engine/stores/kv/kv_call.h"
#include "kv/base/histogram.h"
#include "kv/sync_facade.h"
#include "scenarios/runtime/measured.h"
#include "scenarios/runtime/thread_room.h"

namespace lockstep::scenarios {

/// Every session moves money between two accounts of its own, one transfer after the other. So the only thing compared
/// is how the sessions wait for their commits.
struct TransferLoad {
  int sessions = 1;
  int workers = 1;  ///< threads of the coroutines
  Nanos span{0};    ///< how long; 0 = until each has made `transfers_each`
  int transfers_each = 1;
  Nanos think{0};  ///< a coroutine sleeps about so long before each transfer; 0 = not at all
};

struct Loaded {
  std::uint64_t committed = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  int sessions = 0;                           ///< that could be begun
  std::string why_fewer;                      ///< than were wanted; empty when all could be begun
  bool failed = false;                        ///< a call of kv answered with a fault
  double p50_us = 0, p99_us = 0, max_us = 0;  ///< from a transfer's begin to its answer; of coroutines

  double per_second() const { return seconds > 0 ? static_cast<double>(committed) / seconds : 0; }
  double cpu_us_each() const { return committed > 0 ? cpu_seconds * 1e6 / static_cast<double>(committed) : 0; }
};

namespace transfers_detail {

/// Sessions and the threads that they are on share these.
struct Run {
  kv::Store& store;
  const TransferLoad load;
  Nanos ends = kNever;  ///< when `over` will be set
  std::atomic<std::uint64_t> committed{0};
  std::atomic<bool> over{false};
  std::atomic<bool> failed{false};
  std::vector<Histogram> took{};  ///< of coroutines: by worker, since only that worker's thread adds to it
};

/// The account's balance in `text`, changed by `by`.
inline void change(std::string& text, std::int64_t by) {
  std::int64_t balance = 0;
  std::from_chars(text.data(), text.data() + text.size(), balance);
  char digits[24];
  text.assign(digits, std::to_chars(digits, digits + sizeof digits, balance + by).ptr);
}

inline std::string account(int session, char side) { return std::string(1, side) + std::to_string(session); }

inline bool goes_on(const Run& run, int made) {
  return run.load.span == Nanos(0) ? made < run.load.transfers_each : !run.over.load(std::memory_order_relaxed);
}

inline bool transfer(kv::SyncTransaction txn, const std::string& from, const std::string& to, std::string& balance) {
  for (const auto& [name, by] : {std::pair(&from, -1), std::pair(&to, 1)}) {
    if (!txn.read_for_update(*name, balance).ok()) return false;
    change(balance, by);
    if (!txn.write(*name, balance).ok()) return false;
  }
  return txn.commit().ok();
}

inline void thread_session(Run& run, int session) {
  const std::string from = account(session, 'a'), to = account(session, 'b');
  std::string balance;
  int made = 0;
  for (; goes_on(run, made); ++made) {
    if (transfer(kv::SyncTransaction(run.store.begin()), from, to, balance)) continue;
    run.failed = true;
    break;
  }
  run.committed.fetch_add(static_cast<std::uint64_t>(made), std::memory_order_relaxed);
}

inline Task<> coroutine_session(Run* run, int session) {
  const std::string names[] = {account(session, 'a'), account(session, 'b')};
  std::string balance;
  int made = 0;
  const Nanos think = run->load.think;
  for (; goes_on(*run, made); ++made) {
    // Between half and one and a half of it, so that sessions do not come in step.
    if (think > Nanos(0)) {
      const std::uint32_t noise =
          (static_cast<std::uint32_t>(session) * 7919U + static_cast<std::uint32_t>(made) * 104729U) % 1000;
      const Nanos wakes = now() + think / 2 + think * noise / 1000;
      if (wakes >= run->ends) break;  // where little gets done the pauses are long: nobody sleeps past the end
      co_await runtime::sleep_until(wakes);
    }
    const Nanos began = now();
    kv::Transaction txn = run->store.begin();
    for (int side = 0; side < 2; ++side) {
      const std::string& name = names[side];
      const auto read = [&](Waiter& w) { return txn.read_for_update(name, balance, w); };
      const Result<bool> found = co_await runtime::kv_call(txn, read);
      change(balance, side == 0 ? -1 : 1);
      const auto write = [&](Waiter& w) { return txn.write(name, balance, w); };
      const Result<void> written = co_await runtime::kv_call(txn, write);
      if (!found.ok() || !written.ok()) run->failed = true;
    }
    const auto commit = [&](Waiter& w) { return txn.commit(w); };
    const Result<void> committed = co_await runtime::kv_call(txn, commit);
    if (!committed.ok()) run->failed = true;
    if (think > Nanos(0)) run->took[static_cast<std::size_t>(session % run->load.workers)].record(now() - began);
    // An embedded store answers at once where nothing is to be waited for. A session with a worker to itself still lets
    // the clock's coroutine have its turn.
    if (run->load.sessions > run->load.workers || made % 64 == 0) co_await runtime::yield();
  }
  run->committed.fetch_add(static_cast<std::uint64_t>(made), std::memory_order_relaxed);
}

inline Task<> coroutine_sessions(runtime::Group& group, Run* run) {
  if (run->load.span > Nanos(0)) run->ends = now() + run->load.span;
  for (int i = 0; i < run->load.sessions; ++i) {
    group.spawn(coroutine_session(run, i), {"session", static_cast<std::uint32_t>(i + 1)}, i % run->load.workers);
  }
  if (run->load.span > Nanos(0)) co_await runtime::sleep_for(run->load.span);
  run->over = true;
}

}  // namespace transfers_detail

/// Puts 1,000 into both accounts of every session.
inline bool fill(kv::Store& store, int sessions) {
  using transfers_detail::account;
  kv::SyncTransaction txn(store.begin({.claims_all = true}));
  for (int i = 0; i < sessions; ++i) {
    if (!txn.write(account(i, 'a'), "1000").ok() || !txn.write(account(i, 'b'), "1000").ok()) return false;
  }
  return txn.commit().ok();
}

/// The sum of all accounts.
inline std::int64_t total(kv::Store& store) {
  std::vector<kv::Row> rows;
  kv::SyncTransaction txn(store.begin({.claims_all = true}));
  if (!txn.scan("", "", SIZE_MAX, rows).ok()) return -1;
  std::int64_t sum = 0;
  for (const kv::Row& row : rows) sum += std::stoll(row.value);
  return sum;
}

namespace transfers_detail {

/// A session that is a thread.
struct ThreadSession {
  Run* run = nullptr;
  std::atomic<bool>* begin = nullptr;
  int session = 0;
  pthread_t thread{};
};
inline void* run_thread_session(void* argument) {
  const auto& self = *static_cast<ThreadSession*>(argument);
  self.begin->wait(false);
  thread_session(*self.run, self.session);
  return nullptr;
}

/// Makes threads with a small stack for `sessions`, as many as this machine has room for. Those that there are remain,
/// and a sentence says why there are no more.
inline std::string make_threads(std::vector<ThreadSession>& sessions) {
  constexpr std::size_t kStackBytes = 256 << 10;       // reserved: a session touches some 8 kB of it
  constexpr Nanos kLongest = std::chrono::seconds(5);  // the more there are, the longer it takes to make another
  const ThreadRoom room = thread_room();
  const Nanos until = now() + kLongest;
  pthread_attr_t small;
  ::pthread_attr_init(&small);
  ::pthread_attr_setstacksize(&small, kStackBytes);
  std::string why;
  std::size_t made = 0;
  for (; made < sessions.size(); ++made) {
    if (made == room.threads) {
      why = room.why + ", and others need threads too";
    } else if (now() > until) {
      why = fmt::format("to make them took {} s", kLongest / std::chrono::seconds(1));
    } else if (const int error = ::pthread_create(&sessions[made].thread, &small, run_thread_session, &sessions[made]);
               error != 0) {
      why = "the system says: " + std::generic_category().message(error);
    }
    if (!why.empty()) break;
  }
  sessions.resize(made);
  ::pthread_attr_destroy(&small);
  return why;
}

}  // namespace transfers_detail

/// Sessions that are threads: as many as the system allows.
inline Loaded transfers_on_threads(kv::Store& store, const TransferLoad& load) {
  transfers_detail::Run run{.store = store, .load = load};
  std::atomic<bool> begin{false};
  std::vector<transfers_detail::ThreadSession> threads(static_cast<std::size_t>(load.sessions));
  for (std::size_t i = 0; i < threads.size(); ++i)
    threads[i] = {.run = &run, .begin = &begin, .session = static_cast<int>(i)};
  std::string why_fewer = transfers_detail::make_threads(threads);
  const Nanos began = now();
  const double cpu = cpu_seconds();
  begin = true;
  begin.notify_all();
  if (load.span > Nanos(0)) std::this_thread::sleep_for(load.span);
  run.over = true;
  for (const auto& each : threads) ::pthread_join(each.thread, nullptr);
  return {.committed = run.committed,
          .seconds = static_cast<double>((now() - began).count()) / 1e9,
          .cpu_seconds = cpu_seconds() - cpu,
          .sessions = static_cast<int>(threads.size()),
          .why_fewer = std::move(why_fewer),
          .failed = run.failed};
}

/// Sessions that are coroutines on `load.workers` loops.
inline Loaded transfers_on_coroutines(kv::Store& store, const TransferLoad& load) {
  transfers_detail::Run run{.store = store, .load = load};
  run.took.resize(static_cast<std::size_t>(load.workers));
  const Nanos began = now();
  const double cpu = cpu_seconds();
  const Result<void> ended =
      runtime::run(runtime::with_group(transfers_detail::coroutine_sessions, &run), {.workers = load.workers});
  Histogram took;
  for (const Histogram& each : run.took) took.merge(each);
  const auto us = [](Nanos span) { return static_cast<double>(span.count()) / 1e3; };
  return {.committed = run.committed,
          .seconds = static_cast<double>((now() - began).count()) / 1e9,
          .cpu_seconds = cpu_seconds() - cpu,
          .sessions = load.sessions,
          .why_fewer = {},
          .failed = run.failed || !ended.ok(),
          .p50_us = us(took.quantile(0.5)),
          .p99_us = us(took.quantile(0.99)),
          .max_us = us(took.max())};
}

}  // namespace lockstep::scenarios
