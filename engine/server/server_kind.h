// server_kind.h: what a store says of the private servers that it starts, as plain data. The parts in this folder do
// the rest alike for every store.
//
// Thread-safe: constant. No member has a default, so a store that leaves one out does not compile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::server {

struct ServerKind {
  std::string_view title;          ///< in a sentence: "PostgreSQL"
  const char* name;                ///< of its supervisors, at most 15 letters; its folders begin with it
  std::vector<const char*> users;  ///< the first that exists runs the server where this process is root
  std::string_view socket;         ///< from the folder on: "/s/.s.PGSQL.5432"
  std::string_view pid_file;       ///< from the folder on; the server's process id is on its first line
  int stop_signal;                 ///< ends the server at once: nothing of it is kept
  /// Takes away what a server that was killed leaves outside its folder.
  void (*remove_leftovers)(const std::string& folder) noexcept;
};

}  // namespace lockstep::server
