// reader.h: a recording read bit by bit: the run without its events at once, then the events one after another. So ten
// million events need no memory.
//
// Not thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/record/run.h"
#include "engine/record/sqlite.h"

namespace lockstep::record {

/// One event as it lies in the file. Views are good until the visitor returns.
struct EventView {
  std::uint64_t seq = 0;
  std::int64_t at_ns = 0;
  int actor = kNobody;
  std::uint32_t step = 0;  ///< 0 = none
  EventKind kind = EventKind::note;
  std::string_view verb, object, detail, code;
  std::optional<Fault> fault;
  const std::vector<int>* others = nullptr;  ///< never null
  const Facts* facts = nullptr;              ///< never null

  Event copy() const;
};

class Reader {
 public:
  /// Opens the recording and reads all but its events. Fault::invalid for a file that is not one, damaged, cut short or
  /// of another schema version.
  static Result<Reader> open(const std::string& path);

  /// As open(), but takes what is left of a recording that is cut short or damaged. `wrong` says what is the matter
  /// with it, or stays empty. Fails when not even the run's coordinates can be read.
  static Result<Reader> salvage(const std::string& path, std::string& wrong);

  /// Without events.
  const Run& run() const noexcept { return run_; }
  /// How many events the run says it has.
  std::uint64_t events() const noexcept { return events_; }
  const std::string& path() const noexcept { return path_; }

  /// Calls `visit` with every event, in order, until it answers false. Fault::invalid at the first that cannot be read:
  /// those before it have been visited.
  Result<void> each_event(const std::function<bool(const EventView&)>& visit);

  /// The database itself, for questions of one's own.
  sqlite::Database& database() noexcept { return database_; }

 private:
  Reader(sqlite::Database database, std::string path) : database_(std::move(database)), path_(std::move(path)) {}

  Result<void> read_header();
  void read_run();
  void read_lists();
  int actor_at(const sqlite::Statement& row, int column);
  bool sound() const noexcept { return wrong_.empty() && !database_.failed(); }
  void complain(std::string why);
  Error failure() const;
  template <class T>
  T known(std::optional<T> value, std::string_view what, std::string_view name);

  sqlite::Database database_;
  std::string path_;
  Run run_;
  std::uint64_t events_ = 0;
  std::int64_t version_ = kSchemaVersion;  ///< of the file's schema
  std::string wrong_;                      ///< the first thing that makes no sense
};

}  // namespace lockstep::record
