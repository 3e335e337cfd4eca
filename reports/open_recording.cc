// open_recording.cc: decides how much of a recording is shown.
#include "reports/open_recording.h"

namespace lockstep::reports {

Result<OpenRecording> OpenRecording::open(const std::string& path, HoldsOf holds_of) {
  OpenRecording recording;
  recording.path = path;
  Result<record::Reader> reader = record::Reader::salvage(path, recording.wrong);
  if (!reader) return reader.error();
  recording.run = reader->run();
  recording.events = reader->events();
  const auto note = [&recording](const Result<void>& read) {
    if (!read && recording.wrong.empty()) recording.wrong = read.error().message;
  };
  if (recording.events <= kEventsWhole) {
    note(reader->each_event([&recording](const record::EventView& event) {
      recording.run.events.push_back(event.copy());
      return true;
    }));
    recording.rows = lane_rows(recording.run, holds_of);
    recording.spans = spans_of(recording.rows);
    if (recording.spans.size() <= kSpansWhole) return recording;
    recording.rows.clear();
    recording.spans.clear();
    recording.run.events.clear();
  }
  note(summary_of(*reader, recording.summary.emplace()));
  return recording;
}

}  // namespace lockstep::reports
