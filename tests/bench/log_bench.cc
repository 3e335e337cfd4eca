// log_bench.cc: what durability costs: synced commits against the disk's own rate, the other durabilities, recovery.
//
//   build/release/tests/log_bench --benchmark_filter=Synced        (LOCKSTEP_BENCH_DIR names the disk; default: here)
//
// A transaction is that of PEERS.md: 10 operations on 200,000 records, half of them writes of 100 bytes. Sessions are
// not threads: two threads drive them, and a session that waits for the log costs nobody anything.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "kv/base/mutex.h"
#include "kv/store.h"
#include "kv/sync_facade.h"

namespace lockstep::kv {
namespace {

constexpr unsigned kRecords = 200'000;
constexpr int kOperations = 10;
constexpr int kDrivers = 2;

std::string folder() {
  const char* const parent = std::getenv("LOCKSTEP_BENCH_DIR");
  return fmt::format("{}/log_bench-{}", parent ? parent : ".", ::getpid());
}

std::string key_of(unsigned number) { return fmt::format("key{:08}", number); }

Result<std::unique_ptr<Store>> open_on_disk(Durability durability) {
  return Store::open({.protocol = "occ", .path = folder(), .durability = durability});
}

void load(Store& store, unsigned records) {
  for (unsigned i = 0; i < records;) {
    SyncTransaction txn(store.begin());
    for (const unsigned end = std::min(records, i + 1000); i < end; ++i)
      LOCKSTEP_CHECK(txn.write(key_of(i), std::string(100, 'v')).ok());
    LOCKSTEP_CHECK(txn.commit().ok());
  }
}

/// Many sessions, driven by a few threads.
class Load {
 public:
  Load(Store& store, int sessions) : store_(store) {
    for (int i = 0; i < sessions; ++i) sessions_.push_back(std::make_unique<Session>(*this, static_cast<unsigned>(i)));
  }

  /// Commits about `transactions` of them.
  void run(std::size_t transactions) {
    {
      MutexLock lock(mutex_);
      left_ = transactions;
      running_ = sessions_.size();
      for (const auto& session : sessions_) ready_.push_back(session.get());
    }
    std::vector<std::thread> drivers;
    for (int i = 0; i < kDrivers; ++i) drivers.emplace_back([this] { drive(); });
    for (std::thread& driver : drivers) driver.join();
  }

 private:
  struct Session final : Waiter {
    Session(Load& of, unsigned seed) : load(of), random(seed) {}
    void wake() noexcept override { load.make_ready(*this); }
    Load& load;
    std::minstd_rand random;
    Transaction txn;
    bool committing = false;
    std::string value;
  };

  void make_ready(Session& session) {
    MutexLock lock(mutex_);
    ready_.push_back(&session);
    changed_.notify_one();
  }

  /// The next session that can go on; &over_ for one that has nothing left to do; nullptr when all are done.
  Session* next() {
    MutexLock lock(mutex_);
    while (ready_.empty() && running_ > 0) changed_.wait(mutex_);
    if (ready_.empty()) return nullptr;
    Session* const session = ready_.front();
    ready_.pop_front();
    if (session->committing) return session;
    if (left_ == 0) {
      if (--running_ == 0) changed_.notify_all();
      return &over_;
    }
    --left_;
    return session;
  }

  void drive() {
    while (Session* const session = next())
      if (session != &over_) step(*session);
  }

  void step(Session& session) {
    while (true) {
      if (!session.committing) {
        session.txn = store_.begin();
        for (int i = 0; i < kOperations; ++i) {
          const std::string key = key_of(static_cast<unsigned>(session.random()) % kRecords);
          if (i % 2 == 0)
            LOCKSTEP_CHECK(session.txn.read(key, session.value, session)->ok());
          else
            LOCKSTEP_CHECK(session.txn.write(key, std::string(100, 'w'), session)->ok());
        }
        session.committing = true;
      }
      const Attempt<void> answer = session.txn.commit(session);
      if (!answer) return;  // wake() brings it back
      session.committing = false;
      if (answer->ok()) break;
      LOCKSTEP_CHECK(is_retry_safe(answer->fault()), "{}", answer->error().message);
    }
    make_ready(session);
  }

