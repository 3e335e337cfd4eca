// log.cc: the writer's thread, and the transactions that wait for it.
#include "kv/log/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lockstep::kv {
namespace {

constexpr std::size_t kWakesAtOnce = 32;  // with waits_mutex_ held
constexpr std::size_t kWorthKeeping = 16 * 1024 * 1024;
constexpr auto kCompanyMost = std::chrono::milliseconds(1);

void make_ring(LogWait& head) noexcept { head.previous = head.next = &head; }
bool is_empty(const LogWait& head) noexcept { return head.next == &head; }

void link_before(LogWait& place, LogWait& wait) noexcept {
  wait.previous = place.previous;
  wait.next = &place;
  place.previous->next = &wait;
  place.previous = &wait;
}

void unlink(LogWait& wait) noexcept {
  wait.previous->next = wait.next;
  wait.next->previous = wait.previous;
  wait.previous = wait.next = nullptr;
}

}  // namespace

Log::Log(Config config, OpenFolder folder)
    : files_(config.files),
      folder_(std::move(config.folder)),
      durability_(config.durability),
      limits_(config.limits),
      folder_lock_(std::move(folder.lock)),
      store_id_(folder.store_id),
      report_(folder.report),
      active_(std::move(folder.active)),
      active_first_(folder.active_first),
      active_bytes_(folder.active_bytes),
      synced_(folder.last),
      marked_(folder.settled),
      last_(folder.last),
      settled_(folder.last),
      checkpointer_({.files = files_,
                     .folder = folder_,
                     .store_id = store_id_,
                     .log_bytes = limits_.checkpoint_bytes,
                     .position = folder.checkpoint,
                     .bytes = folder.checkpoint_bytes,
                     .sealed = std::move(folder.sealed)}) {
  make_ring(queued_);
  make_ring(ready_);
  thread_ = std::thread([this] { run(); });
}

Log::~Log() { (void)close(); }

Position Log::append(const WriteSet& writes) noexcept {
  MutexLock lock(mutex_);
  const Position position = last_.load(std::memory_order_relaxed) + 1;
  last_.store(position, std::memory_order_release);
  if (dropping_) return position;
  if (filling_records_ == 0 && durability_ != Durability::sync) filling_since_ = std::chrono::steady_clock::now();
  add_record(filling_, position, writes.bytes());
  backlog_.fetch_add(kRecordHeaderBytes + writes.bytes().size(), std::memory_order_relaxed);
  if (++filling_records_ == wake_at_records_) work_.notify_one();
  return position;
}

Attempt<void> Log::wait_for(Position position, LogWait& wait, Waiter& waiter) {
  if (settled_.load(std::memory_order_acquire) >= position) return Result<void>();
  MutexLock lock(waits_mutex_);
  // Under the mutex: settle() and stop() take it after they have made their mark.
  if (settled_.load(std::memory_order_acquire) >= position) return Result<void>();
  if (failure_)
    return Result<void>(Error{Fault::outcome_unknown, failure_->code,
                              fmt::format("whether this commit is on disk is unknown: {}", failure_->message)});
  if (durability_ != Durability::sync && backlog_.load(std::memory_order_relaxed) <= limits_.backlog_bytes)
    return Result<void>();
  wait.waiter = &waiter;
  wait.position = position;
  link_before(queued_, wait);
  return std::nullopt;
}

bool Log::cancel(LogWait& wait) noexcept {
  MutexLock lock(waits_mutex_);
  if (!wait.previous) return false;
  unlink(wait);
  return true;
}

bool Log::is_waiting(const LogWait& wait) const {
  MutexLock lock(waits_mutex_);
  return wait.previous != nullptr;
}

std::optional<Error> Log::stopped() const {
  MutexLock lock(waits_mutex_);
  return failure_;
}

LogStatus Log::status() const {
  return {.durability = durability_,
          .last = last(),
          .settled = settled_.load(std::memory_order_acquire),
          .checkpoint = checkpointer_.position(),
          .stopped = stopped(),
          .checkpoint_failed = checkpointer_.failure(),
          .recovery = report_};
}

Result<void> Log::close() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
    work_.notify_one();
  }
  if (!thread_.joinable()) return {};
  thread_.join();
  if (std::optional<Error> failure = stopped()) return *std::move(failure);
  stop(Error{Fault::invalid, {}, fmt::format("the store in {} has been closed", folder_)});
  return {};
}

