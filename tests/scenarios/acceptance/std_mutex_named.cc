// The same bodies with the names of the standard library that engine/sync has: their waits are seen, and judged.
#include "engine/actor/pause.h"
#include "engine/sync/std_names.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;

struct NamedClient {
  std_names::mutex a{"a"};
  std_names::mutex b{"b"};
  std_names::condition_variable done{"done"};
  std_names::once_flag connected{"connected"};
  int finished = 0;
  int connections = 0;
};

Task<> connect(Context& c) {
  co_await pause(1ms);
  ++c.world<NamedClient>().connections;
}

Task<> perform(Context& c) {
  auto& client = c.world<NamedClient>();
  co_await std_names::call_once(client.connected, connect(c));
  const std_names::lock_guard guard = co_await client.a.lock();
  co_await pause(1ms);
  ++client.finished;
}

Task<> a_then_b(Context& c) {
  auto& client = c.world<NamedClient>();
  const std_names::lock_guard guard = co_await client.a.lock();
  co_await pause(1ms);
  const std_names::lock_guard guard2 = co_await client.b.lock();
  ++client.finished;
}

Task<> b_then_a(Context& c) {
  auto& client = c.world<NamedClient>();
  const std_names::lock_guard guard = co_await client.b.lock();
  co_await pause(1ms);
  const std_names::lock_guard guard2 = co_await client.a.lock();
  ++client.finished;
}

Task<> joins_both(Context& c) {
  auto& client = c.world<NamedClient>();
  std_names::unique_lock lock = co_await client.a.lock();
  while (client.finished == 0) co_await client.done.wait(lock);
  co_await std_names::join("T2");
}

Task<> says_so_too_late(Context& c) {
  auto& client = c.world<NamedClient>();
  {
    const std_names::lock_guard guard = co_await client.a.lock();
    ++client.finished;
    co_await client.done.notify_one();
  }
  const std_names::lock_guard last = co_await client.a.lock();
}

}  // namespace

Scenario cases_std_mutex_named() {
  return scenario("The names of the standard library")
      .with<NamedClient>()
      .pattern("held", "held across a suspension")
      .actor("T1", perform)
      .actor("T2", perform)
      .schedule("T1 T2")
      .expect("none", "*: clean")
      .pattern("inversion", "two of them in opposite order")
      .actor("T1", a_then_b)
      .actor("T2", b_then_a)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .pattern("join", "a join with the lock in hand that the joined one wants")
      .actor("T1", joins_both)
      .actor("T2", says_so_too_late)
      .schedule("T1 T1 T2 T2 T2 T1 T1 T2")
      .expect("none", "*: deadlock");
}

}  // namespace lockstep::scenarios
