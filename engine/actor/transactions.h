// transactions.h: the one loop in which an actor performs transactions, those of a scenario's body or of a load, and
// tries again what was given up.
//
// The rule of every retry (may_be_tried_again): the fault says that the store has undone the transaction, nothing of
// the body has committed since it began, no transaction and no statement by itself, and the actor is not told to stop.
// Else a retry would do twice what was asked once.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/actor/actor.h"
#include "engine/actor/database.h"
#include "engine/actor/pause.h"
#include "engine/task/task.h"
#include "kv/base/random.h"

namespace lockstep {

struct RetryPolicy {
  int most = 0;            ///< tries after the first one, of one transaction
  bool backs_off = false;  ///< waits in between, unless a schedule says who goes next
};

/// What the actor does after a transaction that ended with a fault.
enum class AfterFault : std::uint8_t {
  tries_again,
  goes_on,  ///< to its next transaction
  ends,     ///< well: it has written the fault down
  fails,    ///< with the fault
};

/// See the rule above. `committed_before`: Actor::all_commits() when the body began.
bool may_be_tried_again(const Error& why, const Actor& actor, std::uint64_t committed_before) noexcept;

/// How long to wait before attempt + 1: anything up to a limit that doubles from 0.1 ms to 10 ms ("full jitter";
/// M. Brooker, "Exponential backoff and jitter", 2015), so that two actors which give up for each other do not meet
/// again for ever.
Nanos back_off(int attempt, Random& random);

/// Rolls back what a body left open.
Task<> give_back(Database& database);
/// Gives back what a rollback leaves to the session. A second try would take such locks twice, or never give them back.
Task<> give_back_locks(Database& database);

/// The root of an actor: performs the transactions of `driver`, one after the other. A driver has:
///
///   bool next();                               another transaction is to be performed
///   std::optional<Nanos> time_to_begin();      0: now; else asked again after that time; nullopt: the actor ends
///   Task<> body();                             one attempt
///   void gave_back(const Result<void>&);       how the rollback of what the body left open ended
///   void committed();                          the body has ended well
///   AfterFault after_fault(const Error&, bool may_try, int attempt);   `may_try`: the rule and the policy allow it
///   Database& database();                      the actor's
///   Random& pauses();                          for back_off()
template <class Driver>
Task<> perform_transactions(Actor& actor, Driver driver, RetryPolicy policy) {
  while (driver.next()) {
    for (;;) {
      const std::optional<Nanos> left = driver.time_to_begin();
      if (!left) co_return;
      if (*left <= Nanos(0)) break;
      co_await pause(*left);
    }
    for (int attempt = 1;; ++attempt) {
      const std::uint64_t committed_before = actor.all_commits();
      const Result<void> ended = co_await tried(driver.body());
      if (actor.session != nullptr && actor.session->in_transaction()) {
        const Result<void> given_back = co_await tried(give_back(driver.database()));
        driver.gave_back(given_back);
      } else if (actor.transaction_open()) {
        actor.note_transaction(Verb::abort, std::nullopt);
      }
      if (ended.ok()) {
        driver.committed();
        break;
      }
      if (actor.session != nullptr && actor.session->holds_beyond_transaction())
        (void)co_await tried(give_back_locks(driver.database()));
      const bool may_try = attempt <= policy.most && may_be_tried_again(ended.error(), actor, committed_before);
      const AfterFault after = driver.after_fault(ended.error(), may_try, attempt);
      if (after == AfterFault::ends) co_return;
      if (after == AfterFault::fails) co_await fail(ended.error());
      if (after == AfterFault::goes_on) break;
      if (policy.backs_off) co_await pause(back_off(attempt, driver.pauses()));
    }
  }
}

}  // namespace lockstep
