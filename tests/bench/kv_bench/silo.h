// silo.h: the yardstick: Silo (Tu et al., "Speedy transactions in multicore in-memory databases", 2013) and nothing
// else, on a hash table that is filled once. No scans, no inserts, no deletes, no log, no memory given back: about what
// is possible at all, and the measure for those who do all that.
//
// Open addressing with the record in its slot, so that an operation touches one or two cache lines. A read writes
// nothing; commit locks the written records in the order of their addresses, checks what was read, writes.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace lockstep::bench {

/// Thread-safe except insert(). Keys are numbers, values have one fixed size.
class SiloTable {
 public:
  using Word = std::uint64_t;

  SiloTable(std::uint64_t records, std::size_t value_bytes)
      : value_bytes_(value_bytes),
        stride_(2 + (value_bytes + sizeof(Word) - 1) / sizeof(Word)),
        mask_(std::bit_ceil(records + records / 2) - 1),
        words_(new std::atomic<Word>[(mask_ + 1) * stride_]()) {}

  /// A slot is key + 1 (0 = empty), the version with the lock in bit 0, then the value.
  struct Slot {
    std::atomic<Word>* words = nullptr;
    std::atomic<Word>& key() const { return words[0]; }
    std::atomic<Word>& version() const { return words[1]; }
    std::atomic<Word>* value() const { return words + 2; }
  };

  Slot insert(Word key) {
    Slot slot = first(key);
    while (slot.key().load(std::memory_order_relaxed) != 0) slot = next(slot);
    slot.key().store(key + 1, std::memory_order_relaxed);
    return slot;
  }
  /// The key is there.
  Slot find(Word key) const {
    Slot slot = first(key);
    while (slot.key().load(std::memory_order_relaxed) != key + 1) slot = next(slot);
    return slot;
  }
  void prefetch(Word key) const { __builtin_prefetch(first(key).words); }

  std::size_t value_bytes() const { return value_bytes_; }
  std::size_t value_words() const { return stride_ - 2; }

 private:
  Slot first(Word key) const {
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4).
    const Word position = key * 0x9e3779b97f4a7c15 >> 20 & mask_;
    return {words_.get() + position * stride_};
  }
  Slot next(Slot slot) const {
    slot.words += stride_;
    return slot.words == words_.get() + (mask_ + 1) * stride_ ? Slot{words_.get()} : slot;
  }

  std::size_t value_bytes_;
  std::size_t stride_;
  Word mask_;
  std::unique_ptr<std::atomic<Word>[]> words_;
};

/// One client's transactions.
class SiloTransaction {
 public:
  using Word = SiloTable::Word;
  using Slot = SiloTable::Slot;

  explicit SiloTransaction(SiloTable& table) : table_(table) {}

  void begin() { reads_.clear(), writes_.clear(), values_.clear(); }

  void read(Word key, std::string& value) {
    const Slot slot = table_.find(key);
    value.resize(table_.value_bytes());
    for (const Write& own : writes_) {
      if (own.slot.words != slot.words) continue;
      std::memcpy(value.data(), values_.data() + own.value, value.size());
      return;
    }
    for (Spin spin;;) {
      const Word before = slot.version().load(std::memory_order_acquire);
      if ((before & 1) == 0) {
        copy_out(slot, value);
        // The value's loads above must not sink below this one (Boehm, "Can seqlocks get along with programming
        // language memory models?", 2012).
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot.version().load(std::memory_order_relaxed) == before) {
          reads_.push_back({slot, before});
          return;
        }
      }
      spin.once();
    }
  }

  void write(Word key, std::string_view value) {
    const Slot slot = table_.find(key);
    for (const Write& own : writes_) {
      if (own.slot.words != slot.words) continue;
      std::memcpy(values_.data() + own.value, value.data(), value.size());
      return;
    }
    writes_.push_back({slot, values_.size()});
    values_.append(value);
    values_.resize(values_.size() + table_.value_words() * sizeof(Word) - value.size());
  }

  /// False: something that was read has changed.
  bool commit() {
    std::sort(writes_.begin(), writes_.end(),
              [](const Write& a, const Write& b) { return a.slot.words < b.slot.words; });
    for (Write& write : writes_) write.version = lock(write.slot);
    Word newest = last_version_;
    for (const Read& read : reads_) {
      const Word now = read.slot.version().load(std::memory_order_acquire);
      if ((now & ~Word{1}) != read.version || ((now & 1) != 0 && !is_written(read.slot))) {
        for (const Write& write : writes_) write.slot.version().store(write.version, std::memory_order_release);
        return false;
      }
      newest = std::max(newest, now & ~Word{1});
    }
    for (const Write& write : writes_) newest = std::max(newest, write.version);
    last_version_ = newest + 2;
    for (const Write& write : writes_) {
      std::atomic<Word>* const to = write.slot.value();
      for (std::size_t i = 0; i < table_.value_words(); ++i) {
        Word word;
        std::memcpy(&word, values_.data() + write.value + i * sizeof word, sizeof word);
        to[i].store(word, std::memory_order_relaxed);
      }
      write.slot.version().store(last_version_, std::memory_order_release);
    }
    return true;
  }

 private:
  struct Read {
    Slot slot;
    Word version;
  };
  struct Write {
    Slot slot;
    std::size_t value;  // where in values_
    Word version = 0;   // before
  };

  /// Who holds a lock needs it for some hundred nanoseconds, unless the machine has put it to sleep.
  class Spin {
   public:
    void once() {
      if (++spins_ % 1024 == 0) std::this_thread::yield();
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }

   private:
    unsigned spins_ = 0;
  };

  void copy_out(Slot slot, std::string& value) const {
    const std::atomic<Word>* const from = slot.value();
    std::size_t at = 0;
    for (std::size_t i = 0; i < table_.value_words(); ++i, at += sizeof(Word)) {
      const Word word = from[i].load(std::memory_order_relaxed);
      std::memcpy(value.data() + at, &word, std::min(sizeof word, value.size() - at));
    }
  }

  static Word lock(Slot slot) {
    for (Spin spin;;) {
      Word version = slot.version().load(std::memory_order_relaxed);
      if ((version & 1) == 0 && slot.version().compare_exchange_weak(version, version | 1, std::memory_order_acquire)) {
        // A reader that sees a new word of the value must also see the lock.
        std::atomic_thread_fence(std::memory_order_release);
        return version;
      }
      spin.once();
    }
  }

  bool is_written(Slot slot) const {
    return std::any_of(writes_.begin(), writes_.end(), [&](const Write& w) { return w.slot.words == slot.words; });
  }

  SiloTable& table_;
  std::vector<Read> reads_;
  std::vector<Write> writes_;
  std::string values_;
  Word last_version_ = 2;
};

}  // namespace lockstep::bench
