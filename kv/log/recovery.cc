// recovery.cc: opens a folder and replays what is in it.
#include "kv/log/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "kv/log/checkpoint.h"

namespace lockstep::kv {
namespace {

class Recovery {
 public:
  Recovery(FileSystem& files, const std::string& folder, Restorer& into)
      : files_(files), folder_(folder), into_(into) {}

  Result<OpenFolder> run();

 private:
  Result<void> identify();
  Result<void> create();
  Result<void> load_checkpoint();
  Result<void> replay();
  Result<void> replay_segment(std::size_t index, std::string& bytes, SegmentEnd& end);
  Result<void> apply(const LogRecord& record, const std::string& path);
  Result<void> continue_last(const std::string& bytes, const SegmentEnd& end);
  Result<void> remove_leftovers();

  FileSystem& files_;
  const std::string& folder_;
  Restorer& into_;
  FolderContents found_;
  OpenFolder open_;
};

Error missing(const std::string& folder, Position from, std::string_view why) {
  return Error{Fault::io, std::string(kDamaged),
               fmt::format("the log in {} lacks the records from position {} on: {}; restore the missing log-* file "
                           "from a backup",
                           folder, from, why)};
}

Result<void> Recovery::identify() {
  Result<FolderContents> found = look_into(files_, folder_);
  if (!found.ok()) return found.error();
  found_ = std::move(found).value();
  if (found_.has_identity) {
    const Result<std::uint64_t> id = read_identity(files_, folder_);
    if (!id.ok()) return id.error();
    open_.store_id = *id;
    const Result<Position> settled = read_settled(files_, folder_, *id);
    if (!settled.ok()) return settled.error();
    open_.settled = *settled;
    return {};
  }
  // A crash while a store was made leaves at most an empty first segment.
  bool new_store = found_.is_empty();
  if (!new_store && found_.foreign.empty() && found_.checkpoints.empty() &&
      found_.segments == std::vector<Position>{1}) {
    const Result<std::string> first = read_whole(files_, segment_path(folder_, 1));
    if (!first.ok()) return first.error();
    new_store = first->size() <= kSegmentHeaderBytes;
  }
  if (new_store) return create();
  if (found_.segments.empty() && found_.checkpoints.empty())
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} holds no kv store but other files, such as {}; a new store needs a folder that is "
                             "empty or not there",
                             folder_, found_.foreign.front())};
  return Error{
      Fault::io, std::string(kDamaged),
      fmt::format("{} is missing beside the logs of a store; restore it from a backup", join_path(folder_, "STORE"))};
}

// The segment first: a folder with an identity and no log has lost its log.
Result<void> Recovery::create() {
  open_.store_id = new_store_id();
  for (const std::string& name : found_.unfinished)
    if (Result<void> done = files_.remove(join_path(folder_, name)); !done.ok()) return done;
  found_.unfinished.clear();
  const Result<std::unique_ptr<File>> segment =
      create_whole(files_, folder_, segment_path(folder_, 1), segment_header(open_.store_id, 1));
  if (!segment.ok()) return segment.error();
  found_.segments = {1};
  return write_identity(files_, folder_, open_.store_id);
}

Result<void> Recovery::load_checkpoint() {
  open_.checkpoint = found_.newest_checkpoint();
  if (open_.checkpoint == 0) return {};
  Result<CheckpointReader> reader =
      CheckpointReader::open(files_, checkpoint_path(folder_, open_.checkpoint), open_.store_id, open_.checkpoint);
  if (!reader.ok()) return reader.error();
  while (true) {
    const Result<std::optional<LoggedWrite>> row = reader->next();
    if (!row.ok()) return row.error();
    if (!row->has_value()) break;
    if (Result<void> done = into_.put((*row)->key, *(*row)->value); !done.ok()) return done;
  }
  open_.checkpoint_bytes = reader->bytes();
  open_.report.rows = reader->rows();
  return {};
}

Result<void> Recovery::apply(const LogRecord& record, const std::string& path) {
  if (record.position <= open_.checkpoint) return {};
  ++open_.report.records;
  return for_each_write(record, path, [this](const LoggedWrite& write) {
    return write.value ? into_.put(write.key, *write.value) : into_.erase(write.key);
  });
}

