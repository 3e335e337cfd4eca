// write_buffer.cc: the latest write to each key, and the way back.
#include "kv/transaction/write_buffer.h"

#include <algorithm>

#include "kv/memory/short_copy.h"

namespace lockstep::kv {

std::size_t WriteBuffer::position_of(KeyView key, std::size_t hash) const {
  if (entries_.size() <= kFew) {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].hash == hash && entries_[i].key == key) return i;
    return KeySet::npos;
  }
  return by_key_.find(hash, [&](std::size_t i) { return entries_[i].key == key; });
}

const WriteBuffer::Entry* WriteBuffer::find_entry(KeyView key, std::size_t hash) const {
  const std::size_t position = position_of(key, hash);
  if (position == KeySet::npos || entries_[position].state == State::untouched) return nullptr;
  return &entries_[position];
}

std::size_t WriteBuffer::put(KeyView key, std::size_t hash, State state, std::string_view value) {
  std::size_t position = (present_ >> (hash % 64) & 1) == 0 ? KeySet::npos : position_of(key, hash);
  if (position == KeySet::npos) {
    position = entries_.size();
    if (position == kFew)
      for (std::size_t i = 0; i < kFew; ++i) by_key_.add(entries_[i].hash, i);
    if (position >= kFew) by_key_.add(hash, position);
    present_ |= std::uint64_t{1} << (hash % 64);
    Entry& entry = entries_.take();
    assign_short(entry.key, key);
    entry.hash = hash;
    entry.state = State::untouched;
  }
  Entry& entry = entries_[position];
  if (keeps_journal_) {
    Change& change = journal_.take();
    change.position = position;
    change.state = entry.state;
    change.value.swap(entry.value);
  }
  entry.state = state;
  assign_short(entry.value, value);
  return position;
}

bool WriteBuffer::is_empty() const noexcept {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].state != State::untouched) return false;
  return true;
}

const std::vector<const WriteBuffer::Entry*>& WriteBuffer::sorted(KeyView from, KeyView to) {
  sorted_.clear();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.state == State::untouched || entry.key < from || (!to.empty() && entry.key >= to)) continue;
    sorted_.push_back(&entry);
  }
  std::sort(sorted_.begin(), sorted_.end(), [](const Entry* a, const Entry* b) { return a->key < b->key; });
  return sorted_;
}

void WriteBuffer::add_to(WriteSet& writes) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.state == State::written) writes.put(entry.key, entry.value);
    if (entry.state == State::erased) writes.erase(entry.key);
  }
}

void WriteBuffer::undo_to(std::size_t mark) {
  while (journal_.size() > mark) {
    Change& change = journal_.back();
    Entry& entry = entries_[change.position];
    entry.state = change.state;
    entry.value.swap(change.value);
    journal_.shrink_to(journal_.size() - 1);
  }
}

void WriteBuffer::clear() noexcept {
  entries_.clear();
  present_ = 0;
  by_key_.clear();
  keeps_journal_ = false;
  journal_.clear();
}

}  // namespace lockstep::kv
