// checkpoint.h: every row of a store as of one position of its log, in one file, in key order.
//
//   header   8 magic "lsk rows" · u32 format · u32 0 · u64 store id · u64 position · u64 checksum of these
//   block    u64 checksum · u32 bytes of the rows · u32 rows · rows as in write_set.h, none erased
//   end      a block of 0 bytes whose "rows" are 0, followed by u64 rows of the file · u64 checksum of that number
//
// Checksums as in format.h. The file gets its name after it is whole and synced, so that any fault in it is damage.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kv/log/file_system.h"
#include "kv/log/format.h"
#include "kv/log/write_set.h"

namespace lockstep::kv {

/// Reads a checkpoint from its beginning to its end. Safe for any bytes; holds one block in memory. Not thread-safe.
class CheckpointReader {
 public:
  /// Checks the header. Faults as in walk_segment().
  static Result<CheckpointReader> open(FileSystem& files, std::string path, std::uint64_t store_id, Position position);

  /// The next row, valid until the next call; nullopt behind the last one. Fault::io names file and offset.
  Result<std::optional<LoggedWrite>> next();

  std::uint64_t rows() const noexcept { return rows_; }     ///< that next() has given so far
  std::uint64_t bytes() const noexcept { return offset_; }  ///< of the file, so far

 private:
  CheckpointReader(std::unique_ptr<File> file, std::string path, std::uint64_t store_id)
      : file_(std::move(file)), path_(std::move(path)), store_id_(store_id) {}

  Result<void> read(std::string& into, std::size_t size);
  Result<bool> next_block();
  Error damaged(std::string_view what) const;

  std::unique_ptr<File> file_;
  std::string path_;
  std::uint64_t store_id_;
  std::uint64_t offset_ = 0;
  std::uint64_t block_at_ = 0;
  std::uint64_t rows_ = 0;
  std::string block_;
  std::string_view rest_;  // of the rows of block_
  std::uint32_t rows_left_ = 0;
  std::string previous_key_;
  bool at_end_ = false;
};

/// Writes one. Not thread-safe.
class CheckpointWriter {
 public:
  static Result<CheckpointWriter> create(FileSystem& files, std::string folder, std::uint64_t store_id,
                                         Position position);
  /// In rising order of keys.
  Result<void> add(KeyView key, std::string_view value);
  /// Makes the file whole and durable and gives it its name. Its size in bytes.
  Result<std::uint64_t> finish();

 private:
  CheckpointWriter(FileSystem& files, std::string folder, std::uint64_t store_id, Position position)
      : files_(&files), folder_(std::move(folder)), store_id_(store_id), position_(position) {}

  Result<void> write_block();

  FileSystem* files_;
  std::string folder_;
  std::uint64_t store_id_;
  Position position_;
  std::unique_ptr<File> file_;
  WriteSet block_;
  std::uint32_t block_rows_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t unsynced_ = 0;
};

}  // namespace lockstep::kv
