// runs_folder.cc: looks at the names in the folder; opens no recording.
#include "cli/args/runs_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/gdb/script.h"

namespace lockstep::cli {
namespace {

constexpr std::size_t kShortest = 4;

std::size_t common_prefix(const std::string& a, const std::string& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

std::string runs_folder(const Arguments& arguments, const std::string& option) {
  const char* variable = std::getenv("LOCKSTEP_RUNS");
  const std::string otherwise = variable == nullptr || *variable == '\0' ? "lockstep-runs" : variable;
  const std::string wished = arguments.value(option);
  return wished.empty() ? otherwise : wished;
}

std::string short_id(const std::string& id, const std::string& folder) {
  std::size_t length = kShortest;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string other = entry->path().filename().string();
    if (other != id) length = std::max(length, common_prefix(id, other) + 1);
  }
  return id.substr(0, length);
}

std::map<std::string, std::string> short_ids(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  // In sorted order, the id that shares the longest beginning stands next to it.
  std::sort(names.begin(), names.end());
  std::map<std::string, std::string> all;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::size_t length = kShortest;
    if (i > 0) length = std::max(length, common_prefix(names[i], names[i - 1]) + 1);
    if (i + 1 < names.size()) length = std::max(length, common_prefix(names[i], names[i + 1]) + 1);
    all[names[i]] = names[i].substr(0, length);
  }
  return all;
}

Result<std::string> write_gdb_script(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::filesystem::path path = std::filesystem::absolute(folder, error) / "lockstep.py";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << debugging::kScript;
  if (!file.flush()) {
    return Error{Fault::io, {}, fmt::format("{} cannot be written: {}", path.string(), std::strerror(errno))};
  }
  return path.string();
}

OptionSpec out_option() {
  return {"out", "DIR", "the folder of saved runs (LOCKSTEP_RUNS; default: lockstep-runs)", Names::folder};
}

}  // namespace lockstep::cli
