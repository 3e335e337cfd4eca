// Between two awaits nobody else runs on the same loop, so single-threaded code needs no lock, people say. Across an
// await everybody else runs: a read, a wait and a write lose an update on one thread as on two. An asynchronous mutex
// is held across the wait, and blocks no thread.
#include "engine/runtime/runtime.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using runtime::AsyncMutex;
using runtime::Group;

struct Account {
  AsyncMutex mutex;
  int balance = 0;
};
constexpr int kDeposits = 8;

Task<> deposit(Account* account, bool locks) {
  AsyncMutex::Guard guard;
  if (locks) guard = co_await account->mutex.lock();
  const int before = account->balance;
  co_await runtime::yield();  // a reply is waited for: everybody else runs
  account->balance = before + 10;
}

Task<> deposit_at_once(Group& group, Account* account, bool locks) {
  for (std::uint32_t i = 1; i <= kDeposits; ++i) group.spawn(deposit(account, locks), {"deposit", i});
  co_return;
}

Task<> bank(Context& c, bool locks) {
  auto& account = c.world<Account>();
  const Result<void> ended = runtime::run(runtime::with_group(deposit_at_once, &account, locks));
  if (!ended.ok()) co_await fail(ended.error());
  c.note("8 deposits of 10 on one worker: the balance is " + std::to_string(account.balance));
}

}  // namespace

Scenario runtime_async_mutex() {
  return scenario("One thread loses updates across an await")
      .story(
          "Eight coroutines on one worker each read a balance, wait for something, and write the balance plus 10. No "
          "two "
          "of them ever run at the same time.")
      .with<Account>()

      .pattern("no-lock", "there is only one thread")
      .actor("bank", bank, false)
      .expect("none", "*: anomaly")
      .why("All eight read the same balance before the first of them goes on after its await.")
      .fix("an asynchronous mutex may be held across an await: whoever waits is suspended, first come, first served",
           "async-mutex")

      .pattern("async-mutex", "read, wait and write under one lock")
      .actor("bank", bank, true)
      .expect("none", "*: clean")
      .why("Each waits for the one before, and the worker is never blocked.")

      .holds("every deposit counts", [](const Final& end) { return end.world<Account>().balance == kDeposits * 10; });
}

}  // namespace lockstep::scenarios
