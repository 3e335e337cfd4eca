// Cancelled in mid-transaction: a session has changed a row and is busy when its deadline comes. Its frame is
// unwound, and a transaction that lives in the frame is rolled back and gives its locks back. One that somebody else
// keeps alive does not (N. J. Smith, "Notes on structured concurrency", 2018: what is cancelled must clean up before it
// is over).
#include "engine/runtime/runtime.h"
#include "engine/stores/kv/kv_call.h"
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

using namespace std::chrono_literals;
using runtime::kv_call;

struct Shop {
  kv::Transaction forgotten;
  bool next_one_served = false;
};

/// Changes the row, and is busy with something else until it is cancelled.
Task<> change_and_sleep(kv::Transaction* txn) {
  const auto change = [txn](Waiter& w) { return txn->write("row", "1", w); };
  const Result<void> changed = co_await kv_call(*txn, change);
  if (!changed.ok()) co_await fail(changed.error());
  co_await runtime::sleep_for(std::chrono::hours(1));
}

/// The transaction lives in the frame of the session.
Task<> session_of_its_own(kv::Store* store) {
  kv::Transaction txn = store->begin();
  co_await change_and_sleep(&txn);
}

Task<> next_session(kv::Store* store, Shop* shop) {
  kv::Transaction txn = store->begin();
  const auto change = [&txn](Waiter& w) { return txn.write("row", "2", w); };
  const Result<void> changed = co_await kv_call(txn, change);
  shop->next_one_served = changed.ok();
  txn.abort();
}

Task<> serve(kv::Store* store, Shop* shop, bool keeps) {
  Result<void> ended;
  if (keeps) {
    // A pool keeps the transaction for a session that is over.
    shop->forgotten = store->begin();
    ended = co_await tried(runtime::within(1ms, change_and_sleep(&shop->forgotten), {"session"}));
  } else {
    ended = co_await tried(runtime::within(1ms, session_of_its_own(store), {"session"}));
  }
  co_await next_session(store, shop);
  shop->forgotten = {};
}

Task<> play(Context& c, bool keeps) {
  auto& shop = c.world<Shop>();
  // 5 ms: how long the next session waits for the row before it gives up.
  const auto store = kv::Store::open({.protocol = "2pl-timeout", .lock_timeout = 5ms});
  if (!store.ok()) co_await fail(store.error());
  const Result<void> ended = runtime::run(serve(store->get(), &shop, keeps));
  if (!ended.ok()) co_await fail(ended.error());
  c.note("the session's deadline passes while it has the row");
  c.note(shop.next_one_served ? "the next session has the row at once"
                              : "the next session gives up waiting for the row");
}

}  // namespace

Scenario runtime_cancellation() {
  return scenario("A session is cancelled in mid-transaction")
      .story(
          "A session on kv has changed a row and sleeps when its deadline passes and it is cancelled. The next session "
          "wants the same row.")
      .with<Shop>()

      .pattern("forgotten", "somebody else keeps the transaction of a session that was cancelled")
      .actor("server", play, true)
      .expect("none", "*: anomaly")
      .why(
          "Only the frame was unwound. The transaction lives elsewhere, so its locks stay until a time-out or for "
          "ever.")
      .fix("let the session's frame own its transaction", "owned")

      .pattern("owned", "the transaction is a variable of the session")
      .actor("server", play, false)
      .expect("none", "*: clean")
      .why(
          "The cancel ends the wait, the frames unwind, and the transaction's destructor rolls back: every lock is "
          "free.")

      .holds("the next session gets the row", [](const Final& end) { return end.world<Shop>().next_one_served; });
}

}  // namespace lockstep::scenarios
