// The lost wake-up (Birrell, 1989, "An Introduction to Programming with Threads", 4): a condition variable remembers
// nothing. A thread that looks, lets go of the mutex and only then waits may wait for a notification that has already
// come.
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

struct Mailbox {
  sync::Mutex mutex{"mailbox"};
  sync::CondVar changed{"mail has come"};
  int letters = 0;
  int received = 0;
};

Task<> send(Context& c) {
  auto& box = c.world<Mailbox>();
  sync::Guard guard = co_await box.mutex.lock();
  ++box.letters;
  co_await guard.unlock();
  co_await box.changed.notify_one();
}

/// Looks, lets go, and then waits.
Task<> look_then_wait(Context& c) {
  auto& box = c.world<Mailbox>();
  sync::Guard guard = co_await box.mutex.lock();
  const bool empty = box.letters == 0;
  co_await guard.unlock();
  guard = co_await box.mutex.lock();
  if (empty) co_await box.changed.wait(guard);
  --box.letters, ++box.received;
}

/// Looks and waits without letting go in between, and looks again afterwards.
Task<> wait_while_empty(Context& c) {
  auto& box = c.world<Mailbox>();
  sync::Guard guard = co_await box.mutex.lock();
  while (box.letters == 0) co_await box.changed.wait(guard);
  --box.letters, ++box.received;
}

}  // namespace

Scenario threads_lost_wakeup() {
  return scenario("A thread waits for a letter that has already come")
      .story(
          "The receiver looks into the empty mailbox. Before it waits, the sender puts a letter in and notifies: "
          "nobody is there.")
      .with<Mailbox>()

      .pattern("naive", "look, let go of the mutex, lock it again, wait")
      .actor("receiver", look_then_wait)
      .actor("sender", send)
      .schedule("receiver receiver sender sender sender receiver receiver")
      .expect("none", "*: hung")
      .why(
          "The notification came between the look and the wait, when nobody waited: it is gone, and no other will "
          "come.")
      .fix("look and wait under one hold of the mutex, in a while loop", "while-loop")

      .pattern("while-loop", "while (empty) wait, under one hold of the mutex")
      .actor("receiver", wait_while_empty)
      .actor("sender", send)
      .schedule("receiver receiver sender sender sender receiver receiver")
      .expect("none", "*: clean")
      .why("wait() lets go of the mutex and starts waiting in one step, so no notification fits between.")

      .holds("nothing is received that was not sent",
             [](const Final& end) { return end.world<Mailbox>().letters >= 0; });
}

}  // namespace lockstep::scenarios
