// runs_only.h: how a pattern says that it runs on a store, without saying how it ends there.
#pragma once

#include <string_view>

namespace lockstep {

/// In place of a protocol in Scenario::expect(): the pattern runs on the store with every protocol, and is not judged
/// with those that it expects nothing of. The verdict beside it counts for nothing.
inline constexpr std::string_view kRunsOnly = "-";

}  // namespace lockstep
