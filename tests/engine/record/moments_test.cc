// moments_test.cc: the locks and rows of a run come back as they were written, and a damaged document is refused.
#include "engine/record/moments.h"

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace lockstep::record
