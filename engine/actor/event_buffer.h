// event_buffer.h: what one actor writes down in a run that nobody steers. Each actor has its own buffer, so that
// recording shares neither a lock nor a counter between actors. RunState::take_events() puts everything in order after
// the run.
//
// An actor that runs transaction after transaction is thinned. After its first kWhole every `every`-th is on record,
// from its begin to its end. What it does between transactions is on record always.
#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <vector>

#include "engine/record/run.h"

namespace lockstep {

/// Not thread-safe: the actor's own until the run is over.
class EventBuffer {
 public:
  static constexpr std::uint64_t kWhole = 500;

  explicit EventBuffer(std::uint32_t every) noexcept : every_(every) {}

  struct Written {
    record::Event event;
    std::source_location site;  ///< of a request
  };
  void add(record::Event event, const std::source_location& site = {}) {
    if (chunks_.empty() || chunks_.back().size() == kChunk) chunks_.emplace_back().reserve(kChunk);
    chunks_.back().push_back({std::move(event), site});
  }
  /// Moves everything behind `all`, in order.
  void take(std::vector<Written>& all) {
    for (auto& chunk : chunks_) {
      for (Written& each : chunk) all.push_back(std::move(each));
    }
    chunks_.clear();
  }

  /// The number of the actor's next operation, from 1; its own, not the run's.
  std::uint32_t next_step() noexcept { return ++steps_; }
  /// A transaction begins: true when it is to be on record. `already`: its begin has waited, which is written down.
  bool keeps_next(bool already) noexcept {
    ++transactions_;
    const bool keeps = already || transactions_ <= kWhole || transactions_ % every_ == 0;
    kept_ += keeps ? 1 : 0;
    return keeps;
  }
  std::uint64_t transactions() const noexcept { return transactions_; }
  std::uint64_t kept() const noexcept { return kept_; }

 private:
  static constexpr std::size_t kChunk = 128;  // so that nothing is moved as the buffer grows

  const std::uint32_t every_;
  std::vector<std::vector<Written>> chunks_;
  std::uint32_t steps_ = 0;
  std::uint64_t transactions_ = 0, kept_ = 0;
};

}  // namespace lockstep
