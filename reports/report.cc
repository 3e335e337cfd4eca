// report.cc: the formats by name.
#include "reports/report.h"

#include <algorithm>

namespace lockstep::reports {

const std::array<FormatInfo, 6>& formats() {
  static constexpr std::array<FormatInfo, 6> kAll = {{
      {Format::html, "html", "report.html", "the page"},
      {Format::markdown, "md", "report.md", "the page in Markdown, without pictures"},
      {Format::csv, "csv", "events.csv", "every event as CSV"},
      {Format::json, "json", "report.json", "everything as JSON"},
      {Format::junit, "junit", "junit.xml", "verdicts against expectations as JUnit XML"},
      {Format::trace, "trace", "trace.json", "every span, for a trace viewer (Perfetto, chrome://tracing)"},
  }};
  return kAll;
}

const FormatInfo* format_named(std::string_view name) {
  const auto& all = formats();
  const auto found = std::find_if(all.begin(), all.end(), [name](const FormatInfo& info) { return info.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace lockstep::reports
