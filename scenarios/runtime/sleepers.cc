// Ten thousand sleepers (D. Kegel, "The C10K problem", 1999), and a million: each waits for its moment and notes how
// late it woke. A thread asleep has a stack, a kernel stack and page tables; a coroutine asleep is its frame and a
// timer in it.
#include <fmt/format.h>

#include <atomic>
#include <system_error>
#include <thread>

#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"
#include "scenarios/runtime/measured.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;
using runtime::Group;

struct Bedroom {
  std::atomic<std::size_t> begun{0};
  std::atomic<std::size_t> woken{0};
};

/// When they wake: one after the other over `spread`, from `first` on.
struct Alarm {
  Nanos first;
  Nanos spread;
  std::size_t count;
  Nanos of(std::size_t i) const {
    return first + spread * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(count);
  }
};

Task<> sleeper(Bedroom* room, const Alarm* alarm, std::size_t i, std::int64_t* late_ns) {
  const Nanos moment = alarm->of(i);
  co_await runtime::sleep_until(moment);
  *late_ns = (now() - moment).count();
  room->woken.fetch_add(1, std::memory_order_relaxed);
}

Task<> put_to_bed(Group& group, Bedroom* room, Alarm* alarm, std::vector<std::int64_t>* late_ns, double* bytes) {
  give_back_memory();
  const double before = resident_bytes();
  for (std::size_t i = 0; i < alarm->count; ++i) group.spawn(sleeper(room, alarm, i, &(*late_ns)[i]));
  // They go to sleep in the loop's next turns; the first one wakes when all of them have.
  alarm->first = now() + 1ms + 3us * alarm->count;
  co_await runtime::sleep_until(alarm->first - 500us);
  *bytes = (resident_bytes() - before) / static_cast<double>(alarm->count);
}

void show(const Context& c, const std::string& who, const std::vector<std::int64_t>& late_ns, double bytes) {
  const Latenesses late(late_ns);
  c.figure(who, "resident each", bytes, "B");
  c.figure(who, "late p50", late.us(500), "us");
  c.figure(who, "late p99", late.us(990), "us");
  c.figure(who, "late max", late.us(1000), "us");
}

Task<> coroutines_sleep(Context& c) {
  auto& room = c.world<Bedroom>();
  for (const std::size_t count :
       c.measures ? std::vector<std::size_t>{10'000, 100'000, 1'000'000} : std::vector<std::size_t>{100}) {
    std::vector<std::int64_t> late_ns(count);
    Alarm alarm{Nanos(0), c.measures ? 1s + 2us * count : 1ms, count};
    double bytes = 0;
    const Result<void> ended = runtime::run(runtime::with_group(put_to_bed, &room, &alarm, &late_ns, &bytes));
    if (!ended.ok()) co_await fail(ended.error());
    room.begun += count;
    show(c, fmt::format("{} coroutines", count), late_ns, bytes);
  }
  c.note("every sleeper has a frame and a timer in it, and all of them one thread");
}

Task<> threads_sleep(Context& c) {
  auto& room = c.world<Bedroom>();
  for (const std::size_t count : c.measures ? std::vector<std::size_t>{1'000, 10'000} : std::vector<std::size_t>{4}) {
    std::vector<std::int64_t> late_ns(count);
    const Alarm alarm{now() + (c.measures ? 300ms + 100us * count : 1ms), c.measures ? 1s : 1ms, count};
    give_back_memory();
    const double before = resident_bytes();
    std::vector<std::thread> threads;
    try {
      for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&room, &late = late_ns[i], moment = alarm.of(i)] {
          std::this_thread::sleep_for(moment - now());
          late = std::max<std::int64_t>((now() - moment).count(), 0);
          room.woken.fetch_add(1, std::memory_order_relaxed);
        });
      }
    } catch (const std::system_error&) {
      c.note(fmt::format("the system allows {} threads, not {}", threads.size(), count));
    }
    room.begun += threads.size();
    const double bytes = (resident_bytes() - before) / static_cast<double>(std::max<std::size_t>(threads.size(), 1));
    for (std::thread& thread : threads) thread.join();
    late_ns.resize(threads.size());
    show(c, fmt::format("{} threads", threads.size()), late_ns, bytes);
  }
  c.note("every sleeper has a thread, and the kernel a stack and page tables for it beside what is shown");
  co_return;
}

}  // namespace

Scenario runtime_sleepers() {
  return scenario("Ten thousand sleepers, and a million")
      .story("Each sleeper has a moment of its own, and notes how late it woke. Run it to see the figures.")
      .with<Bedroom>()

      .own_code_at_most(std::chrono::minutes(1))
      .pattern("coroutines", "every sleeper is a coroutine on one loop")
      .actor("sleepers", coroutines_sleep)
      .expect("none", "*: clean")
      .why(
          "A timer wheel takes a moment in and gives it out in a few instructions, whether there are ten or a million.")

      .pattern("threads", "every sleeper is a thread")
      .actor("sleepers", threads_sleep)
      .expect("none", "*: clean")
      .why("Each wakes by itself and soon, but costs tens of kilobytes and some 50 us to begin.")

      .holds("everybody wakes", [](const Final& end) {
        const auto& room = end.world<Bedroom>();
        return room.begun > 0 && room.woken == room.begun;
      });
}

}  // namespace lockstep::scenarios
