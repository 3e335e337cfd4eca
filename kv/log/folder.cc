// folder.cc: names, the identity file, and how a file appears whole or not at all.
#include "kv/log/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

namespace lockstep::kv {
namespace {

constexpr std::string_view kLock = "LOCK";
constexpr std::string_view kIdentity = "STORE";
constexpr std::string_view kSettled = "SETTLED";
constexpr std::string_view kSegment = "log-";
constexpr std::string_view kCheckpoint = "checkpoint-";
constexpr std::string_view kUnfinished = ".new";
constexpr std::size_t kDigits = 20;

std::optional<Position> position_in(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  Position position = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), position);
  const bool whole = error == std::errc() && rest == name.data() + name.size() && name.size() == kDigits;
  return whole ? std::optional(position) : std::nullopt;
}

std::string identity_text(std::uint32_t format, std::uint64_t id) {
  const std::string text = fmt::format("lockstep kv store\nformat {}\nid {:016x}\n", format, id);
  return text + fmt::format("check {:016x}\n", checksum_of(text, id));
}

std::string settled_text(std::uint64_t id, Position position) {
  const std::string text = fmt::format("position {}\n", position);
  return text + fmt::format("check {:016x}\n", checksum_of(text, id));
}

}  // namespace

std::uint64_t new_store_id() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

std::string join_path(const std::string& folder, std::string_view name) { return fmt::format("{}/{}", folder, name); }

std::string segment_path(const std::string& folder, Position first) {
  return join_path(folder, fmt::format("{}{:020}", kSegment, first));
}

std::string checkpoint_path(const std::string& folder, Position position) {
  return join_path(folder, fmt::format("{}{:020}", kCheckpoint, position));
}

std::size_t FolderContents::first_needed() const noexcept {
  std::size_t index = 0;
  while (index + 1 < segments.size() && segments[index + 1] <= newest_checkpoint() + 1) ++index;
  return index;
}

Result<FolderContents> look_into(FileSystem& files, const std::string& folder) {
  const Result<std::vector<std::string>> names = files.list(folder);
  if (!names.ok()) return names.error();
  FolderContents found;
  for (const std::string& name : *names) {
    if (name == kLock) continue;
    if (name == kIdentity) {
      found.has_identity = true;
    } else if (name == kSettled) {
      found.has_settled = true;
    } else if (const auto first = position_in(name, kSegment)) {
      found.segments.push_back(*first);
    } else if (const auto position = position_in(name, kCheckpoint)) {
      found.checkpoints.push_back(*position);
    } else if (name.ends_with(kUnfinished) && (name.starts_with(kSegment) || name.starts_with(kCheckpoint) ||
                                               name.starts_with(kIdentity) || name.starts_with(kSettled))) {
      found.unfinished.push_back(name);
    } else {
      found.foreign.push_back(name);
    }
  }
  std::sort(found.segments.begin(), found.segments.end());
  std::sort(found.checkpoints.begin(), found.checkpoints.end());
  return found;
}

Result<std::uint64_t> read_identity(FileSystem& files, const std::string& folder) {
  const std::string path = join_path(folder, kIdentity);
  const Result<std::string> text = read_whole(files, path);
  if (!text.ok()) {
    if (text.fault() != Fault::invalid) return text.error();
    return Error{Fault::invalid, text.error().code,
                 fmt::format("{} holds no kv store: {}", folder, text.error().message)};
  }
  unsigned format = 0;
  unsigned long long id = 0;
  const int read = std::sscanf(text->c_str(), "lockstep kv store\nformat %u\nid %16llx\n", &format, &id);
  if (read >= 1 && format != kLogFormat)
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} was written in format {}; this program reads format {}: use the version of lockstep "
                             "that wrote it",
                             folder, format, kLogFormat)};
  if (read != 2 || *text != identity_text(format, id))
    return Error{Fault::io, std::string(kDamaged),
                 fmt::format("{} is damaged: it should be four lines that name the format and the id of the store; "
                             "restore it from a backup",
                             path)};
  return id;
}

Result<void> write_identity(FileSystem& files, const std::string& folder, std::uint64_t id) {
  const Result<std::unique_ptr<File>> made =
      create_whole(files, folder, join_path(folder, kIdentity), identity_text(kLogFormat, id));
  return made.ok() ? Result<void>() : made.error();
}

Result<Position> read_settled(FileSystem& files, const std::string& folder, std::uint64_t id) {
  const std::string path = join_path(folder, kSettled);
  const Result<std::string> text = read_whole(files, path);
  if (!text.ok()) return text.fault() == Fault::invalid ? Result<Position>(0) : text.error();
  unsigned long long position = 0;
  if (std::sscanf(text->c_str(), "position %llu\n", &position) != 1 || *text != settled_text(id, position))
    return Error{Fault::io, std::string(kDamaged),
                 fmt::format("{} is damaged: it should be two lines that name a position; restore it from a backup, or "
                             "move it away to open the store without knowing where its log ended",
                             path)};
  return position;
}

Result<void> write_settled(FileSystem& files, const std::string& folder, std::uint64_t id, Position position) {
  const Result<std::unique_ptr<File>> made =
      create_whole(files, folder, join_path(folder, kSettled), settled_text(id, position));
  return made.ok() ? Result<void>() : made.error();
}

Result<std::unique_ptr<FolderLock>> lock_folder(FileSystem& files, const std::string& folder) {
  if (Result<void> made = files.make_folder(folder); !made.ok()) return made.error();
  Result<std::vector<std::string>> names = files.list(folder);  // tells a file from a folder
  if (!names.ok()) return names.error();
  Result<std::unique_ptr<FolderLock>> lock = files.lock(join_path(folder, kLock));
  if (lock.ok()) return lock;
  const Error& why = lock.error();
  if (why.fault == Fault::unavailable)
    return Error{why.fault, why.code,
                 fmt::format("the store in {} is in use: {}; end that process or use another folder (`lockstep kv "
                             "verify` and `kv dump` look at a store in use)",
                             folder, why.message)};
  if (why.fault == Fault::permission)
    return Error{why.fault, why.code,
                 fmt::format("the store in {} cannot be written to: {}; a store needs a folder that it may write to "
                             "(`lockstep kv verify` and `kv dump` only read)",
                             folder, why.message)};
  return lock;
}

Result<std::unique_ptr<File>> create_whole(FileSystem& files, const std::string& folder, const std::string& path,
                                           std::string_view bytes) {
  const std::string unfinished = path + std::string(kUnfinished);
  Result<std::unique_ptr<File>> file = files.create(unfinished);
  if (!file.ok()) return file;
  if (Result<void> done = (*file)->append(bytes); !done.ok()) return done.error();
  if (Result<void> done = (*file)->sync(); !done.ok()) return done.error();
  if (Result<void> done = files.rename(unfinished, path); !done.ok()) return done.error();
  if (Result<void> done = files.sync_folder(folder); !done.ok()) return done.error();
  return file;
}

Result<std::string> read_whole(FileSystem& files, const std::string& path) {
  const Result<std::unique_ptr<File>> file = files.open(path);
  if (!file.ok()) return file.error();
  std::string bytes;
  for (std::size_t chunk = 64 * 1024;; chunk *= 2) {
    const std::size_t before = bytes.size();
    bytes.resize(before + chunk);
    const Result<std::size_t> got = (*file)->read(before, bytes.data() + before, chunk);
    if (!got.ok()) return got.error();
    bytes.resize(before + *got);
    if (*got < chunk) return bytes;
  }
}

}  // namespace lockstep::kv
