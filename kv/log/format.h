// format.h: the files of a log, byte by byte. All numbers are little-endian.
//
// A segment is a header of 40 bytes and records without a gap between them. Positions count the records of a store from
// 1 on without a hole, across segments.
//
//   header   8 magic "lsk log\n" · u32 format · u32 0 · u64 store id · u64 position of the first record · u64 checksum
//   record   u64 checksum · u64 position · u64 settled · u64 bytes of the write set · write set (write_set.h)
//
// Checksums are xxHash64 (Collet) of what follows (record) or goes before (header), seeded with the store id. So a
// block of another store is not taken for one of this. `settled` says up to which position the log was known to be on
// disk when the record was written. It tells a torn end from damage: the writer never writes past a group that is not
// synced, or says so in `settled`. Suppose that a record at position P is unreadable, and a readable one behind it says
// that P was settled. Then P was once on disk and has been lost since: an error. When none says so, P may never have
// been acknowledged, and the log ends before it. The file SETTLED covers what is behind the last record that proves
// something, when the store was closed in order (folder.h). Only after a crash is the end of the log its own witness.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kv/base/result.h"
#include "kv/log/log_wait.h"

namespace lockstep::kv {

/// Error::code of every fault that says that a file is not what was written.
inline constexpr std::string_view kDamaged = "damaged";

inline constexpr std::uint32_t kLogFormat = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 40;
inline constexpr std::size_t kRecordHeaderBytes = 32;

std::uint64_t checksum_of(std::string_view bytes, std::uint64_t store_id) noexcept;

std::string segment_header(std::uint64_t store_id, Position first);

/// Appends a record to `bytes`; seal_records() completes it.
void add_record(std::string& bytes, Position position, std::string_view write_set);
/// Completes every record of `bytes`: sets `settled` and the checksum.
void seal_records(std::string& bytes, std::uint64_t store_id, Position settled) noexcept;

/// A record that is intact. The view points into the segment.
struct LogRecord {
  Position position = 0;
  std::uint64_t offset = 0;  ///< of its header in the file
  std::string_view write_set;
};

/// Where a segment ends, and why there.
struct SegmentEnd {
  Position last = 0;             ///< the last intact record; the one before `first` when there is none
  std::uint64_t good_bytes = 0;  ///< everything before this offset is intact
  bool torn = false;             ///< something follows that was never complete
};

/// What is known of a segment before it is read.
struct SegmentStart {
  std::uint64_t store_id = 0;
  Position first = 1;
  Position settled = 0;     ///< up to here the log was on disk once
  bool may_be_torn = true;  ///< it is the last one
};

/// Walks through a segment: `bytes` is the whole file `path`. Calls `visit` for each record in order, until it answers
/// a fault. Fault::io names file and offset when the segment is damaged; Fault::invalid when it is of another store or
/// another format. Safe for any bytes.
Result<SegmentEnd> walk_segment(std::string_view bytes, const std::string& path, const SegmentStart& start,
                                const std::function<Result<void>(const LogRecord&)>& visit);

}  // namespace lockstep::kv
