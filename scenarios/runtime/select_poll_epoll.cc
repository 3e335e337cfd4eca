// select, poll, epoll, io_uring: many descriptors, a few of them ready. select() and poll() hand the kernel the whole
// list at every call, and it looks at each. epoll keeps the list in the kernel and answers with what is ready (G.
// Banga, J. Mogul and P. Druschel, "A scalable and explicit event delivery mechanism for UNIX", USENIX 1999). A
// multishot poll of io_uring does so too, and its answers are found in memory that the kernel shares.
//
// All four go through the same rounds. Ten descriptors are written to, and one call asks which are ready and goes
// through the answer. Then the ten are read, so that they are not ready any more. The clock is read in between. With a
// list in the kernel part of the work is done when a descriptor is written to. So that is shown too, beside what a
// write costs when nobody watches.
#include <fmt/format.h>

#include <functional>
#include <optional>

#include "engine/runtime/loop.h"
#include "scenarios/catalogue.h"
#include "scenarios/runtime/measured.h"
#include "scenarios/runtime/readiness.h"
#include "scenarios/runtime/uring.h"

namespace lockstep::scenarios {
namespace {

struct Found {
  int expected = 0;
  int wrong = 0;          // rounds that found other descriptors than the ready ones
  bool has_uring = true;  // as far as is known
};

struct Took {
  double write_us = 0;  ///< of one write
  double ask_us = 0;    ///< of one call, and the way through its answer
};

/// So many rounds, after some that warm up.
template <class Ask>
Took measure(const Descriptors& descriptors, Ask ask, int rounds, Found& found) {
  Nanos writing{0}, asking{0};
  std::vector<int> answer;
  for (int i = -rounds / 10; i < rounds; ++i) {
    answer.clear();
    const Nanos began = now();
    descriptors.write_to();
    const Nanos written = now();
    ask(answer);
    const Nanos answered = now();
    descriptors.read();
    if (answer != descriptors.ready) ++found.wrong;
    if (i < 0) continue;
    writing += written - began;
    asking += answered - written;
  }
  const auto us = [](Nanos all, std::size_t calls) {
    return static_cast<double>(all.count()) / 1e3 / static_cast<double>(calls);
  };
  const auto calls = static_cast<std::size_t>(rounds);
  return {.write_us = us(writing, calls * descriptors.ready.size()), .ask_us = us(asking, calls)};
}

void ask_all(const Context& c, int count, int active, int rounds, Found& found) {
  const Descriptors descriptors(count, active);
  const std::string row = fmt::format("{} descriptors, {} ready", count, active);
  found.expected += active;
  const auto nobody = [&](std::vector<int>& answer) { answer = descriptors.ready; };
  const double alone_us = measure(descriptors, nobody, rounds, found).write_us;

  c.figure(row, "select", measure(descriptors, BySelect(descriptors), rounds, found).ask_us, "us");
  c.figure(row, "poll", measure(descriptors, ByPoll(descriptors), rounds, found).ask_us, "us");
  Took epoll;
  {
    ByEpoll by_epoll(descriptors);
    epoll = measure(descriptors, std::ref(by_epoll), rounds, found);
  }
  c.figure(row, "epoll", epoll.ask_us, "us");
  std::optional<Took> uring;
  // The ring goes before its descriptors do.
  if (const auto ring = PollRing::watch(descriptors.all); ring.ok()) {
    const auto by_ring = [&](std::vector<int>& answer) {
      if (!(*ring)->take(answer)) answer.clear();
    };
    uring = measure(descriptors, by_ring, rounds, found);
    c.figure(row, "io_uring", uring->ask_us, "us");
  } else {
    if (c.measures && found.has_uring) c.note(ring.error().message);
    found.has_uring = false;
  }
  c.figure(row, "a write", alone_us, "us");
  c.figure(row, "write, epoll", epoll.write_us, "us");
  if (uring) c.figure(row, "write, io_uring", uring->write_us, "us");
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
  return scenario("Which of ten thousand has something to say")
      .story(
          "Ten of many descriptors become ready, are asked for, and are read, round after round. Shown is what asking "
          "takes, and what a write to one of them takes: when nobody watches, and when the kernel keeps a list. Run it "
          "to see the figures.")
      .with<Found>()

      .own_code_at_most(std::chrono::minutes(1))
      .pattern("all", "select, poll, epoll and io_uring, one after the other")
      .actor("asker", ask)
      .expect("none", "*: clean")
      .why(
          "select and poll cost as much as there are descriptors, ready or not. epoll costs as much as there are ready "
          "ones, and a system call to add each descriptor once. So does a multishot poll of io_uring, which has its "
          "answers in shared memory: one call without a copy, or none. Both pay a little at every write.")

      .holds("each finds those that are ready",
             [](const Final& end) { return end.world<Found>().expected > 0 && end.world<Found>().wrong == 0; });
}

}  // namespace lockstep::scenarios
