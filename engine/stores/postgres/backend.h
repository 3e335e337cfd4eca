// backend.h: what a store on several servers takes from the store on one: each of its servers is a store like this one.
#pragma once

#include <string_view>

#include "engine/store/backend.h"
#include "engine/stores/postgres/session.h"

namespace lockstep {

BackendKind backend_postgres();

namespace postgres {

/// In BackendOptions::own: "first" or "second", the private cluster to use, whatever server the environment names.
inline constexpr std::string_view kClusterOption = "cluster";
inline constexpr std::string_view kFirstCluster = "first", kSecondCluster = "second";

/// Of the advisory locks of this program, the first half; any number that no other program uses. The second half is in
/// the name of a run's schema.
inline constexpr int kLockClass = 0x10c57e9;

/// What the sessions of a backend share that backend_postgres() has opened. Lives as long as the backend.
Common& common_of(Backend& backend) noexcept;

}  // namespace postgres
}  // namespace lockstep
