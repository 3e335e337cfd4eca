// A coroutine gives its worker away only where it awaits. One that computes without awaiting holds up every other one
// on the same loop, however cheap their switches are. Coroutines are no help where the processor is what is short.
#include <atomic>

#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using runtime::Group;

struct Worker {
  std::atomic<int> beats{0};  // of somebody else on the same worker
  int beats_meanwhile = 0;    // those while the hog was at it
  std::uint64_t sum = 0;
};
enum class How { keeps, yields, arena };

constexpr int kPieces = 50;

std::uint64_t compute(std::uint64_t from) {
  std::uint64_t sum = from;
  for (std::uint64_t i = 0; i < 2'000; ++i) sum = sum * 6364136223846793005U + i;
  return sum;
}

Task<> beat(Worker* worker, bool* over) {
  while (!*over) {
    worker->beats.fetch_add(1, std::memory_order_relaxed);
    co_await runtime::yield();
  }
}

Task<> hog(Worker* worker, How how, bool* over) {
  const int before = worker->beats.load();
  if (how == How::arena) {
    worker->sum = co_await runtime::on_arena([worker, before] {
      std::uint64_t sum = 1;
      for (int i = 0; i < kPieces || worker->beats.load(std::memory_order_relaxed) == before; ++i) sum = compute(sum);
      return sum;
    });
  }
  for (int i = 0; i < kPieces && how != How::arena; ++i) {
    worker->sum = compute(worker->sum + 1);
    if (how == How::yields) co_await runtime::yield();
  }
  worker->beats_meanwhile = worker->beats.load() - before;
  *over = true;
}

Task<> both(Group& group, Worker* worker, How how, bool* over) {
  group.spawn(hog(worker, how, over), {"hog"});
  group.spawn(beat(worker, over), {"heartbeat"});
  co_return;
}

Task<> work(Context& c, How how) {
  auto& worker = c.world<Worker>();
  bool over = false;
  const Result<void> ended = runtime::run(runtime::with_group(both, &worker, how, &over));
  if (!ended.ok()) co_await fail(ended.error());
  c.note(worker.beats_meanwhile == 0 ? "the heartbeat stood still while the hog computed"
                                     : "the heartbeat went on while the hog computed");
}

}  // namespace

Scenario runtime_cpu_hog() {
  return scenario("A coroutine computes and its worker's others stand still")
      .story("A computation and a heartbeat share one worker.")
      .with<Worker>()

      .pattern("naive", "compute in one go")
      .actor("worker", work, How::keeps)
      .expect("none", "*: anomaly")
      .why("Coroutines take turns where they await, and the computation awaits nothing.")
      .fix("compute elsewhere: co_await on_arena(...) leaves the loop to the others", "arena")

      .pattern("yield", "give the worker away after every piece")
      .actor("worker", work, How::yields)
      .expect("none", "*: clean")
      .why("Each co_await yield() lets everybody else go first; the computation takes as long as it did.")

      .pattern("arena", "compute in a thread of the arena")
      .actor("worker", work, How::arena)
      .expect("none", "*: clean")
      .why("The loop waits for the result as for any other event.")

      .holds("others have their turn meanwhile",
             [](const Final& end) { return end.world<Worker>().beats_meanwhile > 0; });
}

}  // namespace lockstep::scenarios
