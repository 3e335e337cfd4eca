// data_template.cc: initdb, and the cache of its result.
#include "engine/stores/postgres/data_template.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "engine/server/supervisor.h"

namespace lockstep::postgres {
namespace {

namespace fs = std::filesystem;
using server::run_to_end;
using server::ServerFolder;
using server::ServerUser;

constexpr std::string_view kTemplatePrefix = "pgdata2-";
constexpr std::chrono::seconds kInitdbMax{60};

/// True when the folder is this user's and no other user can write to it. The configuration inside decides what the
/// server runs.
bool is_private(const std::string& folder) {
  struct stat status{};
  return ::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// The cache's folder, made if need be; nullopt when there cannot be one.
std::optional<std::string> cache_folder() {
  std::string root;
  if (const char* named = std::getenv("XDG_CACHE_HOME"); named != nullptr && *named == '/') {
    root = named;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    root = fmt::format("{}/.cache", home);
  } else {
    return std::nullopt;
  }
  std::error_code ignored;
  fs::create_directories(root, ignored);
  std::string folder = root + "/lockstep";
  ::mkdir(folder.c_str(), 0700);
  return is_private(folder) ? std::optional(folder) : std::nullopt;
}

/// Copies the tree; false when any part of it failed.
bool copy_tree(const std::string& from, const std::string& to) {
  std::error_code failed;
  fs::copy(from, to, fs::copy_options::recursive, failed);
  return !failed;
}

bool give_tree_to(const ServerUser& user, const std::string& folder) {
  if (!user.drop) return true;
  std::error_code failed;
  if (::lchown(folder.c_str(), user.uid, user.gid) != 0) return false;
  for (const auto& entry : fs::recursive_directory_iterator(folder, failed)) {
    if (::lchown(entry.path().c_str(), user.uid, user.gid) != 0) return false;
  }
  return !failed;
}

void remove_tree(const std::string& folder) noexcept {
  std::error_code ignored;
  fs::remove_all(folder, ignored);
}

/// data/ empty again and the server's, after a copy that failed.
bool empty_data(const ServerUser& user, const std::string& data) {
  remove_tree(data);
  return ::mkdir(data.c_str(), 0700) == 0 && (!user.drop || ::chown(data.c_str(), user.uid, user.gid) == 0);
}

bool copy_from_template(const std::string& stored, const ServerUser& user, const std::string& data) {
  return is_private(stored) && copy_tree(stored, data) && ::chmod(data.c_str(), 0700) == 0 && give_tree_to(user, data);
}

/// Keeps a copy under its key; templates of other programs go.
void store_template(const std::string& cache, const std::string& stored, const std::string& data) {
  std::string beside = fmt::format("{}/new-XXXXXX", cache);
  if (::mkdtemp(beside.data()) == nullptr) return;
  const std::string copy = beside + "/data";
  if (copy_tree(data, copy) && ::chmod(copy.c_str(), 0700) == 0 && ::rename(copy.c_str(), stored.c_str()) == 0) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(cache, ignored)) {
      const std::string path = entry.path().string();
      if (entry.path().filename().string().starts_with("pgdata") && path != stored) remove_tree(path);
    }
  }
  remove_tree(beside);
}

/// Drops template1. A third of the files is its own, and making files is what a start costs (ext4 takes 0.3 ms for each
/// when others were removed in the last half minute). A database of a run's own (own_database.h) is made from
/// template0, so that stays. Should it fail, both stay.
void drop_template1(const ServerBinaries& binaries, const ServerUser& user, const ServerFolder& folder) {
  const std::string script = folder.path() + "/drop-template1.sql";
  std::ofstream(script) << "update pg_database set datistemplate = false where datname = 'template1'\n"
                           "drop database template1\n";
  (void)run_to_end({binaries.postgres(), "--single", "-F", "-D", folder.data(), "postgres"}, user, folder, script,
                   kInitdbMax);
}

}  // namespace

Result<bool> make_data(const ServerBinaries& binaries, const ServerUser& user, const ServerFolder& folder,
                       UseTemplate use_template) {
  const auto cache = cache_folder();
  const std::string stored = cache ? fmt::format("{}/{}{}", *cache, kTemplatePrefix, binaries.key) : "";
  if (use_template == UseTemplate::yes && cache) {
    if (copy_from_template(stored, user, folder.data())) return true;
  }
  if (use_template == UseTemplate::no && cache) remove_tree(stored);
  if (!empty_data(user, folder.data())) return Error{Fault::io, {}, fmt::format("cannot make {}", folder.data())};
  const auto made = run_to_end({binaries.initdb(), "--no-sync", "--auth=trust", "--username=postgres",
                                "--encoding=UTF8", "--locale=C", "--pgdata=" + folder.data()},
                               user, folder, "/dev/null", kInitdbMax);
  if (!made) return made.error();
  drop_template1(binaries, user, folder);
  if (cache) store_template(*cache, stored, folder.data());
  return false;
}

}  // namespace lockstep::postgres
