// open_recording.h: one recording, opened for a report: whole when short, in numbers when long, and what is left of it
// when damaged.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/record/run.h"
#include "reports/lane_rows.h"
#include "reports/run_summary.h"
#include "reports/spans.h"

namespace lockstep::reports {

/// Runs with more events than this, or with more spans than the next, are shown in numbers.
inline constexpr std::uint64_t kEventsWhole = 20'000;
inline constexpr std::size_t kSpansWhole = 2'000;

struct OpenRecording {
  std::string path;   ///< of the recording
  std::string wrong;  ///< what is the matter with it; empty: nothing
  record::Run run;    ///< its events only when the run is shown whole
  std::uint64_t events = 0;
  std::vector<LaneRow> rows;  ///< when it is shown whole
  std::vector<Span> spans;
  std::optional<RunSummary> summary;  ///< when it is not

  bool whole() const noexcept { return !summary.has_value(); }

  /// Fault::invalid when not even the coordinates can be read.
  static Result<OpenRecording> open(const std::string& path, HoldsOf holds_of);
};

}  // namespace lockstep::reports
