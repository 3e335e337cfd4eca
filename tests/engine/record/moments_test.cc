// moments_test.cc: the locks and rows of a run come back as they were written, and a damaged document is refused.
#include "engine/record/moments.h"

#include <gmock/gmock.h>

#include "engine/record/known_rows.h"

namespace lockstep::record {
namespace {

using testing::HasSubstr;
using testing::Not;

Moments moments() {
  return {.given = {{"A", "100"}, {"B", "it's \"so\""}},
          .reads = ReadsSee::statement,
          .locks = {{.since = 4, .held = {{0, "A", "exclusive"}}}, {.since = 9, .held = {}}}};
}

TEST(Moments, ComeBackAsTheyWere) {
  const Result<Moments> read = moments_of(to_json(moments()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->given, moments().given);
  EXPECT_EQ(read->reads, ReadsSee::statement);
  ASSERT_EQ(read->locks.size(), 2U);
  EXPECT_EQ(read->locks[0].since, 4U);
  EXPECT_EQ(read->locks[0].held, moments().locks[0].held);
  EXPECT_TRUE(read->locks[1].held.empty());
}

TEST(Moments, RefuseWhatIsNoneInWordsOfTheirOwn) {
  const std::string whole = to_json(moments());
  std::string newer = whole;
  newer.replace(newer.find("\"version\":1"), 11, "\"version\":9");
  for (const std::string& text : {std::string(), std::string("{}"), whole.substr(0, whole.size() / 2), newer,
                                  std::string(R"({"format":"lockstep-moments","version":1,"given":[[1]]})")}) {
    const Result<Moments> read = moments_of(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.error().message, HasSubstr("the moments of the run cannot be read"));
    EXPECT_THAT(read.error().message, Not(HasSubstr("json.exception")));
  }
}

TEST(KnownRows, ComeBackAsTheyWere) {
  const KnownRows known{.by_times = true,
                        .asked_for_locks = true,
                        .reads_are_dirty = true,
                        .untold = "it's \"so\"",
                        .ends = std::vector<std::pair<std::string, std::string>>{{"A", "100"}, {"B", ""}}};
  const Result<KnownRows> read = known_rows_of(to_json(known));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(read->by_times && read->asked_for_locks && read->reads_are_dirty);
  EXPECT_EQ(read->untold, known.untold);
  EXPECT_EQ(read->ends, known.ends);
  const Result<KnownRows> plain = known_rows_of(to_json(KnownRows{}));
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_FALSE(plain->by_times || plain->asked_for_locks || plain->reads_are_dirty || plain->ends);
}

TEST(KnownRows, RefuseWhatIsNoneInWordsOfTheirOwn) {
  const std::string whole = to_json(KnownRows{});
  std::string newer = whole;
  newer.replace(newer.find("\"version\":1"), 11, "\"version\":9");
  for (const std::string& text : {std::string(), std::string("[]"), whole.substr(0, whole.size() / 2), newer,
                                  std::string(R"({"format":"lockstep-rows","version":1,"order":7})")}) {
    const Result<KnownRows> read = known_rows_of(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.error().message, HasSubstr("what is known of the rows cannot be read"));
    EXPECT_THAT(read.error().message, Not(HasSubstr("json.exception")));
  }
}

}  // namespace
}  // namespace lockstep::record
