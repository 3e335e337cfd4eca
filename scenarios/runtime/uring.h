// uring.h: as much of io_uring (liburing) as it takes to be told which descriptors can be read. Two rings
// are shared by the kernel and this process: requests in one, completions in the other (J. Axboe, "Efficient IO with
// io_uring", 2019; io_uring(7)).
//
// A multishot poll is asked for once a descriptor and then posts a completion at each wake-up of it. So, unlike epoll
// as it is used here, it tells what has become ready, not what still is.
#pragma once

#include <liburing.h>
#include <poll.h>

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
    if (const int error = ring->set_up(); error < 0) return none(-error);
    for (const int fd : fds) {
      if (const int error = ring->ask(fd); error < 0) return none(-error);
    }
    if (const int error = ::io_uring_submit(&ring->ring_); error < 0) return none(-error);
    // A request that is not understood is answered at once.
    std::vector<int> ready;
    if (!ring->take(ready)) return none(EINVAL);
    return ring;
  }
  ~PollRing() {
    if (is_open_) ::io_uring_queue_exit(&ring_);
  }
  PollRing(const PollRing&) = delete;
  PollRing& operator=(const PollRing&) = delete;

  /// Puts the descriptors that have become ready since the last call behind `ready`. False when a poll has ended: the
  /// ring is of no more use.
  bool take(std::vector<int>& ready) {
    // Only now does a ring that defers its work post what the wake-ups have left. Any other one did so as each of them
    // returned from the kernel, and needs no system call here.
    if ((ring_.flags & IORING_SETUP_DEFER_TASKRUN) != 0 && ::io_uring_get_events(&ring_) < 0) return false;
    bool going_on = true;
    unsigned head = 0, taken = 0;
    io_uring_cqe* one = nullptr;
    io_uring_for_each_cqe(&ring_, head, one) {
      going_on = going_on && one->res >= 0 && (one->flags & IORING_CQE_F_MORE) != 0;
      ready.push_back(static_cast<int>(one->user_data));
      ++taken;
    }
    ::io_uring_cq_advance(&ring_, taken);
    return going_on;
  }

 private:
  PollRing() = default;

  static Error none(int error) {
    return {Fault::unsupported,
            {},
            "the kernel offers no io_uring with multishot poll: " + std::generic_category().message(error)};
  }

  /// 0, or the negative errno.
  int set_up() {
    int error = 0;
    // The cheapest way first: Linux 6.1 has it.
    for (const unsigned flags : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0U}) {
      error = ::io_uring_queue_init(kRequests, &ring_, flags);
      if (error != -EINVAL) break;
    }
    is_open_ = error == 0;
    return error;
  }

  /// 0, or the negative errno.
  int ask(int fd) {
    io_uring_sqe* request = ::io_uring_get_sqe(&ring_);
    if (request == nullptr) {  // the ring is full
      if (const int error = ::io_uring_submit(&ring_); error < 0) return error;
      request = ::io_uring_get_sqe(&ring_);
      if (request == nullptr) return -EBUSY;
    }
    ::io_uring_prep_poll_multishot(request, fd, POLLIN);
    ::io_uring_sqe_set_data64(request, static_cast<std::uint64_t>(fd));
    return 0;
  }

  static constexpr unsigned kRequests = 256;  // of one submission; a power of two

  io_uring ring_{};
  bool is_open_ = false;
};

}  // namespace lockstep::scenarios
