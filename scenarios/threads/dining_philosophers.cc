// The dining philosophers (Dijkstra, 1965, EWD310; with forks by Hoare): five at a round table, five forks. Each needs
// the two beside it. If all take the left fork first, all wait for the right one. Three ways to feed them.
#include <array>

#include "engine/actor/pause.h"
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using std::chrono::milliseconds;

struct Dinner {
  std::array<sync::Mutex, 5> forks{{{"fork 0"}, {"fork 1"}, {"fork 2"}, {"fork 3"}, {"fork 4"}}};
  sync::Semaphore chairs{"chairs", 4, sync::Semaphore::Permits::owned};
  std::array<bool, 5> eating{};
  bool shared_a_fork = false;
};

/// With both forks in hand.
Task<> eat(Dinner& dinner, std::size_t seat) {
  if (dinner.eating[(seat + 1) % 5] || dinner.eating[(seat + 4) % 5]) dinner.shared_a_fork = true;
  dinner.eating[seat] = true;
  co_await pause(milliseconds(1));
  dinner.eating[seat] = false;
}

Task<> left_then_right(Context& c, std::size_t seat) {
  auto& dinner = c.world<Dinner>();
  const sync::Guard left = co_await dinner.forks[seat].lock();
  const sync::Guard right = co_await dinner.forks[(seat + 1) % 5].lock();
  co_await eat(dinner, seat);
}

Task<> smaller_fork_first(Context& c, std::size_t seat) {
  auto& dinner = c.world<Dinner>();
  const sync::Guard first = co_await dinner.forks[std::min(seat, (seat + 1) % 5)].lock();
  const sync::Guard second = co_await dinner.forks[std::max(seat, (seat + 1) % 5)].lock();
  co_await eat(dinner, seat);
}

/// At most four sit down at a time.
Task<> sit_down_first(Context& c, std::size_t seat) {
  auto& dinner = c.world<Dinner>();
  co_await dinner.chairs.acquire();
  {
    const sync::Guard left = co_await dinner.forks[seat].lock();
    const sync::Guard right = co_await dinner.forks[(seat + 1) % 5].lock();
    co_await eat(dinner, seat);
  }
  co_await dinner.chairs.release();
}

/// Puts the left fork back when the right one is taken, and thinks for a random time.
Task<> try_and_think(Context& c, std::size_t seat) {
  auto& dinner = c.world<Dinner>();
  for (;;) {
    {
      const sync::Guard left = co_await dinner.forks[seat].lock();
      const sync::Guard right = co_await dinner.forks[(seat + 1) % 5].try_lock();
      if (right) {
        co_await eat(dinner, seat);
        co_return;
      }
    }
    co_await pause(milliseconds(1 + c.random() % 10));
  }
}

Scenario five(Scenario scenario, Task<> (*body)(Context&, std::size_t)) {
  for (std::size_t seat = 0; seat < 5; ++seat)
    scenario = std::move(scenario).actor("P" + std::to_string(seat), body, seat);
  return std::move(scenario).schedule("P0 P1 P2 P3 P4");
}

}  // namespace

Scenario threads_dining_philosophers() {
  Scenario dinner =
      scenario("Five philosophers, five forks")
          .story("Each philosopher needs the fork on his left and the one on his right. All sit down at once.")
          .with<Dinner>()
          .holds("no fork is in two hands", [](const Final& end) { return !end.world<Dinner>().shared_a_fork; });

  dinner =
      five(std::move(dinner).pattern("naive", "left fork, then right fork"), left_then_right)
          .expect("none", "*: deadlock")
          .why("Everybody holds his left fork and waits for the right one, which his neighbour holds: a cycle of five.")
          .fix("number the forks and take the smaller number first", "ordered");

  dinner = five(std::move(dinner).pattern("ordered", "the fork with the smaller number first"), smaller_fork_first)
               .expect("none", "*: clean")
               .why("The last philosopher reaches for fork 0 first, as the first one does: the circle cannot close.");

  dinner = five(std::move(dinner).pattern("arbiter", "only four may sit down at once"), sit_down_first)
               .expect("none", "*: clean")
               .why("With one chair empty, somebody has a fork on either side that nobody else can hold.");

  return five(std::move(dinner).pattern("back-off", "put the fork back when the other one is taken"), try_and_think)
      .expect("none", "*: clean")
      .why(
          "Nobody waits with a fork in hand; the random time keeps them from taking and putting back in step for "
          "ever.");
}

}  // namespace lockstep::scenarios
