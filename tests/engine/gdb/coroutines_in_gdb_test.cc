// coroutines_in_gdb_test.cc: what a debugger reads of suspended coroutines (engine/task/coroutines.h), read the same
// way: as bytes, from the list of roots on. The script that does it in gdb is tested in
// tests/cli/commands/debug_test.cc.
#include "engine/task/coroutines.h"

#include <gmock/gmock.h>

#include <cstring>

#include "engine/runtime/runtime.h"

namespace lockstep {
namespace {

using debugging::Coroutine;
using debugging::CoroutineGroup;
using debugging::TaskFrame;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// As lockstep.py reads it.
struct Where {
  const char* file;
  const char* function;
  unsigned line;
};

Where where_of(const std::source_location& at) {
  const Where* where = nullptr;
  std::memcpy(&where, &at, sizeof where);
  return *where;
}

std::string name_of(const Coroutine& coroutine) {
  return coroutine.label + (coroutine.number == 0 ? std::string() : " " + std::to_string(coroutine.number));
}

/// Lines of this file in which the tasks stand, innermost first.
std::vector<unsigned> stack_of(const Coroutine& coroutine) {
  std::vector<unsigned> lines;
  for (const TaskFrame* frame = coroutine.innermost; frame != nullptr; frame = frame->awaiter) {
    const Where where = where_of(frame->at);
    if (std::string_view(where.file).ends_with("coroutines_in_gdb_test.cc")) lines.push_back(where.line);
  }
  return lines;
}

std::vector<const Coroutine*> members_of(const CoroutineGroup* group) {
  std::vector<const Coroutine*> members;
  for (const Coroutine* each = group == nullptr ? nullptr : group->first; each != nullptr; each = each->next)
    members.push_back(each);
  return members;
}

struct Lines {
  static constexpr unsigned sleeps = __LINE__ + 1;
  static Task<> sleep_for_ever() { co_await runtime::sleep_for(std::chrono::hours(1)); }
  static constexpr unsigned calls = __LINE__ + 1;
  static Task<> worker() { co_await sleep_for_ever(); }
  static Task<> begin(runtime::Group& group, std::vector<std::string>* seen) {
    for (std::uint32_t i = 1; i <= 2; ++i) group.spawn(worker(), {"worker", i});
    co_await runtime::yield();
    look(*seen);
    group.cancel();
  }
  static Task<> root(std::vector<std::string>* seen) { co_await runtime::with_group(begin, seen); }

  static void look(std::vector<std::string>& seen) {
    const std::vector<const Coroutine*> roots = members_of(lockstep_coroutines.first);
    ASSERT_EQ(roots.size(), 1u);
    EXPECT_EQ(name_of(*roots.front()), "root");
    EXPECT_THAT(stack_of(*roots.front()), IsEmpty());  // it runs: it is the one who looks
    for (const Coroutine* const child : members_of(roots.front()->groups)) {
      EXPECT_THAT(stack_of(*child), ElementsAre(sleeps, calls)) << name_of(*child);
      EXPECT_THAT(where_of(child->innermost->at).function, HasSubstr("sleep_for_ever"));
      seen.push_back(name_of(*child));
    }
  }
};

TEST(CoroutinesInGdb, ALocationIsLaidOutAsTheScriptReadsIt) {
  const std::source_location here = std::source_location::current();
  const Where where = where_of(here);
  EXPECT_EQ(where.file, here.file_name());
  EXPECT_EQ(where.function, here.function_name());
  EXPECT_EQ(where.line, here.line());
}

TEST(CoroutinesInGdb, ATreeOfStrandsIsInTheListWhileItRuns) {
  std::vector<std::string> seen;
  EXPECT_TRUE(runtime::run(Lines::root(&seen)).ok());
  EXPECT_THAT(seen, ElementsAre("worker 2", "worker 1"));
  EXPECT_EQ(lockstep_coroutines.first, nullptr);
}

Task<> fails_while_it_has_a_group(runtime::Strand* self) {
  runtime::Group group(*self);
  co_await fail(Fault::refused, "and the group is in its frame");
}
Task<> root_that_fails() {
  runtime::Strand& self = co_await runtime::this_strand();
  runtime::Group outer(self);
  (void)co_await tried(fails_while_it_has_a_group(&self));
  EXPECT_EQ(self.groups->next, nullptr);  // the inner one has gone with its frame
  co_await fail(Fault::refused);
}

TEST(CoroutinesInGdb, ATaskThatFailsTakesItsGroupsAlong) {
  EXPECT_EQ(runtime::run(root_that_fails()).fault(), Fault::refused);
  EXPECT_EQ(lockstep_coroutines.first, nullptr);
}

}  // namespace
}  // namespace lockstep
