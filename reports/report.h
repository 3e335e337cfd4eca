// report.h: recordings in, files out. Reads recordings only; never runs anything.
//
// Not thread-safe. What is written goes to a Sink piece by piece, so that a format which lists every event needs no
// memory for it.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"
#include "reports/open_recording.h"
#include "reports/run_html.h"

namespace lockstep::reports {

enum class Format { html, markdown, csv, json, junit, trace };

struct FormatInfo {
  Format format;
  std::string_view name;  ///< as people type it: "md"
  std::string_view file;  ///< "report.md"
  std::string_view what;  ///< "events as CSV"
};

const std::array<FormatInfo, 6>& formats();
const FormatInfo* format_named(std::string_view name);

struct Options {
  std::string version;  ///< of the program
  std::string nonce;    ///< of the page's script; letters and digits, made by chance
  /// Of each recording: the files beside the page. As many as there are recordings, or none.
  std::vector<std::vector<Link>> links = {};
  Pages pages = {};  ///< of the cells of a matrix
};

/// What is reported: one run, or several side by side; with `baseline`, the first is what the others are compared with.
struct Report {
  std::vector<OpenRecording> recordings;
  bool baseline = false;
};

using Sink = std::function<void(std::string_view)>;

std::string html_report(const Report& report, const Options& options);
std::string markdown_report(const Report& report);
/// A suite with a test case for each run: passed when its verdict was the expected one.
std::string junit_report(const Report& report);

/// These read the events of each recording again, one by one. An error when a recording gives out on the way; what
/// came before has been written, and the JSON and the trace are closed properly.
Result<void> csv_report(const Report& report, const Sink& sink);
Result<void> json_report(const Report& report, const Sink& sink);
/// Chrome's trace event format, for Perfetto or chrome://tracing. A run is a process, an actor a thread, an operation a
/// slice; inside it stands one for its wait.
Result<void> trace_report(const Report& report, const Sink& sink);

}  // namespace lockstep::reports
