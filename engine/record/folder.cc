// folder.cc: the saved runs of a folder: listing them, and finding one by the start of its id. What is not a run (a
// recording in the making, a file of the user's) is passed over.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <tuple>

#include "engine/record/files.h"
#include "engine/record/open.h"
#include "engine/record/owned_folder.h"
#include "engine/record/run.h"

namespace lockstep::record {
namespace {

constexpr std::size_t kNamedInMessage = 8;

/// The ids that have a folder, in their order. A folder that does not exist holds none.
Result<std::vector<std::string>> ids_in(const std::string& folder) {
  std::vector<std::string> ids;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    std::string name = entry->path().filename().string();
    if (is_id(name)) ids.push_back(std::move(name));
  }
  if (code && code.value() != ENOENT) return file_error("cannot read the folder", folder, code.value());
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string path_of(const std::string& folder, const std::string& id) { return file_in(folder + "/" + id); }

Result<SavedRun> summary_of(const std::string& path) {
  Result<sqlite::Database> database = open_recording(path);
  if (!database) return database.error();
  SavedRun summary;
  std::string verdict;
  {
    sqlite::Statement row(*database,
                          "SELECT id, scenario, store, protocol, pattern, executor, started_at, verdict, as_expected,"
                          " events FROM run");
    if (row.next()) {
      int column = 0;
      for (std::string* text : {&summary.id, &summary.scenario, &summary.store, &summary.protocol, &summary.pattern,
                                &summary.executor, &summary.started_at, &verdict}) {
        *text = row.text(column++);
      }
      summary.as_expected = row.integer(column++) != 0;
      summary.events = static_cast<std::uint64_t>(row.integer(column));
    }
  }
  if (database->failed()) return damaged(path, database->error("cannot read the recording").message);
  const auto known = verdict_named(verdict);
  if (!known) return damaged(path, fmt::format("unknown verdict \"{}\"", verdict));
  summary.verdict = *known;
  summary.path = path;
  return summary;
}

/// When the file was last written; orders runs that started in the same instant.
std::int64_t written_ns(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return 0;
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

Result<std::vector<SavedRun>> list(const std::string& folder, std::vector<std::string>* unreadable) {
  const auto ids = ids_in(folder);
  if (!ids) return ids.error();
  std::vector<std::pair<std::int64_t, SavedRun>> found;
  for (const std::string& id : *ids) {
    const std::string path = path_of(folder, id);
    Result<SavedRun> summary = summary_of(path);
    if (summary) {
      found.emplace_back(written_ns(path), std::move(*summary));
    } else if (unreadable != nullptr) {
      unreadable->push_back(summary.error().message);
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::tie(a.second.started_at, a.first, a.second.id) < std::tie(b.second.started_at, b.first, b.second.id);
  });
  std::vector<SavedRun> runs;
  runs.reserve(found.size());
  for (auto& [written, summary] : found) runs.push_back(std::move(summary));
  return runs;
}

Result<std::string> find(const std::string& folder, std::string_view prefix) {
  std::string start(prefix);
  for (char& c : start) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto ids = ids_in(folder);
  if (!ids) return ids.error();
  std::vector<std::string> matches;
  for (const std::string& id : *ids) {
    if (!start.empty() && id.starts_with(start)) matches.push_back(id);
  }
  if (matches.size() == 1) return path_of(folder, matches.front());
  if (matches.empty()) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("no run in {} has an id that starts with \"{}\" (lockstep runs)", folder, prefix)};
  }
  const std::size_t named = std::min(matches.size(), kNamedInMessage);
  return Error{
      Fault::invalid,
      {},
      fmt::format("{} runs in {} have ids that start with \"{}\": {}{}; give more digits", matches.size(), folder,
                  prefix, fmt::join(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(named), ", "),
                  named < matches.size() ? " …" : "")};
}

}  // namespace lockstep::record
