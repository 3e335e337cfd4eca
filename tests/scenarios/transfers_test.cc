// transfers_test.cc: sessions that are threads are as many as the machine has room for, and the others are said.
#include "scenarios/runtime/transfers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace lockstep::scenarios {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// Lowers `ulimit -u` while it lives.
class FewProcesses {
 public:
  explicit FewProcesses(rlim_t most) {
    ::getrlimit(RLIMIT_NPROC, &before_);
    const rlimit few{.rlim_cur = most, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NPROC, &few);
  }
  ~FewProcesses() { ::setrlimit(RLIMIT_NPROC, &before_); }
  FewProcesses(const FewProcesses&) = delete;
  FewProcesses& operator=(const FewProcesses&) = delete;

 private:
  rlimit before_{};
};

Loaded transfer_on_threads(kv::Store& store, int sessions) {
  const Loaded loaded = transfers_on_threads(store, {.sessions = sessions, .transfers_each = 2});
  EXPECT_EQ(loaded.committed, 2U * static_cast<unsigned>(loaded.sessions));
  EXPECT_FALSE(loaded.failed);
  return loaded;
}

TEST(Transfers, AreMadeByAsManyThreadsAsThereIsRoomFor) {
  const auto store = kv::Store::open({.protocol = "2pl-detect"});
  ASSERT_TRUE(store.ok() && fill(**store, 100));
  {
    const FewProcesses few(80);
    EXPECT_EQ(thread_room().threads, 60U) << thread_room().why;
    const Loaded loaded = transfer_on_threads(**store, 100);
    EXPECT_LE(loaded.sessions, 60);  // fewer where this user's processes are many already
    EXPECT_THAT(loaded.why_fewer, loaded.sessions == 60 ? HasSubstr("ulimit -u is 80") : HasSubstr("the system says"));
  }
  const Loaded loaded = transfer_on_threads(**store, 4);
  EXPECT_EQ(loaded.sessions, 4);
  EXPECT_THAT(loaded.why_fewer, IsEmpty());
  EXPECT_EQ(total(**store), 2 * 100 * 1'000);
}

}  // namespace
}  // namespace lockstep::scenarios
