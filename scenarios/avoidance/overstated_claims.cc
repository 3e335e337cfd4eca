// The price of the banker (Dijkstra, 1965, EWD123, 6): it believes the claims. A process that claims more than it will
// ever use makes others wait for a danger that is none.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Bank {
  sync::ResourceManager florins{"florins", {10}};
};

/// Borrows in two steps and pays everything back.
Task<> borrow(Context& c, Units claimed, Units first, Units second) {
  auto& florins = c.world<Bank>().florins;
  co_await florins.claim(claimed);
  co_await florins.request(first);
  co_await florins.request(second);
  co_await florins.release_all();
}

}  // namespace

Scenario avoidance_overstated_claims() {
  return scenario("The banker makes a customer wait because another one claims too much")
      .story(
          "The bank has 10 florins. T1 needs 5 and T2 needs 5, so there is enough for both. But both say that they "
          "need 9.")
      .with<Bank>()

      .pattern("overstated", "both claim 9 and use 5")
      .actor("T1", borrow, Units{9}, Units{3}, Units{2})
      .actor("T2", borrow, Units{9}, Units{3}, Units{2})
      .schedule("T1 T2 T1 T2 T1 T2")
      .expect("none", "*: avoided")
      .why("With 3 out to each, 4 are left, and neither could be sure of the other 6 that it claims: T2 must wait.")
      .fix("claim what is needed", "exact")

      .pattern("exact", "both claim 5 and use 5")
      .actor("T1", borrow, Units{5}, Units{3}, Units{2})
      .actor("T2", borrow, Units{5}, Units{3}, Units{2})
      .schedule("T1 T2 T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("The claims add up to what there is: every request is safe.")

      .holds("the bank has no more than its own",
             [](const Final& end) { return end.world<Bank>().florins.state().available()[0] <= 10; });
}

}  // namespace lockstep::scenarios
