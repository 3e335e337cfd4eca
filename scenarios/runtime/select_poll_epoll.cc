// select, poll, epoll: many descriptors, a few of them ready. select() and poll() hand the kernel the whole list at
// every call, and it looks at each; epoll keeps the list in the kernel and answers with what is ready (G. Banga, J.
// Mogul and P. Druschel, "A scalable and explicit event delivery mechanism for UNIX", USENIX 1999).
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

#include <climits>

#include "engine/executors/loop.h"
#include "scenarios/catalogue.h"
#include "scenarios/runtime/measured.h"

namespace lockstep::scenarios {
namespace {

struct Found {
  int expected = 0;
  int wrong = 0;  // calls that found another number
};

/// So many event counters, of which every so-many-th is ready.
class Descriptors {
 public:
  Descriptors(int count, int active) {
    for (int i = 0; i < count; ++i) {
      fds.push_back(::eventfd(i % (count / active) == 0 ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
  }
  ~Descriptors() {
    for (const int fd : fds) ::close(fd);
  }
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;
  std::vector<int> fds;
};

int by_select(const Descriptors& all) {
  constexpr std::size_t kBits = sizeof(unsigned long) * CHAR_BIT;
  const auto highest = static_cast<std::size_t>(*std::max_element(all.fds.begin(), all.fds.end()));
  // Longer than an fd_set, which ends at 1,024: the kernel takes any length.
  std::vector<unsigned long> bits(highest / kBits + 16);
  for (const int fd : all.fds)
    bits[static_cast<std::size_t>(fd) / kBits] |= 1UL << (static_cast<std::size_t>(fd) % kBits);
  timeval at_once{};
  return ::select(static_cast<int>(highest) + 1, reinterpret_cast<fd_set*>(bits.data()), nullptr, nullptr, &at_once);
}

int by_poll(std::vector<pollfd>& list) { return ::poll(list.data(), list.size(), 0); }

int by_epoll(int epoll) {
  std::array<epoll_event, 64> events;
  return ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 0);
}

/// Microseconds of one call, after some that warm up.
template <class Call>
double measure(Call call, int calls, int active, Found& found) {
  for (int i = 0; i < calls / 10; ++i) (void)call();
  const Nanos began = now();
  for (int i = 0; i < calls; ++i) found.wrong += call() == active ? 0 : 1;
  return static_cast<double>((now() - began).count()) / 1e3 / calls;
}

void ask_all(const Context& c, int count, int active, int calls, Found& found) {
  const Descriptors all(count, active);
  std::vector<pollfd> list;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (const int fd : all.fds) {
    list.push_back({fd, POLLIN, 0});
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
  const std::string row = fmt::format("{} descriptors, {} ready", count, active);
  c.figure(row, "select", measure([&] { return by_select(all); }, calls, active, found), "us");
  c.figure(row, "poll", measure([&] { return by_poll(list); }, calls, active, found), "us");
  c.figure(row, "epoll", measure([&] { return by_epoll(epoll); }, calls, active, found), "us");
  ::close(epoll);
  found.expected += active;
}

Task<> ask(Context& c) {
  auto& found = c.world<Found>();
  if (!c.measures) {
    ask_all(c, 40, 10, 1, found);
    co_return;
  }
  for (const int count : {10, 100, 1'000, 10'000}) {
    const Result<void> enough = runtime::need_descriptors(static_cast<std::uint64_t>(count), "this row of the table");
    if (!enough.ok()) {
      c.note(enough.error().message);
      continue;
    }
    ask_all(c, count, 10, 2'000'000 / (count + 1'000), found);
  }
}

}  // namespace

Scenario runtime_select_poll_epoll() {
  return scenario("Who of ten thousand has something to say")
      .story("Ten of many descriptors are ready. Three system calls are asked which. Run it to see the figures.")
      .with<Found>()

      .pattern("all", "select, poll and epoll, one after the other")
      .actor("asker", ask)
      .expect("none", "*: clean")
      .why(
          "select and poll cost as much as there are descriptors, ready or not. epoll costs as much as there are ready "
          "ones, and a system call to add each descriptor once.")

      .holds("each finds those that are ready",
             [](const Final& end) { return end.world<Found>().expected > 0 && end.world<Found>().wrong == 0; });
}

}  // namespace lockstep::scenarios
