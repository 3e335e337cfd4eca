// data_template.h: a fresh database cluster on disk. initdb takes half a second, a copy of its last result a tenth of
// that.
//
// The template lies in $XDG_CACHE_HOME/lockstep or ~/.cache/lockstep, under the key of the very programs that made it.
// It appears there whole or not at all (written beside, then renamed). The cache is only a shortcut. When it is
// unusable (unwritable, cut short, another user's), initdb runs instead, silently.
//
// Thread-safe, also against other processes.
#pragma once

#include "engine/server/server_folder.h"
#include "engine/stores/postgres/server_binaries.h"
#include "kv/base/result.h"

namespace lockstep::postgres {

enum class UseTemplate { yes, no };

/// Fills the folder's empty data/ with a new cluster whose superuser is `postgres`. Waits for initdb, at most 60 s.
/// True when it came from the template. Fault::unavailable with the end of initdb's output.
Result<bool> make_data(const ServerBinaries& binaries, const server::ServerUser& user,
                       const server::ServerFolder& folder, UseTemplate use_template);

}  // namespace lockstep::postgres
