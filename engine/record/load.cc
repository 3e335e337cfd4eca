// load.cc: reads a whole recording back, after SQLite's own check of the file.
#include "engine/record/open.h"
#include "engine/record/reader.h"
#include "engine/record/run.h"

namespace lockstep::record {

Result<Run> load(const std::string& path) {
  Result<Reader> reader = Reader::open(path);
  if (!reader) return reader.error();
  {
    sqlite::Statement row(reader->database(), "PRAGMA quick_check(1)");
    if (row.next() && row.text(0) != "ok") return damaged(path, row.text(0));
  }
  Run run = reader->run();
  const auto read = reader->each_event([&run](const EventView& event) {
    run.events.push_back(event.copy());
    return true;
  });
  if (!read) return read.error();
  return run;
}

}  // namespace lockstep::record
