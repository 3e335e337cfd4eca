// dsn.h: the DSN of a cluster: "galera://user:password@host1:port,host2:port,host3". One login for all its nodes.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::galera {

/// The DSN of each node, as the store mariadb takes it, in their order. Fault::invalid without the text itself in the
/// message, since it may hold a password.
Result<std::vector<std::string>> dsns_of_nodes(const std::string& text);

/// The DSN without its password; empty when `text` is no DSN of a cluster.
std::string without_password(const std::string& text);

}  // namespace lockstep::galera
