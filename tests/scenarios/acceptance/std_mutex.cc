// Code of the application's own: std::mutex, held across a suspension. Nobody sees these waits but the operating
// system.
#include <mutex>

#include "engine/actor/pause.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;

struct Client {
  std::mutex a;
  std::mutex b;
  int finished = 0;
};

Task<> perform(Context& c) {
  auto& client = c.world<Client>();
  const std::lock_guard guard(client.a);
  co_await pause(1ms);
  ++client.finished;
}

Task<> a_then_b(Context& c) {
  auto& client = c.world<Client>();
  const std::lock_guard guard(client.a);
  co_await pause(1ms);
  const std::lock_guard guard2(client.b);
  ++client.finished;
}

Task<> b_then_a(Context& c) {
  auto& client = c.world<Client>();
  const std::lock_guard guard(client.b);
  co_await pause(1ms);
  const std::lock_guard guard2(client.a);
  ++client.finished;
}

}  // namespace

Scenario cases_std_mutex() {
  return scenario("std::mutex in the user's own code")
      .with<Client>()
      .pattern("held", "held across a suspension")
      .actor("T1", perform)
      .actor("T2", perform)
      .schedule("T1 T2")
      .expect("none", "*: deadlock")
      .pattern("inversion", "two of them in opposite order")
      .actor("T1", a_then_b)
      .actor("T2", b_then_a)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock");
}

}  // namespace lockstep::scenarios
