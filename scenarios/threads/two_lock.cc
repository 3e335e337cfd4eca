// Two mutexes in opposite order: the smallest deadlock of a program (Coffman, Elphick and Shoshani, 1971). Four ways
// out: one order; std::lock's try-and-start-with-the-other; giving up after a limit; trying and backing off for a
// random time.
#include "engine/actor/pause.h"
#include "engine/sync.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using std::chrono::milliseconds;

struct Account {
  sync::TimedMutex mutex;
  std::int64_t balance = 100;
};
struct Bank {
  Account a{{"A"}};
  Account b{{"B"}};
};

void pay(Account& from, Account& to, std::int64_t amount) {
  from.balance -= amount;
  to.balance += amount;
}

Task<> source_first(Context& c, Account Bank::* source, Account Bank::* target, std::int64_t amount) {
  Account &from = c.world<Bank>().*source, &to = c.world<Bank>().*target;
  const sync::Guard first = co_await from.mutex.lock();
  const sync::Guard second = co_await to.mutex.lock();
  pay(from, to, amount);
}

Task<> smaller_name_first(Context& c, Account Bank::* source, Account Bank::* target, std::int64_t amount) {
  Account &from = c.world<Bank>().*source, &to = c.world<Bank>().*target;
  const bool source_is_smaller = from.mutex.name() < to.mutex.name();
  const sync::Guard first = co_await (source_is_smaller ? from : to).mutex.lock();
  const sync::Guard second = co_await (source_is_smaller ? to : from).mutex.lock();
  pay(from, to, amount);
}

/// What std::scoped_lock does: locks one and tries the other; if that is taken, lets go and waits for that one first.
Task<> like_scoped_lock(Context& c, Account Bank::* source, Account Bank::* target, std::int64_t amount) {
  Account &from = c.world<Bank>().*source, &to = c.world<Bank>().*target;
  Account *first = &from, *second = &to;
  for (;;) {
    const sync::Guard held = co_await first->mutex.lock();
    const sync::Guard tried_too = co_await second->mutex.try_lock();
    if (tried_too) {
      pay(from, to, amount);
      co_return;
    }
    std::swap(first, second);
  }
}

/// Gives up after 5 ms: both locks are given back, and the body starts again.
Task<> with_a_limit(Context& c, Account Bank::* source, Account Bank::* target, std::int64_t amount) {
  Account &from = c.world<Bank>().*source, &to = c.world<Bank>().*target;
  const sync::Guard first = co_await from.mutex.lock_for(milliseconds(5));
  const sync::Guard second = co_await to.mutex.lock_for(milliseconds(5));
  pay(from, to, amount);
}

/// Tries, gives back and stands aside for a random time, so that the two do not meet again and again.
Task<> back_off(Context& c, Account Bank::* source, Account Bank::* target, std::int64_t amount) {
  Account &from = c.world<Bank>().*source, &to = c.world<Bank>().*target;
  for (;;) {
    {
      const sync::Guard first = co_await from.mutex.lock();
      const sync::Guard second = co_await to.mutex.try_lock();
      if (second) {
        pay(from, to, amount);
        co_return;
      }
    }
    co_await pause(milliseconds(1 + c.random() % 10));
  }
}

}  // namespace

Scenario threads_two_lock() {
  return scenario("Two threads lock the same two mutexes in opposite order")
      .story("T1 pays from A to B, T2 from B to A. Each account has a mutex, and a transfer needs both.")
      .with<Bank>()

      .pattern("naive", "each locks the account that it pays from first")
      .actor("T1", source_first, &Bank::a, &Bank::b, 10)
      .actor("T2", source_first, &Bank::b, &Bank::a, 20)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: deadlock")
      .why(
          "T1 holds A and waits for B, T2 holds B and waits for A. Nobody looks for cycles of mutexes: they wait for "
          "ever.")
      .fix("one order for all mutexes", "ordered")

      .pattern("ordered", "the account with the smaller name first")
      .actor("T1", smaller_name_first, &Bank::a, &Bank::b, 10)
      .actor("T2", smaller_name_first, &Bank::b, &Bank::a, 20)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("T2 waits for A before it holds anything.")

      .pattern("scoped-lock", "lock one, try the other, start with the one that was taken")
      .actor("T1", like_scoped_lock, &Bank::a, &Bank::b, 10)
      .actor("T2", like_scoped_lock, &Bank::b, &Bank::a, 20)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("Nobody waits while holding: that takes away one of the four conditions of a deadlock.")

      .pattern("timed", "wait for 5 ms, then give up and start again")
      .actor("T1", with_a_limit, &Bank::a, &Bank::b, 10)
      .actor("T2", with_a_limit, &Bank::b, &Bank::a, 20)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: timeout")
      .why("The cycle came about, and only the limit ended it. The work until then was in vain.")
      .fix("one order needs no limit", "ordered")

      .pattern("back-off", "try, give back, stand aside for a random time")
      .actor("T1", back_off, &Bank::a, &Bank::b, 10)
      .actor("T2", back_off, &Bank::b, &Bank::a, 20)
      .schedule("T1 T2 T1 T2")
      .expect("none", "*: clean")
      .why("Nobody waits for a mutex while holding one; the random time keeps them from doing the same again in step.")

      .holds("money is conserved",
             [](const Final& end) { return end.world<Bank>().a.balance + end.world<Bank>().b.balance == 200; });
}

}  // namespace lockstep::scenarios
