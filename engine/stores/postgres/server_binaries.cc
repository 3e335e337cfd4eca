// server_binaries.cc: finds `postgres` and `initdb`; Debian keeps them out of PATH, one folder for each major version.
#include "engine/stores/postgres/server_binaries.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace lockstep::postgres {
namespace {

namespace fs = std::filesystem;

bool is_program(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> folders_of_path() {
  std::vector<std::string> folders;
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    if (end > 0 && rest.front() == '/') folders.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return folders;
}

/// `root`/PREFIX*`/bin`, the highest number after the prefix first.
std::vector<std::string> folders_by_version(const std::string& root, const std::string& prefix) {
  std::vector<std::pair<double, std::string>> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    char* end = nullptr;
    const double version = std::strtod(name.c_str() + prefix.size(), &end);
    if (end != name.c_str() + prefix.size()) found.emplace_back(version, entry.path().string() + "/bin");
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> folders;
  folders.reserve(found.size());
  for (auto& [version, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

/// FNV-1a over what identifies the programs. A new package gives other sizes and times. A home folder copied to another
/// kind of machine gives another machine name. Cheaper than asking `postgres --version`, and stricter.
std::optional<std::string> key_of(const ServerBinaries& binaries) {
  std::string text;
  for (const std::string& path : {binaries.postgres(), binaries.initdb()}) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    text += fmt::format("{}:{}:{}.{};", path, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  utsname machine{};
  if (::uname(&machine) == 0) text += machine.machine;
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

std::optional<ServerBinaries> server_in(const std::string& folder) {
  ServerBinaries binaries{folder, {}};
  if (!is_program(binaries.postgres()) || !is_program(binaries.initdb())) return std::nullopt;
  auto key = key_of(binaries);
  if (!key) return std::nullopt;
  binaries.key = *std::move(key);
  return binaries;
}

}  // namespace

Result<ServerBinaries> find_server_binaries() {
  if (const char* named = std::getenv("LOCKSTEP_PG_BIN"); named != nullptr && *named != '\0') {
    if (auto found = server_in(named)) return *std::move(found);
    return Error{
        Fault::unavailable, {}, fmt::format("LOCKSTEP_PG_BIN={} holds no PostgreSQL server (postgres, initdb)", named)};
  }
  std::vector<std::string> folders = folders_of_path();
  for (const auto& [root, prefix] : {std::pair{"/usr/lib/postgresql", ""}, std::pair{"/usr", "pgsql-"}}) {
    for (auto& folder : folders_by_version(root, prefix)) folders.push_back(std::move(folder));
  }
  folders.emplace_back("/usr/local/pgsql/bin");
  for (const std::string& folder : folders) {
    if (auto found = server_in(folder)) return *std::move(found);
  }
  return Error{Fault::unavailable,
               {},
               "no PostgreSQL server on this machine: install one (Debian: apt-get install postgresql) or name a "
               "running one with --dsn or LOCKSTEP_DSN"};
}

}  // namespace lockstep::postgres
