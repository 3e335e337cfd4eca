// checkpointer.cc: sorts what is in sealed segments and merges it into the next checkpoint.
#include "kv/log/checkpointer.h"

#include <algorithm>
#include <deque>

#include "kv/log/checkpoint.h"
#include "kv/log/folder.h"

namespace lockstep::kv {
namespace {

/// The writes of some segments: of each key the latest, in key order.
class SortedWrites {
 public:
  /// Keeps `bytes`, the whole file `path`.
  Result<void> add(std::string bytes, const std::string& path, std::uint64_t store_id, const SealedSegment& segment) {
    const std::string& kept = segments_.emplace_back(std::move(bytes));
    const SegmentStart start{
        .store_id = store_id, .first = segment.first, .settled = segment.last, .may_be_torn = false};
    const Result<SegmentEnd> end = walk_segment(kept, path, start, [&](const LogRecord& record) {
      return for_each_write(record, path, [this](const LoggedWrite& write) {
        writes_.push_back(write);
        return Result<void>();
      });
    });
    return end.ok() ? Result<void>() : end.error();
  }

  const std::vector<LoggedWrite>& sorted() {
    std::stable_sort(writes_.begin(), writes_.end(),
                     [](const LoggedWrite& a, const LoggedWrite& b) { return a.key < b.key; });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < writes_.size(); ++i)
      if (i + 1 == writes_.size() || writes_[i + 1].key != writes_[i].key) writes_[kept++] = writes_[i];
    writes_.resize(kept);
    return writes_;
  }

 private:
  std::deque<std::string> segments_;  // addresses stay: the writes point into them
  std::vector<LoggedWrite> writes_;
};

}  // namespace

Checkpointer::Checkpointer(Start start)
    : files_(start.files),
      folder_(std::move(start.folder)),
      store_id_(start.store_id),
      log_bytes_(start.log_bytes),
      sealed_(std::move(start.sealed)),
      position_(start.position),
      bytes_(start.bytes) {
  bool due = false;
  {
    MutexLock lock(mutex_);
    due = is_due();
  }
  if (due) thread_ = std::thread([this] { run(); });
}

Checkpointer::~Checkpointer() {
  stop_.store(true, std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Checkpointer::add(SealedSegment segment) {
  MutexLock lock(mutex_);
  sealed_.push_back(segment);
  try_again_ = true;
  if (!thread_.joinable()) {
    if (is_due()) thread_ = std::thread([this] { run(); });
  } else {
    changed_.notify_all();
  }
}

Position Checkpointer::position() const {
  MutexLock lock(mutex_);
  return position_;
}

std::optional<Error> Checkpointer::failure() const {
  MutexLock lock(mutex_);
  return failure_;
}

bool Checkpointer::is_due() const {
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : sealed_) bytes += segment.bytes;
  return try_again_ && bytes > log_bytes_ && bytes > bytes_;
}

std::vector<SealedSegment> Checkpointer::batch() const {
  std::vector<SealedSegment> taken;
  std::uint64_t bytes = 0;
  for (const SealedSegment& segment : sealed_) {
    if (!taken.empty() && bytes + segment.bytes > kPassBytes) break;
    taken.push_back(segment);
    bytes += segment.bytes;
  }
  return taken;
}

void Checkpointer::run() {
  while (true) {
    std::vector<SealedSegment> segments;
    Position before = 0;
    {
      MutexLock lock(mutex_);
      while (!closing_ && !is_due()) changed_.wait(mutex_);
      if (closing_) return;
      segments = batch();
      before = position_;
      try_again_ = false;
    }
    const Result<std::uint64_t> bytes = merge(segments, before);
    {
      MutexLock lock(mutex_);
      if (!bytes.ok()) {
        failure_ = bytes.error();
        continue;
      }
      failure_.reset();
      try_again_ = true;
      bytes_ = *bytes;
      position_ = segments.back().last;
      sealed_.erase(sealed_.begin(), sealed_.begin() + static_cast<std::ptrdiff_t>(segments.size()));
    }
    remove_behind(segments, before);
  }
}

Result<std::uint64_t> Checkpointer::merge(const std::vector<SealedSegment>& segments, Position before) {
  SortedWrites writes;
  for (const SealedSegment& segment : segments) {
    const std::string path = segment_path(folder_, segment.first);
    Result<std::string> bytes = read_whole(files_, path);
    if (!bytes.ok()) return bytes.error();
    if (Result<void> done = writes.add(std::move(bytes).value(), path, store_id_, segment); !done.ok())
      return done.error();
  }
  const std::string target = checkpoint_path(folder_, segments.back().last);
  const auto give_up = [&](Error why) {
    (void)files_.remove(target + ".new");  // best effort: the next recovery removes it too
    return why;
  };
  std::optional<CheckpointReader> old;
  if (before != 0) {
    Result<CheckpointReader> opened =
        CheckpointReader::open(files_, checkpoint_path(folder_, before), store_id_, before);
    if (!opened.ok()) return opened.error();
    old = std::move(opened).value();
  }
  Result<CheckpointWriter> created = CheckpointWriter::create(files_, folder_, store_id_, segments.back().last);
  if (!created.ok()) return give_up(created.error());
  CheckpointWriter writer = std::move(created).value();

  std::optional<LoggedWrite> row;
  const auto next_row = [&]() -> Result<void> {
    Result<std::optional<LoggedWrite>> next = old ? old->next() : std::optional<LoggedWrite>();
    if (!next.ok()) return next.error();
    row = *next;
    return {};
  };
  if (Result<void> done = next_row(); !done.ok()) return give_up(done.error());
  const std::vector<LoggedWrite>& changes = writes.sorted();
  for (std::size_t i = 0; row || i < changes.size();) {
    if (stop_.load(std::memory_order_relaxed)) return give_up(Error{Fault::cancelled, {}, "the store was closed"});
    const bool from_old = row && (i == changes.size() || row->key < changes[i].key);
    const LoggedWrite& taken = from_old ? *row : changes[i];
    if (taken.value)
      if (Result<void> done = writer.add(taken.key, *taken.value); !done.ok()) return give_up(done.error());
    const bool replaced = !from_old && row && row->key == changes[i].key;
    if (!from_old) ++i;
    if (from_old || replaced)
      if (Result<void> done = next_row(); !done.ok()) return give_up(done.error());
  }
  Result<std::uint64_t> bytes = writer.finish();
  if (!bytes.ok()) return give_up(bytes.error());
  return bytes;
}

// A crash may undo any of these removals: recovery does not need these files and removes them then.
void Checkpointer::remove_behind(const std::vector<SealedSegment>& segments, Position before) {
  if (before != 0) (void)files_.remove(checkpoint_path(folder_, before));
  for (const SealedSegment& segment : segments) (void)files_.remove(segment_path(folder_, segment.first));
}

}  // namespace lockstep::kv
