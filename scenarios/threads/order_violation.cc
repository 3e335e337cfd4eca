// An order violation without a hang: two jobs take the same two mutexes in opposite orders, but at different hours. The
// run is clean, and a checker of lock orders warns all the same (Linux's lockdep:
// Documentation/locking/lockdep-design). A search tells the warning that will hang one day from the one that cannot.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Library {
  sync::Mutex catalogue{"catalogue"};
  sync::Mutex index{"index"};
  sync::Mutex maintenance{"maintenance"};
  sync::Semaphore morning{"morning", 0};
  int jobs_done = 0;
};

Task<> back_up(Context& c) {
  auto& library = c.world<Library>();
  const sync::Guard catalogue = co_await library.catalogue.lock();
  const sync::Guard index = co_await library.index.lock();
  ++library.jobs_done;
}

Task<> rebuild(Context& c) {
  auto& library = c.world<Library>();
  const sync::Guard index = co_await library.index.lock();
  const sync::Guard catalogue = co_await library.catalogue.lock();
  ++library.jobs_done;
}

Task<> back_up_until_morning(Context& c) {
  co_await back_up(c);
  co_await c.world<Library>().morning.release();
}

Task<> rebuild_in_the_morning(Context& c) {
  co_await c.world<Library>().morning.acquire();
  co_await rebuild(c);
}

Task<> back_up_under_maintenance(Context& c) {
  const sync::Guard alone = co_await c.world<Library>().maintenance.lock();
  co_await back_up(c);
}

Task<> rebuild_under_maintenance(Context& c) {
  const sync::Guard alone = co_await c.world<Library>().maintenance.lock();
  co_await rebuild(c);
}

}  // namespace

Scenario threads_order_violation() {
  return scenario("Two jobs take two mutexes in opposite orders, and nothing happens")
      .story(
          "At night a backup locks the catalogue and then the index; in the morning a job that rebuilds the index "
          "locks "
          "the index and then the catalogue. They have never met.")
      .with<Library>()

      .pattern("naive", "each job in its own order, whenever it is started")
      .actor("backup", back_up)
      .actor("rebuild", rebuild)
      .schedule("backup backup rebuild rebuild")
      .expect("none", "*: clean")
      .why(
          "Nothing hung, because the backup had ended before the rebuild began. The orders do not go together: the day "
          "that the backup takes longer, both hang (lockstep explore threads/order-violation).")
      .fix("one order for all mutexes", "ordered")

      .pattern("in-turn", "the rebuild waits until the backup says that it is morning")
      .actor("backup", back_up_until_morning)
      .actor("rebuild", rebuild_in_the_morning)
      .schedule("backup backup backup rebuild rebuild rebuild")
      .expect("none", "*: clean")
      .why("The orders do not go together, but they cannot meet: lockstep explore proves it.")

      .pattern("gate", "a third mutex around each job")
      .actor("backup", back_up_under_maintenance)
      .actor("rebuild", rebuild_under_maintenance)
      .schedule("backup rebuild backup backup rebuild rebuild")
      .expect("none", "*: clean")
      .why("Whoever holds the one mutex is alone with the other two, so their order does not matter.")

      .pattern("ordered", "the catalogue before the index, in both jobs")
      .actor("backup", back_up)
      .actor("rebuild", back_up)
      .schedule("backup rebuild backup rebuild")
      .expect("none", "*: clean")
      .why("In one order nobody can hold what another one in front of him needs.")

      .holds("no job is done twice", [](const Final& end) { return end.world<Library>().jobs_done <= 2; });
}

}  // namespace lockstep::scenarios
