// inspect.cc: reads a data folder from the outside.
#include "kv/log/inspect.h"

#include <fmt/format.h>

#include <algorithm>

#include "kv/log/checkpoint.h"
#include "kv/log/folder.h"
#include "kv/log/recovery.h"

namespace lockstep::kv {
namespace {

constexpr int kLooks = 10;

struct Look {
  FolderContents found;
  std::uint64_t store_id = 0;
  Position settled = 0;
};

Result<Look> look_at(FileSystem& files, const std::string& folder) {
  Look look;
  Result<FolderContents> found = look_into(files, folder);
  if (!found.ok()) return found.error();
  look.found = std::move(found).value();
  const Result<std::uint64_t> id = read_identity(files, folder);
  if (!id.ok()) return id.error();
  look.store_id = *id;
  const Result<Position> settled = read_settled(files, folder, *id);
  if (!settled.ok()) return settled.error();
  look.settled = *settled;
  return look;
}

/// Calls `read` again as long as a file that was there has gone meanwhile.
template <class Read>
auto until_still(Read read) -> decltype(read()) {
  for (int looks = 1;; ++looks) {
    auto answer = read();
    if (answer.ok() || answer.error().code != kGone || looks == kLooks) return answer;
  }
}

bool is_damage(const Error& error) noexcept { return error.code == kDamaged; }

/// The rest is damage to report; this is a reason to stop: the file cannot be read at all, or has gone.
bool stops(const Error& error) noexcept { return error.fault == Fault::permission || error.code == kGone; }

SegmentStart start_of(const Look& look, std::size_t index) {
  const std::vector<Position>& segments = look.found.segments;
  const bool is_last = index + 1 == segments.size();
  return {.store_id = look.store_id,
          .first = segments[index],
          .settled = is_last ? look.settled : segments[index + 1] - 1,
          .may_be_torn = is_last};
}

Result<FileReport> inspect_checkpoint(FileSystem& files, const std::string& folder, const Look& look,
                                      Position position) {
  const std::string path = checkpoint_path(folder, position);
  FileReport report{.name = path.substr(folder.size() + 1), .is_checkpoint = true, .last = position};
  report.is_needed = position == look.found.checkpoints.back();
  Result<CheckpointReader> reader = CheckpointReader::open(files, path, look.store_id, position);
  if (reader.ok()) {
    Result<std::optional<LoggedWrite>> row = reader->next();
    while (row.ok() && row->has_value()) row = reader->next();
    report.items = reader->rows();
    report.bytes = reader->bytes();
    if (!row.ok()) report.damage = row.error();
  } else {
    report.damage = reader.error();
  }
  if (report.damage && stops(*report.damage)) return *report.damage;
  return report;
}

Result<FileReport> inspect_segment(FileSystem& files, const std::string& folder, const Look& look, std::size_t index,
                                   bool is_needed) {
  const SegmentStart start = start_of(look, index);
  const std::string path = segment_path(folder, start.first);
  FileReport report{
      .name = path.substr(folder.size() + 1), .is_needed = is_needed, .first = start.first, .last = start.first - 1};
  const Result<std::string> bytes = read_whole(files, path);
  if (!bytes.ok()) return bytes.error();
  const Result<SegmentEnd> end = walk_segment(*bytes, path, start, [&](const LogRecord& record) {
    ++report.items;
    report.last = record.position;
    report.bytes = record.offset + kRecordHeaderBytes + record.write_set.size();
    return for_each_write(record, path, [](const LoggedWrite&) { return Result<void>(); });
  });
  if (!end.ok()) {
    report.damage = end.error();
  } else {
    report.bytes = end->good_bytes;
    report.torn_bytes = bytes->size() - end->good_bytes;
  }
  return report;
}

/// What recovery would say of the folder as a whole.
std::optional<Error> missing_file(const std::string& folder, const FolderReport& report, Position checkpoint) {
  const auto lacks = [&](Position from) {
    return Error{Fault::io, std::string(kDamaged),
                 fmt::format("{} lacks the records from position {} on: a log-* file is missing", folder, from)};
  };
  const FileReport* last = nullptr;
  for (const FileReport& file : report.files) {
    if (file.is_checkpoint || !file.is_needed) continue;
    if (!last && file.first > checkpoint + 1) return lacks(checkpoint + 1);
    last = &file;
  }
  if (!last || (!last->damage && last->last < checkpoint)) return lacks(last ? last->last + 1 : checkpoint + 1);
  return std::nullopt;
}

Result<FolderReport> inspect_once(FileSystem& files, const std::string& folder) {
  const Result<Look> look = look_at(files, folder);
  if (!look.ok()) return look.error();
  FolderReport report{.folder = folder,
                      .store_id = look->store_id,
                      .format = kLogFormat,
                      .unfinished = look->found.unfinished,
                      .foreign = look->found.foreign,
                      .settled = look->settled};
  for (const Position position : look->found.checkpoints) {
    Result<FileReport> file = inspect_checkpoint(files, folder, *look, position);
    if (!file.ok()) return file.error();
    report.files.push_back(std::move(file).value());
  }
  const std::size_t first_needed = look->found.first_needed();
  for (std::size_t i = 0; i < look->found.segments.size(); ++i) {
    Result<FileReport> file = inspect_segment(files, folder, *look, i, i >= first_needed);
    if (!file.ok()) return file.error();
    report.files.push_back(std::move(file).value());
  }
  report.problem = missing_file(folder, report, look->found.newest_checkpoint());
  return report;
}

Result<Contents> read_contents_once(FileSystem& files, const std::string& folder) {
  const Result<Look> look = look_at(files, folder);
  if (!look.ok()) return look.error();
  Contents contents;
  const Position checkpoint = look->found.newest_checkpoint();
  contents.last = checkpoint;
  if (checkpoint != 0) {
    Result<CheckpointReader> reader =
        CheckpointReader::open(files, checkpoint_path(folder, checkpoint), look->store_id, checkpoint);
    if (!reader.ok()) return reader.error();
    while (true) {
      const Result<std::optional<LoggedWrite>> row = reader->next();
      if (!row.ok()) {
        if (stops(row.error())) return row.error();
        contents.damage = row.error();
        return contents;
      }
      if (!row->has_value()) break;
      contents.rows.emplace_hint(contents.rows.end(), (*row)->key, *(*row)->value);
    }
  }
  for (std::size_t i = look->found.first_needed(); i < look->found.segments.size(); ++i) {
    const SegmentStart start = start_of(*look, i);
    const std::string path = segment_path(folder, start.first);
    if (start.first > contents.last + 1) {
      contents.damage = Error{
          Fault::io, std::string(kDamaged),
          fmt::format("{} lacks the records from position {} on: a log-* file is missing", folder, contents.last + 1)};
      return contents;
    }
    const Result<std::string> bytes = read_whole(files, path);
    if (!bytes.ok()) return bytes.error();
    const Result<SegmentEnd> end = walk_segment(*bytes, path, start, [&](const LogRecord& record) -> Result<void> {
      if (record.position <= contents.last) return {};
      Result<void> applied = for_each_write(record, path, [&](const LoggedWrite& write) {
        if (write.value)
          contents.rows.insert_or_assign(std::string(write.key), std::string(*write.value));
        else
          contents.rows.erase(std::string(write.key));
        return Result<void>();
      });
      if (applied.ok()) contents.last = record.position;
      return applied;
    });
    if (!end.ok()) {
      contents.damage = end.error();
      return contents;
    }
  }
  return contents;
}

}  // namespace

const Error* FolderReport::first_problem() const noexcept {
  for (const FileReport& file : files)
    if (file.is_needed && file.damage) return &*file.damage;
  return problem ? &*problem : nullptr;
}

Result<FolderReport> inspect(FileSystem& files, const std::string& folder) {
  return until_still([&] { return inspect_once(files, folder); });
}

Result<Contents> read_contents(FileSystem& files, const std::string& folder) {
  return until_still([&] { return read_contents_once(files, folder); });
}

Result<std::optional<Error>> read_log(
    FileSystem& files, const std::string& folder,
    const std::function<Result<void>(const std::string& path, const LogRecord& record)>& visit) {
  const Result<Look> look = look_at(files, folder);
  if (!look.ok()) return look.error();
  std::optional<Error> damage;
  for (std::size_t i = 0; i < look->found.segments.size(); ++i) {
    const SegmentStart start = start_of(*look, i);
    const std::string path = segment_path(folder, start.first);
    const Result<std::string> bytes = read_whole(files, path);
    if (!bytes.ok()) {
      if (bytes.error().code == kGone) continue;  // a checkpoint of a store in use has taken its place
      return bytes.error();
    }
    const Result<SegmentEnd> end =
        walk_segment(*bytes, path, start, [&](const LogRecord& record) { return visit(path, record); });
    if (end.ok()) continue;
    if (!is_damage(end.error()) && end.fault() != Fault::invalid) return end.error();
    if (!damage) damage = end.error();
  }
  return damage;
}

}  // namespace lockstep::kv
