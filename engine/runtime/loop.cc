// loop.cc: the order in which a loop looks at its queue, its timers and its sockets.
#include "engine/runtime/loop.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <thread>

#include "kv/base/spin.h"

namespace lockstep::runtime {
namespace {

/// So many jobs are run before the clock is looked at.
constexpr int kBatch = 64;
/// A busy loop looks at its sockets this often: often enough for an answer, too seldom to be felt.
constexpr Nanos kPollEvery = std::chrono::microseconds(50);

thread_local Loop* loop_of_thread = nullptr;

std::uint32_t epoll_events(short events) noexcept {
  std::uint32_t wanted = 0;
  if ((events & POLLIN) != 0) wanted |= EPOLLIN;
  if ((events & POLLOUT) != 0) wanted |= EPOLLOUT;
  return wanted;
}

/// True when the thread has a processor or waits for one; false when it sleeps in the kernel.
bool is_on_a_cpu(int thread_id) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread_id));
  std::string text;
  std::getline(file, text);
  const std::size_t name_ends = text.rfind(')');
  return name_ends != std::string::npos && name_ends + 2 < text.size() && text[name_ends + 2] == 'R';
}

}  // namespace

std::string to_string(Name name) {
  return name.number == 0 ? std::string(name.text) : fmt::format("{} {}", name.text, name.number);
}

std::string to_string(const Blocked& blocked) {
  return fmt::format("worker {}: {} has kept its thread for {} ms ({})", blocked.worker, to_string(blocked.name),
                     std::chrono::duration_cast<std::chrono::milliseconds>(blocked.at_least).count(),
                     blocked.on_a_cpu ? "it computes" : "asleep in a call that blocks");
}

Loop* Loop::current() noexcept { return loop_of_thread; }

Loop::Loop(int index) : index_(index), timers_(clock_.now()) {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  LOCKSTEP_CHECK(epoll_fd_ >= 0 && wake_fd_ >= 0, "a loop needs two descriptors (ulimit -n): errno {}", errno);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  LOCKSTEP_CHECK(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0, "epoll_ctl failed: errno {}", errno);
}

