// format.cc: writes and checks the parts of a segment.
#include "kv/log/format.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kv/log/write_set.h"

namespace lockstep::kv {
namespace {

constexpr std::string_view kSegmentMagic = "lsk log\n";

// Offsets within a record.
constexpr std::size_t kPositionAt = 8;
constexpr std::size_t kSettledAt = 16;
constexpr std::size_t kSizeAt = 24;

struct Head {
  std::uint64_t checksum, position, settled, size;
};

Head head_at(std::string_view bytes, std::size_t offset) noexcept {
  return {number_at<std::uint64_t>(bytes, offset), number_at<std::uint64_t>(bytes, offset + kPositionAt),
          number_at<std::uint64_t>(bytes, offset + kSettledAt), number_at<std::uint64_t>(bytes, offset + kSizeAt)};
}

/// Whether an intact record begins at `offset` (there is room for a header).
bool is_intact(std::string_view bytes, std::size_t offset, const Head& head, std::uint64_t store_id) noexcept {
  if (head.size > bytes.size() - offset - kRecordHeaderBytes) return false;
  const std::size_t covered = kRecordHeaderBytes - kPositionAt + head.size;
  return head.checksum == checksum_of(bytes.substr(offset + kPositionAt, covered), store_id);
}

/// Looks behind an unreadable record `missing` at `from` for one that proves that it was once on disk; its offset.
std::optional<std::size_t> find_proof(std::string_view bytes, std::size_t from, Position missing,
                                      std::uint64_t store_id) noexcept {
  const std::size_t most = bytes.size() / kRecordHeaderBytes;  // records that the file can hold
  for (std::size_t offset = from; offset + kRecordHeaderBytes <= bytes.size(); ++offset) {
    const Head head = head_at(bytes, offset);
    const bool plausible = head.settled >= missing && head.position > head.settled && head.position - missing <= most;
    if (plausible && is_intact(bytes, offset, head, store_id)) return offset;
  }
  return std::nullopt;
}

Error damaged(const std::string& path, std::uint64_t offset, std::string_view what) {
  return Error{Fault::io, std::string(kDamaged),
               fmt::format("{} is damaged at offset {}: {}; take a copy of the folder, look at it with `lockstep kv "
                           "verify` and `kv dump --log`, and restore the file from a backup",
                           path, offset, what)};
}

Result<void> check_header(std::string_view bytes, const std::string& path, std::uint64_t store_id, Position first) {
  if (bytes.size() < kSegmentHeaderBytes) return damaged(path, bytes.size(), "it ends within its header");
  if (!bytes.starts_with(kSegmentMagic)) return damaged(path, 0, "it does not begin as a log does");
  const std::uint32_t format = number_at<std::uint32_t>(bytes, kSegmentMagic.size());
  if (format != kLogFormat)
    return Error{
        Fault::invalid,
        {},
        fmt::format("{} has format {}; this program reads format {}: use the version of lockstep that wrote it", path,
                    format, kLogFormat)};
  const std::uint64_t id = number_at<std::uint64_t>(bytes, 16);
  const std::uint64_t checksum = number_at<std::uint64_t>(bytes, kSegmentHeaderBytes - 8);
  if (checksum != checksum_of(bytes.substr(0, kSegmentHeaderBytes - 8), id))
    return damaged(path, 0, "the checksum of its header is wrong");
  if (id != store_id)
    return Error{
        Fault::invalid,
        {},
        fmt::format("{} belongs to another store (id {:016x}, this one is {:016x}); move it away", path, id, store_id)};
  if (number_at<std::uint64_t>(bytes, 24) != first)
    return damaged(path, 24,
                   fmt::format("its name says that it begins at position {}, its header says {}", first,
                               number_at<std::uint64_t>(bytes, 24)));
  return {};
}

}  // namespace

std::uint64_t checksum_of(std::string_view bytes, std::uint64_t store_id) noexcept {
  return XXH64(bytes.data(), bytes.size(), store_id);
}

std::string segment_header(std::uint64_t store_id, Position first) {
  std::string bytes(kSegmentMagic);
  add_number(bytes, kLogFormat);
  add_number(bytes, std::uint32_t{0});
  add_number(bytes, store_id);
  add_number(bytes, first);
  add_number(bytes, checksum_of(bytes, store_id));
  return bytes;
}

void add_record(std::string& bytes, Position position, std::string_view write_set) {
  add_number(bytes, std::uint64_t{0});
  add_number(bytes, position);
  add_number(bytes, std::uint64_t{0});
  add_number(bytes, std::uint64_t{write_set.size()});
  bytes.append(write_set);
}

void seal_records(std::string& bytes, std::uint64_t store_id, Position settled) noexcept {
  for (std::size_t offset = 0; offset < bytes.size();) {
    const std::size_t size = kRecordHeaderBytes + number_at<std::uint64_t>(bytes, offset + kSizeAt);
    std::memcpy(bytes.data() + offset + kSettledAt, &settled, sizeof settled);
    const std::uint64_t checksum =
        checksum_of(std::string_view(bytes).substr(offset + kPositionAt, size - kPositionAt), store_id);
    std::memcpy(bytes.data() + offset, &checksum, sizeof checksum);
    offset += size;
  }
}

Result<SegmentEnd> walk_segment(std::string_view bytes, const std::string& path, const SegmentStart& start,
                                const std::function<Result<void>(const LogRecord&)>& visit) {
  if (Result<void> header = check_header(bytes, path, start.store_id, start.first); !header.ok()) return header.error();
  SegmentEnd end{.last = start.first - 1, .good_bytes = kSegmentHeaderBytes};
  while (end.good_bytes < bytes.size()) {
    const std::size_t offset = end.good_bytes;
    const bool whole_head = bytes.size() - offset >= kRecordHeaderBytes;
    const Head head = whole_head ? head_at(bytes, offset) : Head{};
    if (!whole_head || head.position != end.last + 1 || !is_intact(bytes, offset, head, start.store_id)) {
      end.torn = true;
      break;
    }
    const LogRecord record{head.position, offset, bytes.substr(offset + kRecordHeaderBytes, head.size)};
    if (Result<void> visited = visit(record); !visited.ok()) return visited.error();
    end.last = head.position;
    end.good_bytes += kRecordHeaderBytes + head.size;
  }
  const Position missing = end.last + 1;
  if (missing <= start.settled) {
    const std::string lost = fmt::format("and everything up to position {} was on disk", start.settled);
    return damaged(path, end.good_bytes,
                   end.torn ? fmt::format("the record of position {} is unreadable, {}", missing, lost)
                            : fmt::format("it ends before position {}, {}: it was cut, or the file after it is missing",
                                          missing, lost));
  }
  if (!end.torn) return end;
  if (!start.may_be_torn) return damaged(path, end.good_bytes, "something follows its last record");
  if (const std::optional<std::size_t> proof = find_proof(bytes, end.good_bytes + 1, missing, start.store_id))
    return damaged(path, end.good_bytes,
                   fmt::format("the record of position {} is unreadable, and the one at offset {} shows that it was on "
                               "disk",
                               missing, *proof));
  return end;
}

}  // namespace lockstep::kv
