// statement_text_test.cc: words of statements, and errors of requests.
#include "engine/store/statement_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(StatementText, FirstWordsStandBehindBlanksAndComments) {
  EXPECT_THAT(first_words("  Begin Transaction", {"--"}), ElementsAre("begin", "transaction"));
  EXPECT_THAT(first_words("-- why\n/* how */ ; COMMIT and chain no more", {"--"}),
              ElementsAre("commit", "and", "chain"));
  EXPECT_THAT(first_words("# why\ncommit", {"--", "#"}), ElementsAre("commit"));
  EXPECT_THAT(first_words("# why\ncommit", {"--"}), IsEmpty()) << "no comment there, and no word";
  EXPECT_THAT(first_words("/* without an end", {"--"}), IsEmpty());
  EXPECT_THAT(first_words("", {"--"}), IsEmpty());
}

TEST(StatementText, ContainsTextInEitherCase) {
  EXPECT_TRUE(contains_text("set Lock_Timeout = 5", "_timeout"));
  EXPECT_FALSE(contains_text("set lock = 5", "_timeout"));
}

TEST(StatementText, RowsAreToldOfWhatLooksForThem) {
  EXPECT_TRUE(tells_rows("update t set n = 1"));
  EXPECT_TRUE(tells_rows("/* why */ WITH a as (select 1) select * from a"));
  EXPECT_FALSE(tells_rows("begin"));
  EXPECT_FALSE(tells_rows("Commit;"));
  EXPECT_FALSE(tells_rows("create table updates (n int)"));
  EXPECT_FALSE(tells_rows(""));
}

TEST(StatementText, ErrorsNameTheRequestInOneLine) {
  EXPECT_EQ(request_error(Fault::deadlock, "1213", {.verb = Verb::write, .key = "A"}, " one\n two \n").message,
            "write A: one; two; a retry is safe");
  const std::string sql(61, 'x');
  EXPECT_EQ(request_error(Fault::outcome_unknown, "", {.verb = Verb::execute, .key = sql}, "gone").message,
            std::string(60, 'x') + "...: gone; whether it took effect is unknown");
}

}  // namespace
}  // namespace lockstep
