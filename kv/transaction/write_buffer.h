// write_buffer.h: the writes that a transaction has not yet published, for protocols that write at commit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kv/index/key_set.h"
#include "kv/log/write_set.h"
#include "kv/memory/recycled.h"
#include "kv/store.h"
#include "kv/transaction/row_sink.h"

namespace lockstep::kv {

/// The latest write of one transaction to each key, with a journal to undo them to a savepoint. Not thread-safe.
class WriteBuffer {
 public:
  enum class State : std::uint8_t { untouched, written, erased };
  struct Entry {
    std::string key;
    std::size_t hash = 0;
    State state = State::untouched;  // untouched: all its writes were undone
    std::string value;
  };

  /// nullptr when the transaction has not written the key.
  const Entry* find(KeyView key) const { return find(key, hash_of(key)); }
  const Entry* find(KeyView key, std::size_t hash) const {
    // Most keys that are read are not written: one bit of the hash says so without a look-up.
    return (present_ >> (hash % 64) & 1) == 0 ? nullptr : find_entry(key, hash);
  }
  /// Answers the position of the key.
  std::size_t put(KeyView key, State state, std::string_view value) { return put(key, hash_of(key), state, value); }
  std::size_t put(KeyView key, std::size_t hash, State state, std::string_view value);

  /// Every key, also those whose writes were undone, in the order of their first writes.
  std::size_t size() const noexcept { return entries_.size(); }
  const Entry& operator[](std::size_t i) const noexcept { return entries_[i]; }
  /// True when no key is written or erased.
  bool is_empty() const noexcept;

  /// Every key that is written or erased, in key order. Valid until the next call or change.
  const std::vector<const Entry*>& sorted() { return sorted({}, {}); }
  /// Those with `from <= key < to`; an empty `to` means no upper end.
  const std::vector<const Entry*>& sorted(KeyView from, KeyView to);

  /// What is left of the writes, for the log.
  void add_to(WriteSet& writes) const;

  /// Where undo_to() can come back to. There is no journal before the first mark: most transactions set none.
  std::size_t mark() noexcept {
    keeps_journal_ = true;
    return journal_.size();
  }
  void undo_to(std::size_t mark);
  void clear() noexcept;

 private:
  struct Change {
    std::size_t position = 0;
    State state = State::untouched;
    std::string value;
  };
  const Entry* find_entry(KeyView key, std::size_t hash) const;
  std::size_t position_of(KeyView key, std::size_t hash) const;

  static constexpr std::size_t kFew = 8;  // a look at all of them is worth it

  Recycled<Entry> entries_;
  KeySet by_key_;              // filled when there are more
  std::uint64_t present_ = 0;  // bit hash % 64 of every entry
  bool keeps_journal_ = false;
  Recycled<Change> journal_;
  std::vector<const Entry*> sorted_;
};

/// Scans `index` from `from` up to `to` with the transaction's own writes in front of what the store holds, until
/// `rows` has `limit` rows. `see(it, row)` is called for every entry of the index that is passed, also when an own
/// write hides it. It fills row.value and answers whether the row is there.
template <class Index, class See>
void scan_merged(Index& index, WriteBuffer& writes, KeyView from, KeyView to, std::size_t limit, RowSink& rows,
                 See see) {
  const std::vector<const WriteBuffer::Entry*>& own = writes.sorted(from, to);
  std::size_t next_own = 0;
  const auto add_own = [&] {
    const WriteBuffer::Entry& entry = *own[next_own++];
    if (entry.state == WriteBuffer::State::written) rows.add(entry.key, entry.value);
  };
  for (auto it = index.at_or_after(from); it != index.end(); ++it) {
    const KeyView key = it->first;
    if (!to.empty() && key >= to) break;
    while (next_own < own.size() && own[next_own]->key < key && rows.size() < limit) add_own();
    if (rows.size() == limit) return;
    Row& row = rows.next();
    const bool there = see(it, row);
    const bool is_own = next_own < own.size() && own[next_own]->key == key;
    if (there && !is_own)
      assign_short(row.key, key);
    else
      rows.drop_last();
    if (is_own) add_own();
    if (rows.size() == limit) return;
  }
  while (next_own < own.size() && rows.size() < limit) add_own();
}

}  // namespace lockstep::kv