Loop::~Loop() {
  // The thread that posted the last job may still be about to wake us.
  while (posting_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

void Loop::run() {
  Loop* const outer = std::exchange(loop_of_thread, this);  // a body may run a loop of its own inside a loop
  thread_id_.store(static_cast<int>(::syscall(SYS_gettid)), std::memory_order_relaxed);
  // Acquire: what was done before stop() is seen by the code that runs after us.
  while (!stopping_.load(std::memory_order_acquire)) {
    run_batch();
    take_posted();
    const Nanos now = clock_.now();
    timers_.advance(now);
    const bool idle = head_ == nullptr;
    bool may_sleep = false;
    if (idle) {
      running_text_.store(nullptr, std::memory_order_relaxed);
      may_sleep = !timers_.prepare();
      if (may_sleep && is_posted_soon()) continue;
    }
    if (idle || (watched_ > 0 && now - polled_at_ >= kPollEvery)) poll(now, may_sleep);
  }
  stopping_.store(false, std::memory_order_relaxed);
  running_text_.store(nullptr, std::memory_order_relaxed);
  thread_id_.store(0, std::memory_order_relaxed);
  loop_of_thread = outer;
}

void Loop::run_batch() noexcept {
  std::uint64_t turns = turns_.load(std::memory_order_relaxed);
  for (int left = kBatch; left > 0 && head_ != nullptr; --left) {
    Job& job = *head_;
    head_ = job.next_;
    if (head_ == nullptr) tail_ = &head_;
    turns_.store(++turns, std::memory_order_relaxed);
    job.run();
  }
}

void Loop::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  wake_up();
}

void Loop::post_from_elsewhere(Job& job) noexcept {
  posting_.fetch_add(1, std::memory_order_relaxed);
  Job* first = posted_.load(std::memory_order_relaxed);
  do {
    job.next_ = first;
  } while (!posted_.compare_exchange_weak(first, &job, std::memory_order_seq_cst, std::memory_order_relaxed));
  // Nothing of the job is touched any more. Of several posting threads the first one wakes the loop.
  wake_up();
  posting_.fetch_sub(1, std::memory_order_release);
}

void Loop::wake_up() noexcept {
  if (!sleeping_.load(std::memory_order_seq_cst) || !sleeping_.exchange(false, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

void Loop::take_posted() noexcept {
  if (posted_.load(std::memory_order_relaxed) == nullptr) return;
  was_posted_ = true;
  Job* latest = posted_.exchange(nullptr, std::memory_order_acquire);
  Job* earliest = nullptr;
  while (latest != nullptr) {
    Job* const next = latest->next_;
    latest->next_ = earliest;
    earliest = latest;
    latest = next;
  }
  while (earliest != nullptr) {
    Job* const next = earliest->next_;
    push(*earliest);
    earliest = next;
  }
}

/// To sleep and to be woken costs more than most answers of other threads take. So where there was one, the loop stays
/// awake for the next a few microseconds.
bool Loop::is_posted_soon() noexcept {
  if (!std::exchange(was_posted_, false)) return false;
  return kv::spin_until([this] { return posted_.load(std::memory_order_relaxed) != nullptr; });
}

void Loop::poll(Nanos now, bool may_sleep) noexcept {
  polled_at_ = now;
  timespec span{};
  const timespec* limit = &span;
  if (may_sleep) {
    sleeping_.store(true, std::memory_order_seq_cst);
    if (posted_.load(std::memory_order_seq_cst) != nullptr || stopping_.load(std::memory_order_seq_cst)) {
      sleeping_.store(false, std::memory_order_relaxed);
      return;
    }
    const Nanos next = timers_.next();
    if (next == kNever) {
      limit = nullptr;
    } else {
      const std::int64_t left = std::max<std::int64_t>((next - now).count(), 0);
      span = {.tv_sec = static_cast<time_t>(left / 1'000'000'000), .tv_nsec = static_cast<long>(left % 1'000'000'000)};
    }
  }
  std::array<epoll_event, kEvents> events;
  const int count = ::epoll_pwait2(epoll_fd_, events.data(), kEvents, limit, nullptr);
  if (may_sleep) sleeping_.store(false, std::memory_order_relaxed);
  LOCKSTEP_CHECK(count >= 0 || errno == EINTR, "epoll_pwait2 failed: errno {}", errno);

  // A watch that is told may unwatch another one of the same batch: unwatch() then strikes it out here.
  told_count_ = std::max(count, 0);
  for (int i = 0; i < told_count_; ++i) {
    told_[static_cast<std::size_t>(i)] = static_cast<Watch*>(events[static_cast<std::size_t>(i)].data.ptr);
  }
  for (int i = 0; i < told_count_; ++i) {
    Watch* const watch = told_[static_cast<std::size_t>(i)];
    if (events[static_cast<std::size_t>(i)].data.ptr == nullptr) {
      std::uint64_t posts = 0;
      [[maybe_unused]] const ssize_t drained = ::read(wake_fd_, &posts, sizeof posts);
    } else if (watch != nullptr) {
      if (!watch->stays_) {
        watch->fd_ = -1;
        --watched_;
      }
      watch->on_ready();
    }
  }
  told_count_ = 0;
}

bool Loop::add(Watch& watch, int fd, std::uint32_t events) noexcept {
  epoll_event event{.events = events, .data = {.ptr = &watch}};
  // One that has been told is still in the epoll, disarmed; a descriptor that was closed meanwhile is not.
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0 &&
      (errno != ENOENT || ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0)) {
    return false;
  }
  if (!watch.is_watched()) ++watched_;
  watch.fd_ = fd;
  return true;
}

bool Loop::watch(Watch& watch, int fd, short events) noexcept {
  watch.stays_ = false;
  return add(watch, fd, epoll_events(events) | EPOLLONESHOT);
}

bool Loop::keep_watching(Watch& watch, int fd, short events) noexcept {
  watch.stays_ = true;
  return add(watch, fd, epoll_events(events));
}

void Loop::unwatch(Watch& watch) noexcept {
  if (!watch.is_watched()) return;
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, watch.fd_, nullptr);
  watch.fd_ = -1;
  --watched_;
  for (int i = 0; i < told_count_; ++i) {
    if (told_[static_cast<std::size_t>(i)] == &watch) told_[static_cast<std::size_t>(i)] = nullptr;
  }
}

std::optional<Blocked> Watchdog::look(const Loop& loop) {
  if (loop.index() >= static_cast<int>(seen_.size())) return std::nullopt;
  Seen& seen = seen_[static_cast<std::size_t>(loop.index())];
  const std::uint64_t turns = loop.turns();
  const Name name = loop.running();
  const Nanos now = clock_.now();
  if (turns != seen.turns || name.text == nullptr) {
    seen = {.turns = turns, .since = now, .told = false};
    return std::nullopt;
  }
  if (seen.told || now - seen.since < after_) return std::nullopt;
  seen.told = true;
  return Blocked{
      .worker = loop.index(), .name = name, .at_least = now - seen.since, .on_a_cpu = is_on_a_cpu(loop.thread_id())};
}

Result<void> need_descriptors(std::uint64_t needed, std::string_view what_for) {
  constexpr std::uint64_t kOthers = 64;  // what the program has open beside
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed + kOthers) return {};
  rlimit raised = limit;
  raised.rlim_cur = needed + kOthers;
  if (raised.rlim_cur <= limit.rlim_max && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) return {};
  return Error{Fault::invalid,
               {},
               fmt::format("{} needs {} open files; the limit is {} (ulimit -n {})", what_for, needed + kOthers,
                           limit.rlim_max, needed + kOthers)};
}

}  // namespace lockstep::runtime
