// svg_test.cc: the pictures of a report against those that were looked at.
#include <gmock/gmock.h>

#include <regex>

#include "reports/charts.h"
#include "reports/lanes_svg.h"
#include "reports/player.h"
#include "reports/wait_svg.h"
#include "tests/cli/sample_runs.h"
#include "tests/reports/golden.h"

namespace lockstep::reports {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string lanes_of(const record::Run& run) {
  const auto rows = lane_rows(run, cli::samples::holds_of);
  return lanes_svg(run, rows, spans_of(rows), "g");
}

TEST(Svg, DrawsTheLanesOfADeadlock) { expect_golden("two_lock_lanes.svg", lanes_of(cli::samples::two_lock())); }

TEST(Svg, DrawsTheLanesOfThoseWhoWaitForEver) {
  expect_golden("philosophers_lanes.svg", lanes_of(cli::samples::philosophers(5)));
}

TEST(Svg, DrawsTheCycle) { expect_golden("two_lock_cycle.html", cycle_picture(cli::samples::two_lock(), "g")); }

TEST(Svg, DrawsCurves) {
  const Axes axes{
      .x_title = "share", .y_title = "ms", .x_ticks = {{0, "p50"}, {1, "p99"}, {2, "p99.9"}}, .log_y = true};
  expect_golden("curves.svg",
                curves_svg({{"for-update", {{0, 3.8}, {1, 24.1}, {2, 51}}}, {"plain", {{0, 3.7}, {1, 24.0}, {2, 52}}}},
                           axes, "Latency", "Percentiles.", "g"));
}

TEST(Svg, SetsTheNamesOfCurvesApartThatEndAtOnePlace) {
  std::vector<Curve> curves;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) curves.push_back({name, {{0, 1}, {1, 5}}});
  const std::string svg =
      curves_svg(curves, {.x_title = "", .y_title = "", .x_ticks = {}, .log_y = false}, "t", "d", "g");
  const std::regex label("<text x=\"([0-9.]+)\" y=\"([0-9.]+)\">[a-f]<");
  std::vector<double> at;
  for (std::sregex_iterator i(svg.begin(), svg.end(), label), end; i != end; ++i) at.push_back(std::stod((*i)[2]));
  ASSERT_EQ(at.size(), 6u);
  std::sort(at.begin(), at.end());
  for (std::size_t i = 1; i < at.size(); ++i) EXPECT_GE(at[i] - at[i - 1], 15.9);
}

TEST(Svg, ACurveHasTheColourThatItWasGiven) {
  const std::string svg = curves_svg({{"b", {{0, 1}, {1, 2}}, 4}, {"a", {{0, 2}, {1, 3}}, 10}},
                                     {.x_title = "", .y_title = "", .x_ticks = {}, .log_y = false}, "t", "d", "g");
  EXPECT_THAT(svg, AllOf(HasSubstr("class=\"curve c4\""), HasSubstr("class=\"dot c4\""), Not(HasSubstr("curve c0"))));
}

TEST(Svg, LeavesOutAGraphOfTooManyNodes) {
  EXPECT_THAT(wait_svg(std::vector<GraphNode>(kNodesMost + 1), {}, "t", "d", "g"), IsEmpty());
  EXPECT_THAT(wait_svg({}, {}, "t", "d", "g"), IsEmpty());
  EXPECT_THAT(wait_svg(std::vector<GraphNode>(kNodesMost), {}, "t", "d", "g"), Not(IsEmpty()));
}

TEST(Svg, EveryPictureHasATitleAndADescription) {
  for (const std::string& svg :
       {lanes_of(cli::samples::two_lock()), bars_svg({{.label = "a", .value = 1, .text = "1"}}, "t", "d", "g"),
        columns_svg({{{1, 2}}, {"g"}, 1}, "t", "d", "g")}) {
    EXPECT_THAT(svg, HasSubstr("role=\"img\" aria-labelledby=\"g"));
    EXPECT_THAT(svg, HasSubstr("<title id=\"g"));
    EXPECT_THAT(svg, HasSubstr("<desc id=\"g"));
  }
}

TEST(Spans, TellWhoHeldAndWaitedForWhatFromWhereToWhere) {
  const auto rows = lane_rows(cli::samples::two_lock(), cli::samples::holds_of);
  const auto spans = spans_of(rows);
  ASSERT_EQ(spans.size(), 5u);  // the retry that nobody disturbed is one row
  EXPECT_EQ(spans[2].kind, Span::Kind::wait);
  EXPECT_EQ(spans[2].object, "B");
  EXPECT_EQ(spans[2].others, (std::vector<int>{1}));
  EXPECT_LT(spans[2].to, rows.size());
  const Standing standing = standing_after(rows, 2, telling_row(rows));
  EXPECT_EQ(rows[telling_row(rows)].mark, Mark::cycle);
  EXPECT_TRUE(standing.actors[0].waits);
  EXPECT_EQ(standing.actors[0].wanted, "B");
  ASSERT_EQ(standing.actors[1].held.size(), 1u);
  EXPECT_EQ(standing.actors[1].held[0].object, "B");
  for (const Standing::Actor& actor : standing_after(rows, 2, rows.size()).actors) {
    EXPECT_TRUE(actor.held.empty());
    EXPECT_FALSE(actor.waits);
  }
}

}  // namespace
}  // namespace lockstep::reports
