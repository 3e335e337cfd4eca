// programs.cc: looks for programs in folders.
#include "engine/server/programs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

namespace lockstep::server {

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

/// FNV-1a over what identifies the programs: a new package gives other sizes and times, a copy of a home folder on
/// another kind of machine another machine name. Cheaper than asking a program for its version, and stricter.
std::string key_of_programs(const std::vector<std::string>& paths) {
  std::string text;
  for (const std::string& path : paths) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return {};
    text += fmt::format("{}:{}:{}.{};", path, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  utsname machine{};
  if (::uname(&machine) == 0) text += machine.machine;
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

}  // namespace lockstep::server
