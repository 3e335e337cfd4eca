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
std::unique_ptr<Session> make_offloaded_session(std::unique_ptr<Session> inner);

}  // namespace lockstep
