// antidependency.cc: the marks that readers leave, and the check of a commit.
#include "kv/versions/antidependency.h"

#include <algorithm>
#include <iterator>
#include <thread>

namespace lockstep::kv {

RangeReads::Ticket RangeReads::add(TxnId reader, Stamp snapshot, KeyView from, KeyView to, bool includes_to) {
  MutexLock lock(mutex_);
  if (free_.empty()) {
    ranges_.emplace_back();
    free_.reserve(ranges_.capacity());  // free() must not allocate
    free_.push_back(ranges_.size() - 1);
  }
  const Ticket ticket = free_.back();
  free_.pop_back();
  Range& range = ranges_[ticket];
  range.from.assign(from);
  range.to.assign(to);
  range.includes_to = includes_to;
  range.is_active = true;
  range.is_free = false;
  range.reader = reader;
  range.latest_reader = snapshot;
  if (ranges_.size() - free_.size() >= collect_at_) full_.store(true, std::memory_order_relaxed);
  return ticket;
}

void RangeReads::narrow(Ticket ticket, KeyView last) {
  MutexLock lock(mutex_);
  ranges_[ticket].to.assign(last);
  ranges_[ticket].includes_to = true;
}

void RangeReads::set_commit(Ticket ticket, Stamp commit) {
  MutexLock lock(mutex_);
  ranges_[ticket].latest_reader = std::max(ranges_[ticket].latest_reader, commit);
}

void RangeReads::end(Ticket ticket, bool committed) noexcept {
  MutexLock lock(mutex_);
  ranges_[ticket].is_active = false;
  if (!committed) free(ticket);
}

void RangeReads::free(Ticket ticket) {
  ranges_[ticket].is_free = true;
  free_.push_back(ticket);
}

Stamp RangeReads::latest_reader_of(KeyView key, TxnId writer) const {
  MutexLock lock(mutex_);
  Stamp found = everywhere_;
  for (const Range& range : ranges_) {
    if (range.is_free || range.reader == writer || key < range.from) continue;
    if (range.includes_to ? key > range.to : !range.to.empty() && key >= range.to) continue;
    found = std::max(found, range.latest_reader);
  }
  return found;
}

void RangeReads::collect(Stamp horizon) {
  MutexLock lock(mutex_);
  const auto for_each_finished = [this](auto visit) LOCKSTEP_REQUIRES(mutex_) {
    for (Ticket ticket = 0; ticket < ranges_.size(); ++ticket)
      if (!ranges_[ticket].is_free && !ranges_[ticket].is_active) visit(ticket);
  };
  for_each_finished([&](Ticket ticket) LOCKSTEP_REQUIRES(mutex_) {
    if (ranges_[ticket].latest_reader <= horizon) free(ticket);
  });
  if (ranges_.size() - free_.size() >= kLimit) {
    for_each_finished([&](Ticket ticket) LOCKSTEP_REQUIRES(mutex_) {
      everywhere_ = std::max(everywhere_, ranges_[ticket].latest_reader);
      free(ticket);
    });
  }
  collect_at_ = std::max(kWorthALook, 2 * (ranges_.size() - free_.size()));
  full_.store(false, std::memory_order_relaxed);
}

std::size_t RangeReads::size() const {
  MutexLock lock(mutex_);
  return ranges_.size() - free_.size();
}

void ReadTracker::remember(VersionedRecord& record, std::size_t hash) {
  const auto same = [&](std::size_t i) { return reads_[i].record == &record; };
  if (reads_by_hash_.find(hash, same) != KeySet::npos) return;
  reads_by_hash_.add(hash, reads_.size());
  reads_.take().record = &record;
}

void ReadTracker::remember_range(TxnId reader, Stamp snapshot, KeyView from, KeyView to, bool includes_to) {
  if (has_read_everything_) return;
  if (read_ranges_.size() == kMaxRanges) {  // one over everything takes their place
    from = to = {};
    includes_to = false;
    has_read_everything_ = true;
  }
  const RangeReads::Ticket ticket = ranges_.add(reader, snapshot, from, to, includes_to);
  if (has_read_everything_) {
    for (std::size_t i = 0; i < read_ranges_.size(); ++i) ranges_.end(read_ranges_[i].ticket, false);
    read_ranges_.clear();
  }
  Range& range = read_ranges_.take();
  range.from.assign(from);
  range.to.assign(to);
  range.includes_to = includes_to;
  range.ticket = ticket;
}

void ReadTracker::narrow(KeyView last) {
  if (has_read_everything_) return;
  Range& range = read_ranges_.back();
  range.to.assign(last);
  range.includes_to = true;
  ranges_.narrow(range.ticket, last);
}

std::optional<ReadTracker::Danger> ReadTracker::check_reads(const Committer& me) {
  std::optional<Danger> danger;
  for (std::size_t i = 0; i < reads_.size() && !danger; ++i) danger = check_read(me, *reads_[i].record);
  for (std::size_t i = 0; i < read_ranges_.size() && !danger; ++i) danger = check_range(me, read_ranges_[i]);
  return danger;
}

std::optional<ReadTracker::Danger> ReadTracker::check_range(const Committer& me, const Range& range) {
  // The mark first: a transaction that adds a row behind the back of the loop finds it.
  if (me.writes()) ranges_.set_commit(range.ticket, me.stamp);
  for (auto it = index_.at_or_after(range.from); it != index_.end(); ++it) {
    const KeyView key = it->first;
    if (range.includes_to ? key > range.to : !range.to.empty() && key >= range.to) break;
    if (std::optional<Danger> danger = check_read(me, it->second)) return danger;
  }
  return std::nullopt;
}

std::optional<ReadTracker::Danger> ReadTracker::check_read(const Committer& me, VersionedRecord& record) {
  // Of two committers that wait for each other the one with the later stamp has the patience. The limit of both is for
  // a committer that the machine has put to sleep.
  constexpr int kLong = 10'000;
  constexpr int kShort = 100;
  for (int tries = 0;; ++tries) {
    record.latch.lock();
    if (record.newest.writer() == me.cell) {  // the lock on the row keeps other writers away
      record.latch.unlock();
      return std::nullopt;
    }
    if (me.writes()) record.latest_reader = std::max(record.latest_reader, me.stamp);
    const Version* const next = record.at(me.snapshot).next;
    CommitCell::Look look;
    Stamp out = kNoStamp;
    if (next) {
      look = next->look();
      if (look.state == CommitCell::State::committed)
        out = next->writer() ? next->writer()->earliest_out() : next->earliest_out();
    }
    record.latch.unlock();

    switch (look.state) {
      case CommitCell::State::active:
        return std::nullopt;  // nobody, or one that will find the mark when it checks its writes
      case CommitCell::State::drawing:
        // That one will find the mark too. But its stamp may be drawn, unannounced and before the committer's own: it
        // is then a T3, or it does not look for the pivot. It waits for nobody until it has announced its stamp.
        if (!me.writes()) return std::nullopt;
        if (tries == kLong) return Danger{Danger::Part::unknown, std::string(index_.key_of(record))};
        std::this_thread::yield();
        break;
      case CommitCell::State::committed:
        if (look.stamp < me.stamp) earliest_out_ = std::min(earliest_out_, look.stamp);
        if (out != kNoStamp && (me.writes() ? out < me.stamp : out <= me.snapshot))
          return Danger{Danger::Part::reader, std::string(index_.key_of(record))};
        return std::nullopt;
      case CommitCell::State::undecided:
        if (tries == (look.stamp < me.stamp ? kLong : kShort))
          return Danger{Danger::Part::unknown, std::string(index_.key_of(record))};
        if (look.stamp < me.stamp) std::this_thread::yield();
        break;
    }
  }
}

std::optional<ReadTracker::Danger> ReadTracker::check_write(const Committer& me, KeyView key, VersionedRecord& record) {
  record.latch.lock();
  Stamp latest_reader = record.latest_reader;
  const bool is_new = record.newest.older == nullptr;
  record.latch.unlock();
  if (is_new) latest_reader = std::max(latest_reader, ranges_.latest_reader_of(key, me.id));
  if (latest_reader < earliest_out_) return std::nullopt;
  return Danger{Danger::Part::pivot, std::string(key)};
}

void ReadTracker::end(bool committed) noexcept {
  for (std::size_t i = 0; i < read_ranges_.size(); ++i) ranges_.end(read_ranges_[i].ticket, committed);
  read_ranges_.clear();
  reads_.clear();
  reads_by_hash_.clear();
  has_read_everything_ = false;
  was_overwritten_ = false;
  earliest_out_ = kNoStamp;
}

}  // namespace lockstep::kv
