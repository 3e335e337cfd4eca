// report_test.cc: what the formats say of a run, short, long or damaged.
#include "reports/report.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/sample_runs.h"
#include "tests/engine/record/recording.h"

namespace lockstep::reports {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string text_of(const std::function<Result<void>(const Sink&)>& render) {
  std::string text;
  EXPECT_TRUE(render([&text](std::string_view piece) { text += piece; }).ok());
  return text;
}

class Reports : public testing::Test {
 protected:
  std::string save(record::Run run) {
    const auto saved = record::save(run, folder_.path());
    EXPECT_TRUE(saved.ok()) << (saved ? "" : saved.error().message);
    return saved ? *saved : std::string();
  }
  Report report_of(const std::vector<std::string>& paths) {
    Report report;
    for (const std::string& path : paths) {
      auto recording = OpenRecording::open(path, cli::samples::holds_of);
      EXPECT_TRUE(recording.ok()) << (recording ? "" : recording.error().message);
      if (recording) report.recordings.push_back(std::move(*recording));
    }
    return report;
  }
  static std::string page(const Report& report) {
    return html_report(report, {.version = "1", .nonce = "n", .links = {}});
  }

  TemporaryFolder folder_;
};

/// `transactions` of one actor each after the other, every second one waits for another actor.
record::Run long_run(std::size_t transactions) {
  cli::samples::Story story({"T1", "T2"});
  for (std::size_t i = 0; i < transactions; ++i) {
    const std::string key = "account/" + std::to_string(i % 7);
    story.does(0, "begin").does(0, "read_for_update", key, "", "100");
    story.does(1, "begin").asks(1, "read_for_update", key).waits(1, {0});
    story.does(0, "commit").grants(1, "100").does(1, "commit");
  }
  record::Run run = story.take();
  record::Run sample = cli::samples::two_lock();
  sample.id.clear();
  sample.actors = run.actors;
  sample.events = std::move(run.events);
  return sample;
}

TEST_F(Reports, APageOfARunHasItsPartsInTheirOrder) {
  const std::string text = page(report_of({save(cli::samples::two_lock())}));
  std::size_t at = 0;
  for (const char* part : {"DEADLOCK", "The lesson", "Step through it", "Lanes", "The cycle", "Aborts by cause",
                           "Environment and command", "Raw data"}) {
    const std::size_t found = text.find(part, at);
    ASSERT_NE(found, std::string::npos) << part;
    at = found;
  }
  EXPECT_THAT(text, HasSubstr("as expected ✓"));
  EXPECT_THAT(text, HasSubstr("lockstep run deadlock/two-lock --pattern ordered"));
  for (const char* fetched : {"src=", "href=\"http", "url(http", "@import", "fetch("}) {
    EXPECT_THAT(text, Not(HasSubstr(fetched)));
  }
}

TEST_F(Reports, WhatARunHasMeasuredIsATable) {
  record::Run run = cli::samples::two_lock();
  run.id.clear();
  for (const char* column : {"poll", "epoll"})
    run.events.push_back({.kind = record::EventKind::figure, .verb = column, .object = "<10>", .detail = "0.9 us"});
  for (std::size_t i = 0; i < run.events.size(); ++i) run.events[i].seq = i + 1;
  const Report report = report_of({save(std::move(run))});
  EXPECT_THAT(page(report), HasSubstr("Figures"));
  EXPECT_THAT(page(report), HasSubstr("&lt;10&gt;"));
  EXPECT_THAT(markdown_report(report), HasSubstr("| measured | poll | epoll |"));
  EXPECT_THAT(markdown_report(report), HasSubstr("| 0.9 us | 0.9 us |"));
}

TEST_F(Reports, TwoThousandSpansStayBelowAMegabyte) {
  const Report report = report_of({save(long_run(660))});
  ASSERT_TRUE(report.recordings[0].whole());
  EXPECT_GT(report.recordings[0].spans.size(), 1900u);
  EXPECT_LT(page(report).size(), 1'000'000u);
}

TEST_F(Reports, ALongerRunIsShownInNumbers) {
  const Report report = report_of({save(long_run(1500))});
  const OpenRecording& recording = report.recordings[0];
  ASSERT_FALSE(recording.whole());
  EXPECT_EQ(recording.summary->events, recording.events);
  EXPECT_EQ(recording.summary->actors[1].waits, 1500u);
  EXPECT_EQ(recording.summary->actors[0].commits, 1500u);
  EXPECT_EQ(recording.summary->objects.size(), 7u);
  EXPECT_EQ(recording.summary->longest.size(), kLongestKept);
  EXPECT_EQ(recording.summary->waits.count(), 1500u);
  const std::string text = page(report);
  EXPECT_THAT(text, HasSubstr("Activity over time"));
  EXPECT_THAT(text, HasSubstr("--format trace"));
  EXPECT_LT(text.size(), 200'000u);
}

TEST_F(Reports, WhatIsLeftOfARecordingThatIsCutShortIsShown) {
  const std::string path = save(long_run(300));
  const auto size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size / 2);
  const Report report = report_of({path});
  const OpenRecording& recording = report.recordings[0];
  EXPECT_THAT(recording.wrong, HasSubstr("it is cut short"));
  EXPECT_GT(recording.run.events.size(), 100u);
  EXPECT_LT(recording.run.events.size(), recording.events);
  EXPECT_THAT(page(report), HasSubstr("This recording is damaged"));
  EXPECT_FALSE(nlohmann::json::parse(text_of([&](const Sink& sink) { return json_report(report, sink); })).empty());
}

TEST_F(Reports, ARecordingOfWhichNothingIsLeftIsRefused) {
  const std::string path = save(cli::samples::two_lock());
  std::filesystem::resize_file(path, 200);
  const auto recording = OpenRecording::open(path, cli::samples::holds_of);
  ASSERT_FALSE(recording.ok());
  EXPECT_THAT(recording.error().message, HasSubstr("it is cut short"));
}

TEST_F(Reports, SeveralRunsStandSideBySideAndAgainstABaseline) {
  record::Run other = cli::samples::two_lock();
  other.id = "aaaaaaaaaaaa";
  other.protocol = "2pl-wait-die";
  other.verdict = record::Verdict::clean;
  other.outcomes.retries = 5;
  other.events.pop_back();
  Report report = report_of({save(cli::samples::two_lock()), save(other)});
  EXPECT_THAT(page(report), HasSubstr("Side by side"));
  report.baseline = true;
  const std::string text = page(report);
  EXPECT_THAT(text, HasSubstr("Against the baseline"));
  EXPECT_THAT(text, HasSubstr("<b>≠ 5</b>"));
  EXPECT_THAT(text, HasSubstr("from event " + std::to_string(other.events.size() + 1) + " on"));
  EXPECT_THAT(markdown_report(report),
              HasSubstr("| `aaaaaaaaaaaa` | deadlock/two-lock | kv 2pl-wait-die plain | ✓ clean |"));
}

TEST_F(Reports, JUnitFailsWhatWasNotExpected) {
  record::Run wrong = cli::samples::two_lock();
  wrong.id = "bbbbbbbbbbbb";
  wrong.expected = record::Verdict::clean;
  const std::string xml = junit_report(report_of({save(cli::samples::two_lock()), save(wrong)}));
  EXPECT_THAT(xml, HasSubstr("tests=\"2\" failures=\"1\""));
  EXPECT_THAT(xml, HasSubstr("deadlock: not as expected ✗: expected clean"));
}

TEST_F(Reports, JsonAndTraceHoldEveryEvent) {
  const Report report = report_of({save(cli::samples::two_lock())});
  const auto json = nlohmann::json::parse(text_of([&](const Sink& sink) { return json_report(report, sink); }));
  const std::size_t events = report.recordings[0].run.events.size();
  ASSERT_EQ(json["runs"][0]["events"].size(), events);
  EXPECT_EQ(json["runs"][0]["events"][0]["actor"], "T1");
  const auto trace = nlohmann::json::parse(text_of([&](const Sink& sink) { return trace_report(report, sink); }));
  std::size_t waits = 0;
  for (const auto& each : trace["traceEvents"]) waits += each.value("cat", "") == "wait" ? 1 : 0;
  EXPECT_EQ(waits, 2u);
  const std::string csv = text_of([&](const Sink& sink) { return csv_report(report, sink); });
  EXPECT_EQ(static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n')), events + 1);
}

}  // namespace
}  // namespace lockstep::reports
