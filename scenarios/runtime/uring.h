// uring.h: as much of io_uring as it takes to be told which descriptors can be read, by plain system calls. Two rings
// are shared by the kernel and this process: requests in one, completions in the other (J. Axboe, "Efficient IO with
// io_uring", 2019; io_uring(7)).
//
// A multishot poll is asked for once a descriptor and then posts a completion at each wake-up of it. So, unlike epoll
// as it is used here, it tells what has become ready, not what still is.
#pragma once

#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <span>
#include <system_error>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::scenarios {

/// One ring that polls. For the thread that made it.
class PollRing {
 public:
  /// A ring that watches `fds` for input. Fault::unsupported where the kernel has none, has it switched off
  /// (kernel.io_uring_disabled, seccomp of a container), or cannot poll more than once a request (before Linux 5.13).
  static Result<std::unique_ptr<PollRing>> watch(std::span<const int> fds) {
    std::unique_ptr<PollRing> ring(new PollRing);
    if (!ring->set_up() || !ring->map()) return none(errno);
    for (const int fd : fds) {
      if (!ring->ask(fd)) return none(errno);
    }
    if (!ring->submit()) return none(errno);
    // A request that is not understood is answered at once.
    std::vector<int> ready;
    if (!ring->take(ready)) return none(EINVAL);
    return ring;
  }
  ~PollRing() {
    if (requests_ != MAP_FAILED) ::munmap(requests_, request_bytes());
    if (rings_ != MAP_FAILED) ::munmap(rings_, ring_bytes());
    if (fd_ >= 0) ::close(fd_);
  }
  PollRing(const PollRing&) = delete;
  PollRing& operator=(const PollRing&) = delete;

  /// Puts the descriptors that have become ready since the last call behind `ready`. False when a poll has ended: the
  /// ring is of no more use.
  bool take(std::vector<int>& ready) {
    // Only now does a ring that defers its work post what the wake-ups have left. Any other one did so as each of them
    // returned from the kernel, and needs no system call here.
    if (defers() && enter(0, IORING_ENTER_GETEVENTS) < 0) return false;
    const unsigned end = at(shape_.cq_off.tail).load(std::memory_order_acquire);
    unsigned head = at(shape_.cq_off.head).load(std::memory_order_relaxed);
    const auto* completions = reinterpret_cast<const io_uring_cqe*>(bytes() + shape_.cq_off.cqes);
    bool going_on = true;
    for (; head != end; ++head) {
      const io_uring_cqe& one = completions[head & (shape_.cq_entries - 1)];
      going_on = going_on && one.res >= 0 && (one.flags & IORING_CQE_F_MORE) != 0;
      ready.push_back(static_cast<int>(one.user_data));
    }
    at(shape_.cq_off.head).store(head, std::memory_order_release);
    return going_on;
  }

 private:
  PollRing() = default;

  static Error none(int error) {
    return {Fault::unsupported,
            {},
            "the kernel offers no io_uring with multishot poll: " + std::generic_category().message(error)};
  }

  bool set_up() {
    // The cheapest way first: Linux 6.1 has it.
    for (const unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0U}) {
      shape_ = {};
      shape_.flags = flags;
      fd_ = static_cast<int>(::syscall(__NR_io_uring_setup, kRequests, &shape_));
      if (fd_ >= 0 || errno != EINVAL) break;
    }
    return fd_ >= 0;
  }
  bool map() {
    // Older kernels have the two rings apart, and no multishot poll either.
    if ((shape_.features & IORING_FEAT_SINGLE_MMAP) == 0) return errno = EINVAL, false;
    const auto share = [&](std::size_t length, unsigned long long what) {
      return ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, static_cast<off_t>(what));
    };
    rings_ = share(ring_bytes(), IORING_OFF_SQ_RING);
    requests_ = share(request_bytes(), IORING_OFF_SQES);
    return rings_ != MAP_FAILED && requests_ != MAP_FAILED;
  }

  bool ask(int fd) {
    if (waiting_ == shape_.sq_entries && !submit()) return false;
    const unsigned slot = tail_++ & (shape_.sq_entries - 1);
    io_uring_sqe& request = static_cast<io_uring_sqe*>(requests_)[slot];
    request = {};
    request.opcode = IORING_OP_POLL_ADD;
    request.fd = fd;
    request.len = IORING_POLL_ADD_MULTI;
    request.poll32_events = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? POLLIN : POLLIN << 16;  // halves the other way
    request.user_data = static_cast<__u64>(fd);
    reinterpret_cast<unsigned*>(bytes() + shape_.sq_off.array)[slot] = slot;
    ++waiting_;
    return true;
  }
  bool submit() {
    at(shape_.sq_off.tail).store(tail_, std::memory_order_release);
    const bool taken = enter(waiting_, 0) == static_cast<long>(waiting_);
    waiting_ = 0;
    return taken;
  }

  long enter(unsigned requests, unsigned flags) {
    return ::syscall(__NR_io_uring_enter, fd_, requests, 0, flags, nullptr, std::size_t{0});
  }
  bool defers() const noexcept { return (shape_.flags & IORING_SETUP_DEFER_TASKRUN) != 0; }
  char* bytes() const noexcept { return static_cast<char*>(rings_); }
  std::atomic_ref<unsigned> at(unsigned offset) const noexcept {
    return std::atomic_ref<unsigned>(*reinterpret_cast<unsigned*>(bytes() + offset));
  }
  std::size_t ring_bytes() const noexcept {
    return std::max(shape_.sq_off.array + shape_.sq_entries * sizeof(unsigned),
                    shape_.cq_off.cqes + shape_.cq_entries * sizeof(io_uring_cqe));
  }
  std::size_t request_bytes() const noexcept { return shape_.sq_entries * sizeof(io_uring_sqe); }

  static constexpr unsigned kRequests = 256;  // of one submission; a power of two

  io_uring_params shape_{};
  int fd_ = -1;
  void* rings_ = MAP_FAILED;
  void* requests_ = MAP_FAILED;
  unsigned tail_ = 0;
  unsigned waiting_ = 0;  // asked for, not submitted
};

}  // namespace lockstep::scenarios
