// The philosophers under the banker: five types of resources, one unit of each. Four may take their left fork. The
// fifth one is told to wait, though the fork before it is free.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using Policy = sync::ResourceManager::Policy;

struct Dinner {
  sync::ResourceManager banker{"forks", {1, 1, 1, 1, 1}, Policy::avoid};
  sync::ResourceManager ostrich{"forks", {1, 1, 1, 1, 1}, Policy::grant_if_available};
};

Units fork(std::size_t number) {
  Units units = Units::none(5);
  units[number % 5] = 1;
  return units;
}

Task<> dine(Context& c, sync::ResourceManager Dinner::* table, std::size_t seat) {
  auto& forks = c.world<Dinner>().*table;
  Units both = fork(seat);
  both[(seat + 1) % 5] = 1;
  co_await forks.claim(both);
  co_await forks.request(fork(seat));
  co_await forks.request(fork(seat + 1));
  co_await forks.release_all();
}

Scenario five(Scenario scenario, sync::ResourceManager Dinner::* table) {
  for (std::size_t seat = 0; seat < 5; ++seat)
    scenario = std::move(scenario).actor("P" + std::to_string(seat), dine, table, seat);
  return std::move(scenario).schedule("P0 P1 P2 P3 P4 P0 P1 P2 P3 P4");
}

}  // namespace

Scenario avoidance_philosophers() {
  Scenario dinner =
      scenario("Five philosophers ask the banker for their forks")
          .story("Each philosopher claims the two forks beside him and asks for the left one, then the right one.")
          .with<Dinner>();

  dinner = five(std::move(dinner).pattern("ostrich", "a free fork is taken at once"), &Dinner::ostrich)
               .expect("none", "*: deadlock")
               .why("All five hold one fork and wait for the next.")
               .fix("ask the banker", "banker");

  return five(std::move(dinner).pattern("banker", "a fork is handed out only if all can still eat"), &Dinner::banker)
      .expect("none", "*: avoided")
      .why("The fifth left fork would close the circle, so its philosopher waits although it lies before him.")
      .holds("no fork is in two hands", [](const Final& end) {
        const Units one = end.world<Dinner>().ostrich.state().available();
        const Units other = end.world<Dinner>().banker.state().available();
        return std::ranges::min(one) >= 0 && std::ranges::min(other) >= 0;
      });
}

}  // namespace lockstep::scenarios
