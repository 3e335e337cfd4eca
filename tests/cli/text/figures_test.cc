// figures_test.cc: what a run measured is a table that fits the terminal, and a list in JSON.
#include "cli/text/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/text/json.h"

namespace lockstep::cli {
namespace {

record::Run measured(std::initializer_list<std::array<const char*, 3>> cells) {
  record::Run run;
  for (const auto& [row, column, value] : cells) {
    run.events.push_back({.kind = record::EventKind::figure, .verb = column, .object = row, .detail = value});
  }
  return run;
}

std::string table(const record::Run& run, std::size_t width) {
  Terminal terminal;
  terminal.width = width;
  terminal.colour = false;
  return str(figures(run, terminal), terminal);
}

TEST(Figures, AreATableInTheOrderInWhichTheyCame) {
  const record::Run run = measured({{"10 descriptors", "poll", "0.90 us"},
                                    {"10 descriptors", "epoll", "0.70 us"},
                                    {"10000 descriptors", "poll", "520 us"}});
  EXPECT_EQ(table(run, 80),
            "\n"
            "                         poll    epoll\n"
            "   10 descriptors     0.90 us  0.70 us\n"
            "   10000 descriptors   520 us\n"
            "\n");
}

TEST(Figures, PutWhatDoesNotFitBelow) {
  const record::Run run = measured({{"row", "first column", "1 us"}, {"row", "second column", "2 us"}});
  EXPECT_EQ(table(run, 24),
            "\n"
            "        first column\n"
            "   row          1 us\n"
            "\n"
            "        second column\n"
            "   row           2 us\n"
            "\n");
}

TEST(Figures, AreNothingWhereNothingWasMeasured) { EXPECT_EQ(table(record::Run{}, 80), ""); }

TEST(Figures, AreInTheJsonOfARunThatHasMeasured) {
  const std::string with = run_json(measured({{"10 descriptors", "poll", "0.90 us"}}), "");
  EXPECT_THAT(
      with, testing::HasSubstr(
                R"("figures":[{"row":"10 descriptors","column":"poll","value":"0.90 us","number":0.9,"unit":"us"}])"));
  EXPECT_THAT(run_json(record::Run{}, ""), testing::Not(testing::HasSubstr("figures")));
}

}  // namespace
}  // namespace lockstep::cli
