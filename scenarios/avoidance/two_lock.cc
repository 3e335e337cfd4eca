// Avoidance instead of detection (Dijkstra, 1965, EWD123): two resources in opposite orders. Four ways to deal with
// them: the ostrich's, which looks away; the banker's; all at once; in one order.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using Policy = sync::ResourceManager::Policy;

struct Office {
  sync::ResourceManager ostrich{"office", {1, 1}, Policy::grant_if_available, {"printer", "scanner"}};
  sync::ResourceManager banker{"office", {1, 1}, Policy::avoid, {"printer", "scanner"}};
};

const Units printer{1, 0};
const Units scanner{0, 1};
const Units both{1, 1};

Task<> one_by_one(Context& c, sync::ResourceManager Office::* office, Units first, Units second) {
  auto& devices = c.world<Office>().*office;
  co_await devices.claim(both);
  co_await devices.request(first);
  co_await devices.request(second);
  co_await devices.release_all();
}

Task<> all_at_once(Context& c, sync::ResourceManager Office::* office) {
  auto& devices = c.world<Office>().*office;
  co_await devices.claim(both);
  co_await devices.request(both);
  co_await devices.release_all();
}

}  // namespace

Scenario avoidance_two_lock() {
  return scenario("Two processes, a printer and a scanner")
      .story(
          "T1 takes the printer and then the scanner, T2 the scanner and then the printer. Both have said that they "
          "need both.")
      .with<Office>()

      .pattern("ostrich", "grant whatever is free and hope")
      .actor("T1", one_by_one, &Office::ostrich, printer, scanner)
      .actor("T2", one_by_one, &Office::ostrich, scanner, printer)
      .schedule("T1 T2 T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .why("Each has one device and waits for the other. Doing nothing is cheap until it happens.")
      .fix("ask before granting whether everybody can still finish", "banker")

      .pattern("banker", "grant only what leaves a safe state")
      .actor("T1", one_by_one, &Office::banker, printer, scanner)
      .actor("T2", one_by_one, &Office::banker, scanner, printer)
      .schedule("T1 T2 T1 T2 T1 T2")
      .expect("none", "*: avoided")
      .why("The scanner is free, but T2 must wait for it: with it, neither of the two could be sure to finish.")

      .pattern("acquire-all", "ask for everything at once")
      .actor("T1", all_at_once, &Office::ostrich)
      .actor("T2", all_at_once, &Office::ostrich)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("Nobody holds one device while waiting for another.")

      .pattern("ordered", "the printer, then the scanner")
      .actor("T1", one_by_one, &Office::ostrich, printer, scanner)
      .actor("T2", one_by_one, &Office::ostrich, printer, scanner)
      .schedule("T1 T2 T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("T2 waits for the printer with empty hands.")

      .holds("no device is handed out twice", [](const Final& end) {
        const Units one = end.world<Office>().ostrich.state().available();
        const Units other = end.world<Office>().banker.state().available();
        return std::min({one[0], one[1], other[0], other[1]}) >= 0;
      });
}

}  // namespace lockstep::scenarios
