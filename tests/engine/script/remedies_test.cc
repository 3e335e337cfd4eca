// remedies_test.cc: patterns that are made of a file: what they ask, and that they can be read.
#include "engine/script/remedies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "engine/explore/explore.h"
#include "engine/script/script.h"

namespace lockstep::script {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kTransfers = R"(# Two transfers
setup { create table accounts (id int primary key, balance int); }
T1: begin
T1: update accounts set balance = balance - 10 where id = 1
T2: begin
T2: update accounts set balance = balance - 20 where id = 2
T1: update accounts set balance = balance + 10 where id = 2
T2: update accounts set balance = balance + 20 where id = 1
T1: commit
T2: commit
)";

std::vector<MendingPattern> made_of(const std::string& text) {
  const spec::ParsedSpec parsed = spec::parse("case.spec", text);
  EXPECT_TRUE(parsed.file) << parsed.complaint.what;
  if (!parsed.file) return {};
  std::vector<MendingPattern> made = remedies(*parsed.file, parsed.file->patterns.front());
  for (const MendingPattern& each : made) {
    const spec::ParsedSpec again = spec::parse("case.spec", text + each.text);
    EXPECT_TRUE(again.file) << each.name << ": " << again.complaint.what;
  }
  return made;
}

std::optional<MendingPattern> named(const std::vector<MendingPattern>& made, const std::string& name) {
  for (const MendingPattern& each : made) {
    if (each.name == name) return each;
  }
  return std::nullopt;
}

TEST(Remedies, TakeRowsInOneOrder) {
  const std::vector<MendingPattern> made = made_of(kTransfers);
  const std::optional<MendingPattern> in_order = named(made, "in-order");
  ASSERT_TRUE(in_order);
  const std::size_t first = in_order->text.find("T2: update accounts set balance = balance + 20 where id = 1");
  const std::size_t second = in_order->text.find("T2: update accounts set balance = balance - 20 where id = 2");
  ASSERT_NE(first, std::string::npos);
  EXPECT_LT(first, second);
}

TEST(Remedies, LockWhatWillBeChanged) {
  const std::optional<MendingPattern> locks = named(made_of(kTransfers), "locks-first");
  ASSERT_TRUE(locks);
  EXPECT_THAT(locks->text, HasSubstr("T2: begin\nT2: select * from accounts where id = 1 for update\n"
                                     "T2: select * from accounts where id = 2 for update\n"));
}

TEST(Remedies, DoNotPassWhatAStepNeeds) {
  const std::vector<MendingPattern> made = made_of(
      "given A = 1, B = 2\nT1: begin\nT1: read B -> b\nT1: write A = b\nT1: commit\n"
      "T2: begin\nT2: read_for_update B -> b\nT2: read_for_update A -> a\nT2: write B = a + b\nT2: commit\n");
  const std::optional<MendingPattern> in_order = named(made, "in-order");
  ASSERT_TRUE(in_order);
  EXPECT_THAT(in_order->text, HasSubstr("T1: read B -> b\n"));
  EXPECT_LT(in_order->text.find("T1: read B"), in_order->text.find("T1: write A = b"));
  EXPECT_LT(in_order->text.find("T2: read_for_update A"), in_order->text.find("T2: read_for_update B"));
}

TEST(Remedies, LockOnReadOnlyWhatIsChangedLater) {
  const std::optional<MendingPattern> locked = named(
      made_of("given A = 1, B = 2\nT1: begin\nT1: read A -> a\nT1: read B -> b\nT1: write A = a + b\nT1: commit\n"),
      "lock-on-read");
  ASSERT_TRUE(locked);
  EXPECT_THAT(locked->text, HasSubstr("T1: read_for_update A -> a\nT1: read B -> b\n"));
}

TEST(Remedies, OfPermutationsThereAreNone) {
  EXPECT_THAT(made_of("session s1\nstep a { select 1 }\nsession s2\nstep b { select 2 }\npermutation a b\n"),
              IsEmpty());
}

TEST(Remedies, HelpInEveryOrder) {
  const std::string text =
      "given A = 100, B = 100\nT1: begin\nT1: add A -10\nT2: begin\nT2: add B -20\nT1: add B 10\nT2: add A 20\n"
      "T1: commit\nT2: commit\n";
  for (const MendingPattern& each : made_of(text)) {
    if (each.name != "in-order" && each.name != "locks-first") continue;
    const auto script = Script::made_of(*spec::parse("case.spec", text + each.text).file);
    ASSERT_TRUE(script.ok());
    const Result<Exploration> found =
        explore((*script)->scenario(), {.run = {.store = "kv", .protocol = "2pl-detect", .pattern = each.name}});
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_TRUE(found->complete);
    EXPECT_EQ(found->share_ending(record::Verdict::clean), 1) << each.text;
  }
}

TEST(Difference, KeepsTheLongestCommonPart) {
  EXPECT_THAT(difference("a\nb\nc\n", "b\nc\nd\n"), ElementsAre("- a", "  b", "  c", "+ d"));
  EXPECT_THAT(difference("", "a\n"), ElementsAre("+ a"));
  EXPECT_THAT(difference("a\n", "a\n"), ElementsAre("  a"));
}

}  // namespace
}  // namespace lockstep::script
