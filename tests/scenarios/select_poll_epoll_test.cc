// select_poll_epoll_test.cc: the rows of the table are there on a kernel without io_uring too, and the one that is
// missing is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <set>
#include <thread>

#include "engine/run/run.h"
#include "scenarios/catalogue.h"

namespace lockstep {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

/// From now on this thread, and those that it makes, are told that they may not have a ring.
bool forbid_io_uring() {
  sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog filter{.len = 4, .filter = program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct Seen {
  record::Run run;
  std::set<std::string> columns, notes;
};

Seen measure() {
  Seen seen;
  RunRequest request;
  request.measure = true;
  Result<record::Run> ran = run(*scenarios::find("runtime/select-poll-epoll"), request);
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  if (!ran.ok()) return seen;
  seen.run = std::move(ran).value();
  for (const record::Event& event : seen.run.events) {
    if (event.kind == record::EventKind::figure) seen.columns.insert(event.verb);
    if (event.kind == record::EventKind::note) seen.notes.insert(event.verb + event.object + event.detail);
  }
  return seen;
}

TEST(SelectPollEpoll, SaysWhenTheKernelOffersNoIoUring) {
  bool is_forbidden = false;
  Seen seen;
  std::thread([&] {
    is_forbidden = forbid_io_uring();
    if (is_forbidden) seen = measure();
  }).join();
  if (!is_forbidden) GTEST_SKIP() << "skipped: no seccomp filters here";
  EXPECT_EQ(seen.run.verdict, record::Verdict::clean);
  for (const char* column : {"select", "poll", "epoll"}) EXPECT_THAT(seen.columns, Contains(column));
  EXPECT_THAT(seen.columns, Not(Contains(HasSubstr("io_uring"))));
  EXPECT_THAT(seen.notes, Contains(HasSubstr("the kernel offers no io_uring")));
}

TEST(SelectPollEpoll, AsksIoUringWhereTheKernelHasIt) {
  const long ring = ::syscall(__NR_io_uring_setup, 1, nullptr);
  ASSERT_LT(ring, 0);
  if (errno != EFAULT) GTEST_SKIP() << "skipped: the kernel offers no io_uring";
  const Seen seen = measure();
  EXPECT_EQ(seen.run.verdict, record::Verdict::clean);
  EXPECT_THAT(seen.columns, Contains("io_uring"));
  EXPECT_THAT(seen.notes, Not(Contains(HasSubstr("io_uring"))));
}

}  // namespace
}  // namespace lockstep
