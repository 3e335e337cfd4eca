// inspect.h: a look into the data folder of a store without opening it: for people, also when the store is damaged or
// in use. Takes no lock and changes nothing.
//
// A store in use may remove a file between the look at its folder and the look at the file. Then the whole look begins
// again. Its log may end in the middle of a group that is just being written.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kv/log/file_system.h"
#include "kv/log/format.h"

namespace lockstep::kv {

/// One checkpoint or segment. `first` and `last` are positions; of a checkpoint `first` is 0.
struct FileReport {
  std::string name;
  bool is_checkpoint = false;
  bool is_needed = true;  ///< false: the newest checkpoint holds all that is in it
  Position first = 0;
  Position last = 0;
  std::uint64_t items = 0;       ///< rows of a checkpoint, records (transactions) of a segment
  std::uint64_t bytes = 0;       ///< that are intact
  std::uint64_t torn_bytes = 0;  ///< at the end, never complete or on their way; a recovery cuts them off
  std::optional<Error> damage = {};
};

struct FolderReport {
  std::string folder;
  std::uint64_t store_id = 0;
  std::uint32_t format = 0;
  std::vector<FileReport> files = {};  ///< checkpoints, then segments, by position
  std::vector<std::string> unfinished;
  std::vector<std::string> foreign;
  Position settled = 0;               ///< where the last close in order left the log; 0 = never
  std::optional<Error> problem = {};  ///< of the folder as a whole: a file is missing

  /// What keeps the store from being opened; nullptr when nothing does.
  const Error* first_problem() const noexcept;
};

/// Reads every file. Faults: invalid (no store in this folder, another format), permission, io.
Result<FolderReport> inspect(FileSystem& files, const std::string& folder);

/// Every row of a store as a recovery would give it, up to the first damage.
struct Contents {
  std::map<std::string, std::string> rows;
  Position last = 0;
  std::optional<Error> damage;
};
Result<Contents> read_contents(FileSystem& files, const std::string& folder);

/// Calls `visit` for each record of the log with the path of its file, in order, damaged files up to their damage. The
/// answer is the first damage.
Result<std::optional<Error>> read_log(
    FileSystem& files, const std::string& folder,
    const std::function<Result<void>(const std::string& path, const LogRecord& record)>& visit);

}  // namespace lockstep::kv
