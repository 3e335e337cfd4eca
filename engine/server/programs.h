// programs.h: where a server's programs lie on this machine, and whether they are still the same.
//
// Thread-safe: no state. Nothing waits.
#pragma once

#include <string>
#include <vector>

namespace lockstep::server {

/// A regular file that this process may execute.
bool is_program(const std::string& path);

/// The absolute folders of PATH, in their order.
std::vector<std::string> folders_of_path();

/// ROOT/PREFIX*/bin where a number follows the prefix, the highest number first: distributions keep one folder for each
/// version of a server.
std::vector<std::string> folders_by_version(const std::string& root, const std::string& prefix);

/// 16 hexadecimal digits that change whenever one of the programs does; empty when one is missing.
std::string key_of_programs(const std::vector<std::string>& paths);

}  // namespace lockstep::server
