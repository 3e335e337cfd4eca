// offloaded_session.h: a session of a store whose calls block (SQLite), for actors that run on loops: every call is
// made by a helper thread (runtime.h), and the loop goes on with its other actors meanwhile.
#pragma once

#include <memory>

#include "engine/runtime/runtime.h"
#include "engine/store/backend.h"

namespace lockstep {

/// How many threads make the calls of all off-loaded sessions together; further calls wait for one of them.
inline constexpr int kCallersMost = runtime::kHelpers;

/// A session that answers as `inner` does, which is used by one thread at a time.
///
/// Where a request is, and the function behind each arrow. attempt() and cancel() are called by the actor, run() by a
/// helper thread, wake() by the store:
///
///     home         --attempt()--> out             the call is given to a helper
///     out          --run()------> answered        the call gave a reply or an error
///     out          --run()------> unfinished      the call must wait in the store
///     unfinished   --attempt()--> in the store    the actor learns what the store waits for
///     unfinished   --attempt()--> out             when it was woken or cancelled meanwhile
///     in the store --attempt()--> out             after wake(), cancel() or a moment of the store's own
///     answered     --attempt()--> home
///
///     state         what attempt() answers
///     home, out     false: the call is away (Waiting::external), with neither a socket nor a deadline
///     unfinished    false, with the store's own Waiting; as for "out" when it goes out once more
///     in the store  false: out once more
///     answered      true, with the reply or the error
///
/// The actor is woken by run(), and in the state "in the store" by wake(). cancel() only notes the fault, since a call
/// that is out ends when it ends. The next attempt() cancels the request in the store, and goes out for the answer.
std::unique_ptr<Session> make_offloaded_session(std::unique_ptr<Session> inner);

}  // namespace lockstep
