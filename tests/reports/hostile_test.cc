// hostile_test.cc: text that wants to be more than text, in every format.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "engine/record/exploration.h"
#include "engine/record/known_rows.h"
#include "engine/record/moments.h"
#include "reports/escape.h"
#include "reports/history_html.h"
#include "reports/json_object.h"
#include "reports/report.h"
#include "tests/cli/sample_runs.h"
#include "tests/engine/record/recording.h"

namespace lockstep::reports {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kHostile =
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&`|*_[x](javascript:1)\x1b[31m\xff\u202e";

/// A run in which everything that can be text is hostile.
record::Run hostile_run() {
  record::Run run = cli::samples::two_lock();
  run.id.clear();
  for (std::string* text :
       {&run.scenario, &run.title, &run.store, &run.store_version, &run.protocol, &run.pattern, &run.executor,
        &run.schedule, &run.summary, &run.why, &run.fix, &run.fix_command, &run.command, &run.started_at}) {
    *text = kHostile;
  }
  run.actors = {kHostile, "=" + kHostile};
  run.invariants = {{kHostile, false, kHostile}};
  run.outcomes.faults = {{kHostile, 1}};
  run.cycles = {{kHostile}};
  run.environment = {{kHostile, kHostile}};
  run.documents[record::kMomentsDocument] = record::to_json(
      record::Moments{.given = {{kHostile, kHostile}}, .locks = {{.since = 1, .held = {{0, kHostile, kHostile}}}}});
  run.documents[record::kKnownRowsDocument] = record::to_json(record::KnownRows{.untold = kHostile});
  record::ExplorationSummary search;
  search.strategy = search.model = kHostile;
  search.grain = {kHostile};
  search.findings.emplace_back().what = kHostile;
  search.findings.back().run = search.findings.back().schedule = kHostile;
  run.documents[record::kExplorationDocument] = record::to_json(search);
  for (record::Event& event : run.events) event.detail = event.object = "=cmd|' /C calc'!A0" + kHostile;
  return run;
}

class Hostile : public testing::Test {
 protected:
  void SetUp() override {
    record::Run run = hostile_run();
    const auto saved = record::save(run, folder_.path());
    ASSERT_TRUE(saved.ok()) << saved.error().message;
    auto recording = OpenRecording::open(*saved, cli::samples::holds_of);
    ASSERT_TRUE(recording.ok()) << recording.error().message;
    report_.recordings.push_back(std::move(*recording));
  }

  TemporaryFolder folder_;
  Report report_;
};

TEST_F(Hostile, IsTextOnThePage) {
  report_.recordings.push_back(report_.recordings.front());  // side by side too
  const std::string page =
      html_report(report_, {.version = kHostile, .nonce = "n", .links = {{{kHostile, kHostile}}, {}}});
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\u202e")));
  // As many ends of scripts as scripts of ours: one a run for its data, and the page's own.
  const std::regex end("</script");
  EXPECT_EQ(std::distance(std::sregex_iterator(page.begin(), page.end(), end), std::sregex_iterator()), 3);
  // Nothing of it became an attribute.
  EXPECT_THAT(page, Not(HasSubstr(" onerror=alert(2)>\"")));
}

TEST(HostileHistory, IsTextOnThePage) {
  JudgedHistory history;
  history.file = history.model = history.counts = history.command = history.weakest_broken = kHostile;
  history.asked = {{kHostile, HistoryAnswer::unknown, kHostile}};
  history.levels = {{kHostile, kHostile, history.asked[0], history.asked[0], history.asked[0]}};
  history.anomalies = {{kHostile, {kHostile}, {{kHostile, "b", kHostile}, {"b", kHostile, kHostile}}, {kHostile}},
                       {kHostile, {kHostile, "  " + kHostile}, {}, {}}};
  history.transactions = {{kHostile, kHostile, kHostile, kHostile, {kHostile}}};
  history.strongest_holding = history.rules = history.notes = {kHostile};
  const std::string page = history_page(history, kHostile, "n");
  EXPECT_THAT(page, HasSubstr("class=\"edge cyc\"")) << "the picture is there";
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\u202e")));
  const std::regex end("</script");
  EXPECT_EQ(std::distance(std::sregex_iterator(page.begin(), page.end(), end), std::sregex_iterator()), 1);
  EXPECT_THAT(page, Not(HasSubstr(" onerror=alert(2)>\"")));
}

TEST_F(Hostile, IsTextInMarkdown) {
  std::string text = markdown_report(report_);
  EXPECT_THAT(text, HasSubstr("| 1 |"));
  // In code, between backquotes or after four spaces, nothing is markup.
  text = std::regex_replace(text, std::regex("``[^\n]*``|\n    [^\n]*"), "");
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_THAT(text, Not(HasSubstr("[x](")));
}

TEST_F(Hostile, IsNoFormulaInCsv) {
  std::string text;
  ASSERT_TRUE(csv_report(report_, [&text](std::string_view piece) { text += piece; }).ok());
  EXPECT_THAT(text, Not(HasSubstr(",=")));
  EXPECT_THAT(text, Not(HasSubstr(",\"=")));
  EXPECT_THAT(text, HasSubstr("'=cmd"));
}

TEST_F(Hostile, IsTextInJsonTraceAndJUnit) {
  std::string text, trace;
  ASSERT_TRUE(json_report(report_, [&text](std::string_view piece) { text += piece; }).ok());
  ASSERT_TRUE(trace_report(report_, [&trace](std::string_view piece) { trace += piece; }).ok());
  const auto json = nlohmann::json::parse(text);
  EXPECT_THAT(json["runs"][0]["scenario"].get<std::string>(), StartsWith("</script><script>alert(1)"));
  EXPECT_GT(nlohmann::json::parse(trace)["traceEvents"].size(), 10u);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_THAT(junit_report(report_), Not(HasSubstr("<script")));
}

TEST(JsonObject, WritesEveryCharacterAsTheLibraryDoes) {
  for (int c = 0; c < 256; ++c) {
    const std::string one(1, static_cast<char>(c));
    std::string text;
    JsonObject(text, "a", one);  // ends at once
    EXPECT_EQ(text, harmless({{"a", one}})) << c;
  }
}

TEST(JsonObject, IsWhatTheLibraryWrites) {
  std::string text;
  {
    JsonObject json(text, "plain", "2pl-detect");
    json.text("script", "</script>&\"\\").text("control", "\x1b\u202e").text("bytes", "\xff").text("wide", "日本");
    json.number("most", UINT64_MAX).number("least", INT64_MIN).decimal("us", 12.3456).null("fault");
    json.array("others", std::vector<int>{1, 0},
               [&](int one) { one == 0 ? json.append_null() : json.append_text("T<1>"); });
    json.object("args").text("for", "");
  }
  const nlohmann::ordered_json same = {
      {"plain", "2pl-detect"}, {"script", "</script>&\"\\"},  {"control", "\x1b\u202e"}, {"bytes", "\xff"},
      {"wide", "日本"},        {"most", UINT64_MAX},          {"least", INT64_MIN},      {"us", 12.346},
      {"fault", nullptr},      {"others", {"T<1>", nullptr}}, {"args", {{"for", ""}}}};
  EXPECT_EQ(text, harmless(same));
}

TEST(Escape, KnowsItsPlaces) {
  EXPECT_EQ(html("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(harmless({{"a\"\\</script>", "\x1b"}}), "{\"a\\\"\\\\\\u003c/script\\u003e\":\"\\\\x1b\"}");
  EXPECT_EQ(csv("plain"), "plain");
  EXPECT_EQ(csv("a,b\"c"), "\"a,b\"\"c\"");
  EXPECT_EQ(csv("=1+1"), "'=1+1");
  EXPECT_EQ(csv(" @x"), "' @x");
  EXPECT_EQ(markdown("a|b*c"), "a\\|b\\*c");
  EXPECT_EQ(markdown("1. no list"), "1. no list");
  EXPECT_EQ(markdown("- no list"), "\\- no list");
  EXPECT_EQ(markdown_code("a`b"), "``a`b``");
}

}  // namespace
}  // namespace lockstep::reports
