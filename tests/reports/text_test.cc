// text_test.cc: text from anywhere, made fit to be shown.
#include "reports/text.h"

#include <gmock/gmock.h>

namespace lockstep::reports {
namespace {

using testing::ElementsAre;

TEST(Text, CountsColumnsOfWideAndCombiningCharacters) {
  const struct {
    const char* text;
    std::size_t width;
  } examples[] = {{"", 0},  {"abc", 3}, {"é", 1},  {"e\u0301", 1}, {"日本", 4}, {"🔒", 2},    {"▒┃●", 3},
                  {"ｱ", 1}, {"한", 2},  {"⏳", 2}, {"❤\ufe0f", 1}, {"का", 2},   {"\u0601", 1}};
  for (const auto& [text, width] : examples) EXPECT_EQ(columns(text), width) << text;
}

TEST(Text, MakesControlCharactersVisible) {
  EXPECT_EQ(neutral("a\x1b[31mred\x1b[0m"), "a\\x1b[31mred\\x1b[0m");
  EXPECT_EQ(neutral("bell\a del\x7f nul" + std::string(1, '\0')), "bell\\x07 del\\x7f nul\\x00");
  EXPECT_EQ(neutral("one\ntwo\r\n\tthree"), "one two three");
  EXPECT_EQ(neutral("C1 \u009b31m"), "C1 \\u{9b}31m");
}

TEST(Text, MakesHiddenAndReorderingCharactersVisible) {
  EXPECT_EQ(neutral("a\u202e\u2066b\u200bc\ufeff"), "a\\u{202e}\\u{2066}b\\u{200b}c\\u{feff}");
  EXPECT_EQ(neutral("\u2028\u2065\ue000\U000e0041\U000f0000"), "\\u{2028}\\u{2065}\\u{e000}\\u{e0041}\\u{f0000}");
  EXPECT_EQ(neutral("❤\ufe0f \u0601"), "❤\ufe0f \u0601") << "these can be seen, or belong to what can";
}

TEST(Text, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(neutral("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(neutral("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(neutral("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(neutral("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(neutral("cut \xe6\x97"), "cut \\xe6\\x97");
}

TEST(Text, FindsAsciiForWhatTextsUse) {
  EXPECT_EQ(to_ascii("T1→T2 — “safe” … ≥ 3 ✓"), "T1->T2 -- \"safe\" ... >= 3 v");
  EXPECT_EQ(to_ascii("日本"), "??");
}

TEST(Text, ShortensAtCharactersAndSaysSo) {
  EXPECT_EQ(shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(shortened("abcdefg", 6), "abcde…");
  EXPECT_EQ(shortened("日本語", 5), "日本…");
  EXPECT_EQ(shortened("日本語", 4), "日…") << "a wide character is not cut in half";
  EXPECT_EQ(shortened("abc def", 5), "abc…");
  EXPECT_EQ(shortened("abcdefg", 5, "..."), "ab...");
  EXPECT_EQ(shortened("abc", 0), "");
}

TEST(Text, WrapsAtSpacesAndCutsWordsThatAreTooLong) {
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("abcdefghij k", 4), ElementsAre("abcd", "efgh", "ij k"));
  EXPECT_THAT(wrapped("", 10), ElementsAre(""));
  EXPECT_THAT(wrapped("日本語", 1), ElementsAre("日本語")) << "what cannot fit is left alone, and it ends";
}

TEST(Text, PadsToColumnsAndCounts) {
  EXPECT_EQ(padded("日", 4) + "|", "日  |");
  EXPECT_EQ(counted(1, "retry", "retries"), "1 retry");
  EXPECT_EQ(counted(0, "retry", "retries"), "0 retries");
}

}  // namespace
}  // namespace lockstep::reports
