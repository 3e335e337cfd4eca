// protocol.cc: the list of transactions that every protocol keeps.
#include "kv/transaction/protocol.h"

#include <algorithm>

#include "kv/log/log.h"
#include "kv/memory/short_copy.h"

namespace lockstep::kv {

Protocol::~Protocol() {
  for (Shard& shard : shards_) {
    SpinMutexLock lock(shard.mutex);
    LOCKSTEP_CHECK(shard.active.empty(), "{} transactions outlive their store", shard.active.size());
  }
}

TxnId Protocol::draw_id(Shard& shard) {
  // Relaxed: the order of ids is all that is needed.
  const TxnId newest = last_id_.load(std::memory_order_relaxed);
  const bool is_stale = newest > shard.last_id + kShards * kIdBlock;  // the others have left this shard's block behind
  if (shard.next_id > shard.last_id || shard.last_id == 0 || is_stale) {
    const TxnId block = newest < kExactIds ? 1 : kIdBlock;
    shard.next_id = last_id_.fetch_add(block, std::memory_order_relaxed) + 1;
    shard.last_id = shard.next_id + block - 1;
  }
  return shard.next_id++;
}

TransactionState& Protocol::begin(const TxnOptions& options) {
  const std::size_t shard_number = thread_number() % kShards;
  Shard& shard = shards_[shard_number];
  TransactionState* state = nullptr;
  {
    SpinMutexLock lock(shard.mutex);
    if (shard.idle.empty()) {
      shard.states.push_back(make_state());
      shard.idle.reserve(shard.states.capacity());  // end() must not allocate
      shard.idle.push_back(shard.states.back().get());
      shard.idle.back()->shard_ = shard_number;
      shard.idle.back()->reader_.emplace(epochs_);
    }
    state = shard.idle.back();
    shard.idle.pop_back();
    ++shard.counters.begun;
    state->id = draw_id(shard);
    state->age = options.first_attempt == 0 ? state->id : options.first_attempt;
    state->tag = options.tag;
    assign_short(state->label, options.label);
    state->position_ = shard.active.size();
    shard.active.push_back(state);
  }
  state->reader_->pin();
  state->protocol_ = this;
  state->pending = false;
  state->has_committed = false;
  state->waits = 0;
  state->given_up.reset();
  state->savepoints.clear();
  state->log_position = 0;
  state->awaits_log = false;
  state->log_wait_cancelled.reset();
  state->start(options);
  if (!options.claims.empty()) state->prefetch(options.claims);
  return *state;
}

void Protocol::end(TransactionState& state) noexcept {
  state.reader_->unpin();
  Shard& shard = shards_[state.shard_];
  SpinMutexLock lock(shard.mutex);
  shard.active.back()->position_ = state.position_;
  shard.active[state.position_] = shard.active.back();
  shard.active.pop_back();
  shard.idle.push_back(&state);
  shard.counters.waits += state.waits;
  if (state.given_up)
    ++shard.counters.given_up[static_cast<std::size_t>(state.given_up->fault)];
  else
    ++(state.has_committed ? shard.counters.committed : shard.counters.aborted);
}

void TransactionState::append_to_log() noexcept {
  if (log_writes_.empty()) return;
  log_position = protocol_->log()->append(log_writes_);
  log_writes_.clear();
}

std::uint64_t Protocol::tag_of(TxnId txn) const {
  std::uint64_t tag = 0;
  with_active(txn, [&tag](const TransactionState& state) { tag = state.tag; });
  return tag;
}

Counters Protocol::counters() const {
  Counters sum;
  for (const Shard& shard : shards_) {
    SpinMutexLock lock(shard.mutex);
    sum.begun += shard.counters.begun;
    sum.committed += shard.counters.committed;
    sum.aborted += shard.counters.aborted;
    sum.waits += shard.counters.waits;
    for (std::size_t i = 0; i < Counters::kFaults; ++i) sum.given_up[i] += shard.counters.given_up[i];
  }
  return sum;
}

void Protocol::for_each_active(const std::function<void(const TransactionState&)>& visit) const {
  for (const Shard& shard : shards_) {
    SpinMutexLock lock(shard.mutex);
    for (const TransactionState* state : shard.active) visit(*state);
  }
}

void Protocol::with_active(TxnId txn, const std::function<void(const TransactionState&)>& visit) const {
  for (const Shard& shard : shards_) {
    SpinMutexLock lock(shard.mutex);
    const auto found = std::find_if(shard.active.begin(), shard.active.end(),
                                    [txn](const TransactionState* state) { return state->id == txn; });
    if (found == shard.active.end()) continue;
    visit(**found);
    return;
  }
}

}  // namespace lockstep::kv