void Log::run() {
  Result<void> done;
  while (done.ok() && take_group()) {
    done = write_group();
    if (done.ok()) settle(writing_last_);
  }
  if (done.ok()) done = finish();
  if (done.ok()) return;
  Error why = done.error();
  why.message = fmt::format(
      "the log has stopped: {}; nothing is committed any more: see to the disk, then open {} "
      "again: what was acknowledged is there",
      why.message, folder_);
  stop(std::move(why));
}

bool Log::take_group() {
  writing_.clear();
  if (writing_.capacity() > kWorthKeeping) std::string().swap(writing_);
  MutexLock lock(mutex_);
  while (filling_records_ == 0 && !closing_) {
    wake_at_records_ = 1;
    work_.wait(mutex_);
  }
  wake_at_records_ = 0;
  if (filling_records_ == 0) {  // closing
    dropping_ = true;
    return false;
  }
  wait_for_company();
  filling_.swap(writing_);
  writing_records_ = std::exchange(filling_records_, 0);
  writing_last_ = last_.load(std::memory_order_relaxed);
  return true;
}

// What SETTLED says stays true for ever, so an old one does no harm.
Result<void> Log::finish() {
  const Position last = settled_.load(std::memory_order_relaxed);
  if (synced_ < last)
    if (Result<void> done = active_->sync(); !done.ok()) return done;
  synced_ = last;
  return synced_ > marked_ ? write_settled(files_, folder_, store_id_, synced_) : Result<void>();
}

void Log::wait_for_company() {
  const bool sync = durability_ == Durability::sync;
  const std::size_t enough = sync ? writing_records_ : ~std::size_t{0};  // as many as the time before
  const TimePoint until = sync ? std::chrono::steady_clock::now() + std::min<Duration>(kCompanyMost, sync_took_ / 2)
                               : filling_since_ + limits_.async_delay;
  while (filling_records_ < enough && !closing_) {
    wake_at_records_ = enough;
    if (!work_.wait_until(mutex_, until)) break;
  }
  wake_at_records_ = 0;
}

Result<void> Log::write_group() {
  if (active_bytes_ >= limits_.segment_bytes)
    if (Result<void> done = roll_over(writing_last_ + 1 - writing_records_); !done.ok()) return done;
  seal_records(writing_, store_id_, synced_);
  const TimePoint begin = std::chrono::steady_clock::now();
  if (Result<void> done = active_->append(writing_); !done.ok()) return done;
  active_bytes_ += writing_.size();
  backlog_.fetch_sub(writing_.size(), std::memory_order_relaxed);
  if (durability_ == Durability::none) return {};
  if (Result<void> done = active_->sync(); !done.ok()) return done;
  synced_ = writing_last_;
  sync_took_ = std::chrono::steady_clock::now() - begin;
  return {};
}

// The new segment is on disk under its name before anything is written to it, and the old one is synced before that. So
// only the last segment of a folder can be torn.
Result<void> Log::roll_over(Position next_first) {
  if (Result<void> done = active_->sync(); !done.ok()) return done;
  synced_ = next_first - 1;
  const std::string header = segment_header(store_id_, next_first);
  Result<std::unique_ptr<File>> next = create_whole(files_, folder_, segment_path(folder_, next_first), header);
  if (!next.ok()) return next.error();
  active_ = std::move(next).value();
  checkpointer_.add({active_first_, next_first - 1, active_bytes_});
  active_first_ = next_first;
  active_bytes_ = header.size();
  return {};
}

void Log::settle(Position position) {
  settled_.store(position, std::memory_order_release);
  {
    MutexLock lock(waits_mutex_);
    for (LogWait* wait = queued_.next; wait != &queued_;) {
      LogWait* const next = wait->next;
      if (wait->position <= position) {
        unlink(*wait);
        link_before(ready_, *wait);
      }
      wait = next;
    }
  }
  wake_ready();
}

void Log::stop(Error why) {
  {
    MutexLock lock(mutex_);
    dropping_ = true;
    std::string().swap(filling_);
  }
  {
    MutexLock lock(waits_mutex_);
    failure_ = std::move(why);
    stopped_.store(true, std::memory_order_release);
    while (!is_empty(queued_)) {
      LogWait& wait = *queued_.next;
      unlink(wait);
      link_before(ready_, wait);
    }
  }
  wake_ready();
}

// A few at a time, so that no thread that comes to wait is held up for long.
void Log::wake_ready() {
  for (bool more = true; more;) {
    MutexLock lock(waits_mutex_);
    for (std::size_t i = 0; i < kWakesAtOnce && !is_empty(ready_); ++i) {
      LogWait& wait = *ready_.next;
      Waiter& waiter = *wait.waiter;
      unlink(wait);
      waiter.wake();
    }
    more = !is_empty(ready_);
  }
}

}  // namespace lockstep::kv
