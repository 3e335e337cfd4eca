// checkpoint.cc: reads and writes the file of all rows.
#include "kv/log/checkpoint.h"

#include <fmt/format.h>

#include "kv/log/folder.h"

namespace lockstep::kv {
namespace {

constexpr std::string_view kMagic = "lsk rows";
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kBlockHeadBytes = 16;
constexpr std::size_t kEndBytes = 16;
constexpr std::size_t kBlockBytes = 64 * 1024;         // a row that is longer has a block of its own
constexpr std::uint64_t kSyncBytes = 4 * 1024 * 1024;  // in small steps, so that commits do not queue behind one big
constexpr std::size_t kMostBlockBytes = kBlockBytes + kMaxKeyBytes + kMaxValueBytes + 8;

std::string header_of(std::uint64_t store_id, Position position) {
  std::string bytes(kMagic);
  add_number(bytes, kLogFormat);
  add_number(bytes, std::uint32_t{0});
  add_number(bytes, store_id);
  add_number(bytes, position);
  add_number(bytes, checksum_of(bytes, store_id));
  return bytes;
}

std::string block_of(std::string_view rows, std::uint32_t count, std::uint64_t store_id) {
  std::string bytes;
  bytes.reserve(kBlockHeadBytes + rows.size());
  add_number(bytes, std::uint64_t{0});
  add_number(bytes, static_cast<std::uint32_t>(rows.size()));
  add_number(bytes, count);
  bytes.append(rows);
  const std::uint64_t checksum = checksum_of(std::string_view(bytes).substr(sizeof(std::uint64_t)), store_id);
  std::memcpy(bytes.data(), &checksum, sizeof checksum);
  return bytes;
}

}  // namespace

Error CheckpointReader::damaged(std::string_view what) const {
  return Error{Fault::io, std::string(kDamaged),
               fmt::format("{} is damaged at offset {}: {}; restore it from a backup (an older checkpoint serves when "
                           "the log since then is still there: move this one away)",
                           path_, block_at_, what)};
}

Result<void> CheckpointReader::read(std::string& into, std::size_t size) {
  into.clear();
  // In steps: what a damaged file says of its size must not make us take all memory.
  while (into.size() < size) {
    const std::size_t step = std::min<std::size_t>(size - into.size(), 1024 * 1024);
    const std::size_t before = into.size();
    into.resize(before + step);
    const Result<std::size_t> got = file_->read(offset_, into.data() + before, step);
    if (!got.ok()) return got.error();
    offset_ += *got;
    if (*got < step) return damaged(fmt::format("the file ends at offset {}, within it", offset_));
  }
  return {};
}

Result<CheckpointReader> CheckpointReader::open(FileSystem& files, std::string path, std::uint64_t store_id,
                                                Position position) {
  Result<std::unique_ptr<File>> file = files.open(path);
  if (!file.ok()) return file.error();
  CheckpointReader reader(std::move(file).value(), std::move(path), store_id);
  std::string header;
  if (Result<void> got = reader.read(header, kHeaderBytes); !got.ok()) return got.error();
  if (header == header_of(store_id, position)) return reader;
  if (!std::string_view(header).starts_with(kMagic)) return reader.damaged("it does not begin as a checkpoint does");
  if (const auto format = number_at<std::uint32_t>(header, 8); format != kLogFormat)
    return Error{
        Fault::invalid,
        {},
        fmt::format("{} has format {}; this program reads format {}: use the version of lockstep that wrote it",
                    reader.path_, format, kLogFormat)};
  if (const auto id = number_at<std::uint64_t>(header, 16);
      id != store_id && header == header_of(id, number_at<std::uint64_t>(header, 24)))
    return Error{Fault::invalid,
                 {},
                 fmt::format("{} belongs to another store (id {:016x}, this one is {:016x}); move it away",
                             reader.path_, id, store_id)};
  return reader.damaged("its header is wrong or does not go with its name");
}

Result<bool> CheckpointReader::next_block() {
  block_at_ = offset_;
  std::string head;
  if (Result<void> got = read(head, kBlockHeadBytes); !got.ok()) return got.error();
  const auto checksum = number_at<std::uint64_t>(head, 0);
  const auto size = number_at<std::uint32_t>(head, 8);
  rows_left_ = number_at<std::uint32_t>(head, 12);
  if (size > kMostBlockBytes) return damaged("a block is longer than any can be");
  if (Result<void> got = read(block_, size); !got.ok()) return got.error();
  if (checksum != checksum_of(head.substr(8) + block_, store_id_)) return damaged("the checksum of a block is wrong");
  rest_ = block_;
  if (rows_left_ > 0) return true;
  std::string end;
  if (Result<void> got = read(end, kEndBytes); !got.ok()) return got.error();
  if (number_at<std::uint64_t>(end, 8) != checksum_of(std::string_view(end).substr(0, 8), store_id_))
    return damaged("the checksum of its end is wrong");
  if (number_at<std::uint64_t>(end, 0) != rows_)
    return damaged(fmt::format("it has {} rows and should have {}", rows_, number_at<std::uint64_t>(end, 0)));
  at_end_ = true;
  return false;
}

Result<std::optional<LoggedWrite>> CheckpointReader::next() {
  if (at_end_) return std::optional<LoggedWrite>();
  if (rows_left_ == 0) {
    const Result<bool> more = next_block();
    if (!more.ok()) return more.error();
    if (!*more) return std::optional<LoggedWrite>();
  }
  const std::optional<LoggedWrite> row = take_write(rest_);
  if (!row || !row->value) return damaged("a block does not hold the rows that it should");
  if (rows_ > 0 && row->key <= previous_key_) return damaged("its keys are not in order");
  --rows_left_;
  if (rows_left_ == 0 && !rest_.empty()) return damaged("a block holds more than its rows");
  ++rows_;
  previous_key_.assign(row->key);
  return row;
}

Result<CheckpointWriter> CheckpointWriter::create(FileSystem& files, std::string folder, std::uint64_t store_id,
                                                  Position position) {
  CheckpointWriter writer(files, std::move(folder), store_id, position);
  Result<std::unique_ptr<File>> file = files.create(checkpoint_path(writer.folder_, position) + ".new");
  if (!file.ok()) return file.error();
  writer.file_ = std::move(file).value();
  const std::string header = header_of(store_id, position);
  writer.bytes_ = header.size();
  if (Result<void> done = writer.file_->append(header); !done.ok()) return done.error();
  return writer;
}

Result<void> CheckpointWriter::write_block() {
  const std::string bytes = block_of(block_.bytes(), block_rows_, store_id_);
  block_.clear();
  block_rows_ = 0;
  bytes_ += bytes.size();
  unsynced_ += bytes.size();
  if (Result<void> done = file_->append(bytes); !done.ok()) return done;
  if (unsynced_ < kSyncBytes) return {};
  unsynced_ = 0;
  return file_->sync();
}

Result<void> CheckpointWriter::add(KeyView key, std::string_view value) {
  block_.put(key, value);
  ++block_rows_;
  ++rows_;
  return block_.bytes().size() < kBlockBytes ? Result<void>() : write_block();
}

Result<std::uint64_t> CheckpointWriter::finish() {
  if (block_rows_ > 0)
    if (Result<void> done = write_block(); !done.ok()) return done.error();
  std::string end = block_of({}, 0, store_id_);
  const std::size_t count_at = end.size();
  add_number(end, rows_);
  add_number(end, checksum_of(std::string_view(end).substr(count_at), store_id_));
  bytes_ += end.size();
  if (Result<void> done = file_->append(end); !done.ok()) return done.error();
  if (Result<void> done = file_->sync(); !done.ok()) return done.error();
  const std::string path = checkpoint_path(folder_, position_);
  if (Result<void> done = files_->rename(path + ".new", path); !done.ok()) return done.error();
  if (Result<void> done = files_->sync_folder(folder_); !done.ok()) return done.error();
  return bytes_;
}

}  // namespace lockstep::kv