  Store& store_;
  std::vector<std::unique_ptr<Session>> sessions_;
  Session over_{*this, 0};
  Mutex mutex_;
  CondVar changed_;
  std::deque<Session*> ready_ LOCKSTEP_GUARDED_BY(mutex_);
  std::size_t left_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
  std::size_t running_ LOCKSTEP_GUARDED_BY(mutex_) = 0;
};

void run_load(benchmark::State& state, Store& store, std::size_t transactions) {
  Load load_of(store, static_cast<int>(state.range(0)));
  std::size_t done = 0;
  for (auto _ : state) {
    load_of.run(transactions);
    done += transactions;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
}

/// The floor: 4 KiB and fdatasync, one after the other.
void DiskSyncs(benchmark::State& state) {
  const std::string path = folder() + ".sync";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  const std::string block(4096, 'x');
  for (auto _ : state) {
    LOCKSTEP_CHECK(::write(fd, block.data(), block.size()) == static_cast<ssize_t>(block.size()));
    LOCKSTEP_CHECK(::fdatasync(fd) == 0);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
  ::close(fd);
  ::unlink(path.c_str());
}
BENCHMARK(DiskSyncs)->UseRealTime();

void Commits(benchmark::State& state, Durability durability) {
  std::filesystem::remove_all(folder());
  {
    auto store = open_on_disk(Durability::none).value();
    load(*store, kRecords);
  }
  {
    auto store = open_on_disk(durability).value();
    const bool sync = durability == Durability::sync;
    run_load(state, *store, sync ? static_cast<std::size_t>(state.range(0)) * 20 : 20'000);
  }
  std::filesystem::remove_all(folder());
}
BENCHMARK_CAPTURE(Commits, Synced, Durability::sync)->Arg(1)->Arg(8)->Arg(32)->Arg(1000)->UseRealTime();
BENCHMARK_CAPTURE(Commits, Async, Durability::async)->Arg(2)->UseRealTime();
BENCHMARK_CAPTURE(Commits, None, Durability::none)->Arg(2)->UseRealTime();

void CommitsInMemory(benchmark::State& state) {
  auto store = Store::open({.protocol = "occ"}).value();
  load(*store, kRecords);
  run_load(state, *store, 20'000);
}
BENCHMARK(CommitsInMemory)->Arg(2)->UseRealTime();

/// One million records, each from a commit of its own, then from a checkpoint (argument 1).
void Recovers(benchmark::State& state) {
  constexpr unsigned kMillion = 1'000'000;
  std::filesystem::remove_all(folder());
  Options options{.protocol = "occ", .path = folder(), .durability = Durability::none};
  options.log_limits.checkpoint_bytes = state.range(0) == 1 ? 1 : ~std::uint64_t{0};
  {
    auto store = Store::open(options).value();
    for (unsigned i = 0; i < kMillion; ++i) {
      SyncTransaction txn(store->begin());
      LOCKSTEP_CHECK(txn.write(key_of(i * 7919 % kMillion), std::string(100, 'v')).ok());
      LOCKSTEP_CHECK(txn.commit().ok());
    }
    while (state.range(0) == 1 && store->log_status()->checkpoint < kMillion * 3 / 4) std::this_thread::yield();
  }
  options.log_limits.checkpoint_bytes = ~std::uint64_t{0};
  for (auto _ : state) {
    auto store = Store::open(options).value();
    state.PauseTiming();
    store.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * kMillion);
  std::filesystem::remove_all(folder());
}
BENCHMARK(Recovers)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace lockstep::kv

BENCHMARK_MAIN();
