// The cost of beginning and ending a thread or a coroutine, and of letting another one go. The seeds of the answer are
// old (T. Anderson et al., "Scheduler activations", SOSP 1991). A switch that the program makes itself is a few
// instructions. One that the kernel makes is a system call, a scheduler's decision and cold caches.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"
#include "scenarios/runtime/measured.h"

namespace lockstep::scenarios {
namespace {

using runtime::Group;
using runtime::Strand;

struct Counted {
  std::uint64_t expected = 0;
  std::uint64_t ran = 0;
};

Task<> count_one(Counted* counted) {
  ++counted->ran;
  co_return;
}
Task<> take_turns(Counted* counted, int turns) {
  for (int i = 0; i < turns; ++i) {
    ++counted->ran;
    co_await runtime::yield();
  }
}

struct Times {
  Nanos spawned{0};
  Nanos switched{0};
};

Task<> measure_coroutines(Counted* counted, int count, Times* times) {
  Strand& self = co_await runtime::this_strand();
  Group group(self);
  const Nanos began = now();
  for (int i = 0; i < count; ++i) {
    group.spawn(count_one(counted));
    if (i % 100 == 99) co_await group.join();  // so that memory is used again, as in a server
  }
  co_await group.join();
  const Nanos spawned = now();
  for (int i = 0; i < 2; ++i) group.spawn(take_turns(counted, count));
  co_await group.join();
  *times = {.spawned = spawned - began, .switched = now() - spawned};
}

/// Two threads that hand a turn to each other.
void switch_threads(Counted& counted, int turns) {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  const auto play = [&](int me) {
    std::unique_lock<std::mutex> lock(mutex);
    for (int i = 0; i < turns; ++i) {
      while (turn != me) changed.wait(lock);
      ++counted.ran;
      turn = 1 - me;
      changed.notify_one();
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
}

void show(const Context& c, const char* who, const Times& times, int count) {
  c.figure(who, "begin and end", static_cast<double>(times.spawned.count()) / count, "ns");
  c.figure(who, "switch", static_cast<double>(times.switched.count()) / (2.0 * count), "ns");
}

Task<> measure(Context& c) {
  auto& counted = c.world<Counted>();
  const int coroutines = c.measures ? 200'000 : 20;
  const int threads = c.measures ? 2'000 : 2;
  counted.expected = static_cast<std::uint64_t>(3 * (coroutines + threads));

  Times times;
  const Result<void> ended = runtime::run(measure_coroutines(&counted, coroutines, &times));
  if (!ended.ok()) co_await fail(ended.error());
  show(c, "coroutine", times, coroutines);

  const Nanos began = now();
  for (int i = 0; i < threads; ++i) std::thread([&counted] { ++counted.ran; }).join();
  const Nanos spawned = now();
  switch_threads(counted, threads);
  show(c, "thread", {.spawned = spawned - began, .switched = now() - spawned}, threads);
  c.note("each has run as often as it was asked to");
}

}  // namespace

Scenario runtime_spawn_and_switch() {
  return scenario("To begin one, and to let another go")
      .story(
          "So many coroutines and so many threads are begun and end; then two of each kind take turns. Run it to see "
          "the "
          "figures.")
      .with<Counted>()

      .own_code_at_most(std::chrono::minutes(1))
      .pattern("both", "coroutines, then threads")
      .actor("clock", measure)
      .expect("none", "*: clean")
      .why("A coroutine is begun by an allocation and resumed by a call; a thread is begun and woken by the kernel.")

      .holds("everybody has run",
             [](const Final& end) { return end.world<Counted>().ran == end.world<Counted>().expected; });
}

}  // namespace lockstep::scenarios
