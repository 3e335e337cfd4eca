// The banker's algorithm on the table of Silberschatz, Galvin and Gagne, "Operating System Concepts", section "Banker's
// algorithm": five processes, three types of resources. P1's request of (1, 0, 2) is safe. P4's of (3, 3, 0) is not
// available. P0's of (0, 2, 0) is available but unsafe: after it no order would be left in which all can finish.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using Policy = sync::ResourceManager::Policy;

struct Machine {
  sync::ResourceManager careful{"resources", {10, 5, 7}, Policy::avoid};
  sync::ResourceManager careless{"resources", {10, 5, 7}, Policy::grant_if_available};

  Machine() {
    for (auto* manager : {&careful, &careless}) {
      //               name  maximum    allocation
      manager->declare("P0", {7, 5, 3}, {0, 1, 0});
      manager->declare("P1", {3, 2, 2}, {2, 0, 0});
      manager->declare("P2", {9, 0, 2}, {3, 0, 2});
      manager->declare("P3", {2, 2, 2}, {2, 1, 1});
      manager->declare("P4", {4, 3, 3}, {0, 0, 2});
    }
  }
};

/// Asks for what it still needs in one or two steps, then gives everything back.
Task<> process(Context& c, sync::ResourceManager Machine::* manager, std::vector<Units> requests) {
  auto& resources = c.world<Machine>().*manager;
  for (const Units& units : requests) co_await resources.request(units);
  co_await resources.release_all();
}

Scenario five(Scenario scenario, sync::ResourceManager Machine::* manager) {
  return std::move(scenario)
      .actor("P0", process, manager, std::vector<Units>{{0, 2, 0}, {7, 2, 3}})
      .actor("P1", process, manager, std::vector<Units>{{1, 0, 2}, {0, 2, 0}})
      .actor("P2", process, manager, std::vector<Units>{{6, 0, 0}})
      .actor("P3", process, manager, std::vector<Units>{{0, 1, 1}})
      .actor("P4", process, manager, std::vector<Units>{{3, 3, 0}, {1, 0, 1}})
      .schedule("P1 P4 P0");
}

}  // namespace

Scenario avoidance_banker_5x3() {
  Scenario table = scenario("Silberschatz's table: five processes, three types of resources")
                       .story(
                           "Of 10 A, 5 B and 7 C, (3, 3, 2) are free. P1 asks for (1, 0, 2), P4 for (3, 3, 0), P0 for "
                           "(0, 2, 0). Then everybody asks for the rest of its claim, and gives all back.")
                       .with<Machine>();

  table = five(std::move(table).pattern("ostrich", "grant whatever is free"), &Machine::careless)
              .expect("none", "*: deadlock")
              .why("P0's request was free and was granted. After it, no order is left in which everybody can finish.")
              .fix("grant only what leaves a safe state", "banker");

  return five(std::move(table).pattern("banker", "grant only what leaves a safe state"), &Machine::careful)
      .expect("none", "*: avoided")
      .why("P0 waits although (0, 2, 0) are free: the order P1, P3, P4, P0, P2 lets everybody finish, and is kept.")
      .holds("nobody has more than there is", [](const Final& end) {
        const Units careful = end.world<Machine>().careful.state().available();
        const Units careless = end.world<Machine>().careless.state().available();
        return std::min({careful[0], careful[1], careful[2], careless[0], careless[1], careless[2]}) >= 0;
      });
}

}  // namespace lockstep::scenarios
