// subject.cc: decides how much of a recording is shown.
#include "reports/subject.h"

namespace lockstep::reports {

Result<Subject> Subject::open(const std::string& path) {
  Subject subject;
  subject.path = path;
  Result<record::Reader> reader = record::Reader::salvage(path, subject.wrong);
  if (!reader) return reader.error();
  subject.run = reader->run();
  subject.events = reader->events();
  const auto note = [&subject](const Result<void>& read) {
    if (!read && subject.wrong.empty()) subject.wrong = read.error().message;
  };
  if (subject.events <= kEventsWhole) {
    note(reader->each_event([&subject](const record::EventView& event) {
      subject.run.events.push_back(event.copy());
      return true;
    }));
    subject.rows = lane_rows(subject.run);
    subject.spans = spans_of(subject.rows);
    if (subject.spans.size() <= kSpansWhole) return subject;
    subject.rows.clear();
    subject.spans.clear();
    subject.run.events.clear();
  }
  note(digest_of(*reader, subject.digest.emplace()));
  return subject;
}

}  // namespace lockstep::reports
