// readiness.h: many descriptors of which a few are ready, and three system calls that say which.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep::scenarios {

/// So many event counters, of which every so-many-th is written to in each round.
class Descriptors {
 public:
  Descriptors(int count, int active) {
    for (int i = 0; i < count; ++i) {
      all.push_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (i % (count / active) == 0) ready.push_back(all.back());
    }
  }
  ~Descriptors() {
    for (const int fd : all) ::close(fd);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  void write_to() const {
    const std::uint64_t one = 1;
    for (const int fd : ready) [[maybe_unused]]
      const ssize_t written = ::write(fd, &one, sizeof one);
  }
  void read() const {
    std::uint64_t count = 0;
    for (const int fd : ready) [[maybe_unused]]
      const ssize_t got = ::read(fd, &count, sizeof count);
  }

  std::vector<int> all, ready;
};

/// Each asks once and puts the ready ones into `found`.
class BySelect {
 public:
  explicit BySelect(const Descriptors& descriptors) {
    highest_ = static_cast<std::size_t>(*std::max_element(descriptors.all.begin(), descriptors.all.end()));
    // Longer than an fd_set, which ends at 1,024: the kernel takes any length.
    wanted_.resize(highest_ / kBits + 16);
    for (const int fd : descriptors.all) {
      wanted_[static_cast<std::size_t>(fd) / kBits] |= 1UL << (static_cast<std::size_t>(fd) % kBits);
    }
  }
  void operator()(std::vector<int>& found) {
    bits_ = wanted_;  // the answer takes the place of the question
    timeval at_once{};
    ::select(static_cast<int>(highest_) + 1, reinterpret_cast<fd_set*>(bits_.data()), nullptr, nullptr, &at_once);
    for (std::size_t i = 0; i < bits_.size(); ++i) {
      for (unsigned long left = bits_[i]; left != 0; left &= left - 1) {
        found.push_back(static_cast<int>(i * kBits) + std::countr_zero(left));
      }
    }
  }

 private:
  static constexpr std::size_t kBits = sizeof(unsigned long) * CHAR_BIT;
  std::size_t highest_ = 0;
  std::vector<unsigned long> wanted_, bits_;
};

class ByPoll {
 public:
  explicit ByPoll(const Descriptors& descriptors) {
    for (const int fd : descriptors.all) list_.push_back({fd, POLLIN, 0});
  }
  void operator()(std::vector<int>& found) {
    int left = ::poll(list_.data(), list_.size(), 0);
    for (auto one = list_.begin(); left > 0 && one != list_.end(); ++one) {
      if (one->revents == 0) continue;
      found.push_back(one->fd);
      --left;
    }
  }

 private:
  std::vector<pollfd> list_;
};

class ByEpoll {
 public:
  explicit ByEpoll(const Descriptors& descriptors) {
    for (const int fd : descriptors.all) {
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }
  }
  ~ByEpoll() { ::close(epoll_); }
  ByEpoll(const ByEpoll&) = delete;
  ByEpoll& operator=(const ByEpoll&) = delete;
  void operator()(std::vector<int>& found) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) found.push_back(events[static_cast<std::size_t>(i)].data.fd);
  }

 private:
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
};

}  // namespace lockstep::scenarios