Result<void> Recovery::replay_segment(std::size_t index, std::string& bytes, SegmentEnd& end) {
  const Position first = found_.segments[index];
  const bool is_last = index + 1 == found_.segments.size();
  const std::string path = segment_path(folder_, first);
  Result<std::string> whole = read_whole(files_, path);
  if (!whole.ok()) return whole.error();
  bytes = std::move(whole).value();
  const SegmentStart start{.store_id = open_.store_id,
                           .first = first,
                           .settled = is_last ? open_.settled : found_.segments[index + 1] - 1,
                           .may_be_torn = is_last};
  Result<SegmentEnd> walked =
      walk_segment(bytes, path, start, [&](const LogRecord& record) { return apply(record, path); });
  if (!walked.ok()) return walked.error();
  end = *walked;
  if (is_last) return {};
  if (end.last != start.settled)
    return missing(folder_, end.last + 1, fmt::format("{} goes further than the next file allows", path));
  open_.sealed.push_back({first, end.last, bytes.size()});
  return {};
}

Result<void> Recovery::replay() {
  if (found_.segments.empty()) return missing(folder_, open_.checkpoint + 1, "there is no log-* file");
  std::size_t index = found_.first_needed();
  if (found_.segments[index] > open_.checkpoint + 1)
    return missing(folder_, open_.checkpoint + 1,
                   fmt::format("the first file is {}", segment_path(folder_, found_.segments[index])));
  std::string bytes;
  SegmentEnd end;
  for (; index < found_.segments.size(); ++index)
    if (Result<void> done = replay_segment(index, bytes, end); !done.ok()) return done;
  if (end.last < open_.checkpoint)
    return missing(folder_, end.last + 1, fmt::format("the checkpoint contains position {}", open_.checkpoint));
  open_.last = end.last;
  open_.report.closed = end.last == open_.settled && !end.torn;
  open_.report.cut_bytes = bytes.size() - end.good_bytes;
  return continue_last(bytes, end);
}

Result<void> Recovery::continue_last(const std::string& bytes, const SegmentEnd& end) {
  if (Result<void> done = remove_leftovers(); !done.ok()) return done;
  open_.active_first = found_.segments.back();
  open_.active_bytes = end.good_bytes;
  Result<std::unique_ptr<File>> file = create_whole(files_, folder_, segment_path(folder_, open_.active_first),
                                                    std::string_view(bytes).substr(0, end.good_bytes));
  if (!file.ok()) return file.error();
  open_.active = std::move(file).value();
  return {};
}

// The file that makes these superfluous may have its name in the cache only. A process that was killed between a rename
// and the sync of the folder leaves it so. A power failure could keep the removals and lose the name, so the sync comes
// first.
Result<void> Recovery::remove_leftovers() {
  std::vector<std::string> paths;
  for (const std::string& name : found_.unfinished) paths.push_back(join_path(folder_, name));
  for (const Position checkpoint : found_.checkpoints)
    if (checkpoint != open_.checkpoint) paths.push_back(checkpoint_path(folder_, checkpoint));
  for (std::size_t i = 0; i < found_.first_needed(); ++i) paths.push_back(segment_path(folder_, found_.segments[i]));
  if (paths.empty()) return {};
  if (Result<void> done = files_.sync_folder(folder_); !done.ok()) return done;
  for (const std::string& path : paths)
    if (Result<void> done = files_.remove(path); !done.ok()) return done;
  return {};
}

Result<OpenFolder> Recovery::run() {
  Result<std::unique_ptr<FolderLock>> lock = lock_folder(files_, folder_);
  if (!lock.ok()) return lock.error();
  open_.lock = std::move(lock).value();
  if (Result<void> done = identify(); !done.ok()) return done.error();
  if (Result<void> done = load_checkpoint(); !done.ok()) return done.error();
  if (Result<void> done = replay(); !done.ok()) return done.error();
  return std::move(open_);
}

}  // namespace

Error not_writes(const std::string& path, std::uint64_t offset) {
  return Error{Fault::io, std::string(kDamaged),
               fmt::format("{} is damaged at offset {}: the record there has the right checksum and holds no writes; "
                           "restore the file from a backup",
                           path, offset)};
}

Result<OpenFolder> recover(FileSystem& files, const std::string& folder, Restorer& into) {
  return Recovery(files, folder, into).run();
}

}  // namespace lockstep::kv
