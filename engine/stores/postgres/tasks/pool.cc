// pool.cc: which task has which connection, which tasks wait, and when to connect again.
#include "engine/stores/postgres/tasks/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runtime/group.h"

namespace lockstep::runtime {
namespace {

constexpr Nanos kFirstPause = std::chrono::milliseconds(10);
constexpr Nanos kLongestPause = std::chrono::milliseconds(500);

}  // namespace

/// A connection and what the pool knows of it.
struct PgPool::Slot final : PgConnection::Owner {
  explicit Slot(PgPool& p) noexcept : pool(p), connection(p.loop_, p.options_.connection, this) {}
  void on_settled(PgConnection&) noexcept override { pool.settled(*this); }

  PgPool& pool;
  PgConnection connection;
  bool is_lent = false;
  bool is_connecting = false;
  bool has_stood = false;  ///< it counts as standing
  bool is_known = false;   ///< it has stood before: the next time it is a reconnect
};

PgPool::PgPool(Loop& loop, PgPoolOptions options) : loop_(loop), options_(std::move(options)) {
  LOCKSTEP_CHECK(options_.connections_max >= 1, "a pool of {} connections", options_.connections_max);
  for (int i = 0; i < options_.connections_max; ++i) {
    slots_.push_back(std::make_unique<Slot>(*this));
    closed_.push_back(slots_.back().get());
  }
  std::reverse(closed_.begin(), closed_.end());  // taken from the back
  idle_.reserve(slots_.size());
}

PgPool::~PgPool() {
  LOCKSTEP_CHECK(line_.size == 0, "a pool is destroyed while {} wait for a connection", line_.size);
  for (const auto& slot : slots_) LOCKSTEP_CHECK(!slot->is_lent, "a pool is destroyed while a connection is lent out");
  loop_.timers().cancel(retry_);
}

PgConnection& PgPool::Lease::operator*() const noexcept { return slot_->connection; }

PgPool::PoolCounts PgPool::counts() const noexcept {
  PoolCounts counts = counts_;
  counts.connected = standing_;
  counts.idle = static_cast<int>(idle_.size());
  counts.waiting = line_.size;
  return counts;
}

// -- waiting --

bool PgPool::LeaseWait::queue() noexcept {
  if (pool_.line_.size == 0 && !pool_.idle_.empty()) {
    slot_ = pool_.idle_.back();
    pool_.idle_.pop_back();
    slot_->is_lent = true;
    return false;
  }
  pool_.append(*this);
  pool_.grow();  // may serve or refuse this one at once: it is run from the loop's queue then
  return true;
}

Result<PgPool::Lease> PgPool::LeaseWait::await_resume() noexcept {
  if (failure_) return *std::move(failure_);
  return Lease(&pool_, std::exchange(slot_, nullptr));
}

void PgPool::LeaseWait::cancel(Fault why) noexcept {
  if (!in_line_) return;  // it is served: the task goes on, and its next wait ends
  pool_.remove(*this);
  end_with(why);
}

void PgPool::append(LeaseWait& wait) noexcept {
  wait.previous_ = line_.last;
  wait.next_ = nullptr;
  (line_.last == nullptr ? line_.first : line_.last->next_) = &wait;
  line_.last = &wait;
  wait.in_line_ = true;
  counts_.waiting_most = std::max(counts_.waiting_most, ++line_.size);
}

void PgPool::remove(LeaseWait& wait) noexcept {
  (wait.previous_ == nullptr ? line_.first : wait.previous_->next_) = wait.next_;
  (wait.next_ == nullptr ? line_.last : wait.next_->previous_) = wait.previous_;
  wait.in_line_ = false;
  --line_.size;
}

// -- connections --

void PgPool::offer(Slot& slot) noexcept {
  if (line_.size == 0) {
    idle_.push_back(&slot);
    return;
  }
  LeaseWait& first = *line_.first;
  remove(first);
  slot.is_lent = true;
  first.slot_ = &slot;
  first.complete();
}

void PgPool::take_back(Slot& slot) noexcept {
  slot.is_lent = false;
  if (slot.connection.in_transaction() && slot.connection.state() == PgConnection::State::idle) slot.connection.reset();
  switch (slot.connection.state()) {
    case PgConnection::State::idle:
      return offer(slot);
    case PgConnection::State::closed:
      return settled(slot);
    default:
      return;  // it drains; then it is settled
  }
}

void PgPool::settled(Slot& slot) noexcept {
  if (slot.is_lent) return;  // the task that has it learns of the loss from its statements
  if (std::exchange(slot.is_connecting, false)) --connecting_;
  if (slot.connection.state() == PgConnection::State::idle) {
    if (!std::exchange(slot.has_stood, true)) {
      ++standing_;
      if (std::exchange(slot.is_known, true)) ++counts_.reconnects;
    }
    failing_since_ = kNever;
    pause_ = Nanos(0);
    loop_.timers().cancel(retry_);
    offer(slot);
  } else {
    std::erase(idle_, &slot);
    closed_.push_back(&slot);
    if (std::exchange(slot.has_stood, false)) {
      --standing_;
      ++counts_.lost;
    } else {
      failed(slot.connection.why_closed());
    }
  }
  grow();
}

void PgPool::failed(const Error& why) noexcept {
  const Nanos now = loop_.now();
  if (failing_since_ == kNever) failing_since_ = now;
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  if (!retry_.is_set()) loop_.timers().set(retry_, now + pause_);
  if (!is_opening_ && (standing_ > 0 || now - failing_since_ < options_.give_up_after)) return;
  failing_since_ = kNever;
  while (line_.first != nullptr) {
    LeaseWait& wait = *line_.first;
    remove(wait);
    wait.failure_ = why;
    wait.complete();
  }
}

/// Connects for the tasks that wait, as far as the limits allow. After a failure one at a time, with pauses.
void PgPool::grow() noexcept {
  const int most = failing_since_ == kNever ? kConnectingMax : 1;
  while (!retry_.is_set() && !closed_.empty() && connecting_ < most &&
         static_cast<std::size_t>(connecting_) < line_.size) {
    Slot& slot = *closed_.back();
    closed_.pop_back();
    ++connecting_;
    slot.is_connecting = true;
    slot.connection.connect();
    if (slot.connection.state() == PgConnection::State::closed) settled(slot);  // failed at once
  }
}

// -- opening --

namespace {

Task<> hold_one(PgPool* pool, std::vector<PgPool::Lease>* held) {
  Result<PgPool::Lease> lease = co_await pool->acquire();
  if (!lease.ok()) co_await fail(lease.error());
  held->push_back(std::move(lease).value());
}

Task<> hold_all(Group& group, PgPool* pool, int count, std::vector<PgPool::Lease>* held) {
  for (int i = 0; i < count; ++i) group.spawn(hold_one(pool, held), {"connection", static_cast<std::uint32_t>(i + 1)});
  co_return;
}

}  // namespace

Task<> PgPool::open() {
  struct Opening {
    explicit Opening(bool& f) noexcept : flag(f) { flag = true; }
    ~Opening() { flag = false; }
    bool& flag;
  };
  const Opening opening(is_opening_);
  std::vector<Lease> held;  // all at once, so that each is another one
  co_await with_group(hold_all, this, options_.connections_max, &held);
}

// -- room --

Task<PgRoom> connection_room(PgConnection& connection) {
  const Result<PgRows> rows = co_await connection.query(
      "select current_setting('max_connections'), case when r.rolsuper then '0' else"
      " current_setting('superuser_reserved_connections') end, (select count(*) from pg_catalog.pg_stat_activity"
      " where backend_type = 'client backend') from pg_catalog.pg_roles r where r.rolname = current_user");
  if (!rows.ok()) co_await fail(rows.error());
  const auto number = [&rows](int column) { return static_cast<int>(rows->number(0, column).value_or(0)); };
  co_return PgRoom{.most = number(0), .reserved = number(1), .used = number(2)};
}

Task<> need_connections(PgConnection& connection, int needed) {
  const PgRoom room = co_await connection_room(connection);
  if (needed <= room.left()) co_return;
  Error refused{
      Fault::invalid,
      {},
      fmt::format("{} connections are asked for; the server admits {} more (max_connections {}, {} of them "
                  "reserved, {} in use): ask for fewer, or set max_connections to {} or above",
                  needed, room.left(), room.most, room.reserved, room.used, needed + room.reserved + room.used)};
  co_await fail(std::move(refused));
}

}  // namespace lockstep::runtime
