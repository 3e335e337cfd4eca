// A blocking call inside a coroutine: read() of a pipe that nobody has written to yet, sleep(), a library that waits
// for its server. The kernel puts the worker's thread to sleep, and with it every coroutine of that worker. The runtime
// notices that the same job has had a thread for too long, and names the job.
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using runtime::Group;

struct Worker final : runtime::Observer {
  // The call blocks until the runtime has said so (naive), or until another task has had a turn (helper). So it takes
  // as long as that takes on this machine, and the outcome never depends on time.
  void wait_for(bool (*over)(const Worker&)) {
    std::unique_lock<std::mutex> lock(mutex);
    while (!over(*this)) changed.wait(lock);
  }
  void on_blocked(const runtime::Blocked& blocked) override {
    if (std::string_view(blocked.name.text) != "query") return;  // held up by the machine, not by itself
    const std::lock_guard<std::mutex> lock(mutex);
    named = to_string(blocked.name);
    kept_for = blocked.at_least;
    changed.notify_all();
  }
  void on_overdue(runtime::Name, Nanos) override {}
  void beat() {
    const std::lock_guard<std::mutex> lock(mutex);
    ++beats;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::string named;
  Nanos kept_for{0};
  int beats = 0;
  int beats_meanwhile = 0;
};

Task<> beat(Worker* worker) {
  worker->beat();
  co_return;
}

Task<> call(Worker* worker, bool on_helper) {
  if (on_helper) {
    co_await runtime::on_helper([worker] { worker->wait_for([](const Worker& w) { return w.beats > 0; }); });
  } else {
    worker->wait_for([](const Worker& w) { return !w.named.empty(); });
  }
  worker->beats_meanwhile = worker->beats;
}

Task<> both(Group& group, Worker* worker, bool on_helper) {
  group.spawn(call(worker, on_helper), {"query", 7});
  group.spawn(beat(worker), {"heartbeat"});
  co_return;
}

Task<> work(Context& c, bool on_helper) {
  auto& worker = c.world<Worker>();
  const Nanos limit = on_helper ? Nanos(std::chrono::hours(1)) : Nanos(std::chrono::milliseconds(5));
  const Result<void> ended =
      runtime::run(runtime::with_group(both, &worker, on_helper), {.observer = &worker, .blocked_after = limit});
  if (!ended.ok()) co_await fail(ended.error());
  if (worker.named.empty()) {
    c.note("the call blocks a helper thread, and the worker goes on");
  } else {
    c.note("the runtime names what keeps worker 0: " + worker.named);
    c.figure(worker.named, "kept its worker", static_cast<double>(worker.kept_for.count()) / 1e6, "ms");
  }
}

}  // namespace

Scenario runtime_blocking_call() {
  return scenario("A coroutine calls a function that blocks")
      .story("A query and a heartbeat share one worker. The query uses a library whose calls block.")
      .with<Worker>()

      .pattern("naive", "call it")
      .actor("worker", work, false)
      .expect("none", "*: anomaly")
      .why("To the kernel there is one thread, and it sleeps. What is named is the task, not only the thread.")
      .fix("co_await on_helper(...): the call blocks one of a bounded set of helper threads instead", "helper")

      .pattern("helper", "call it in a helper thread")
      .actor("worker", work, true)
      .expect("none", "*: clean")
      .why("The worker is free; the price is a hop to another thread and back, and a limit on calls at once.")

      .holds("others have their turn meanwhile",
             [](const Final& end) { return end.world<Worker>().beats_meanwhile > 0; });
}

}  // namespace lockstep::scenarios
