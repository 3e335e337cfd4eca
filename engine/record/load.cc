// load.cc: reads a recording back. Whatever the file holds, the answer is a Run that is sound (numbers in their ranges,
// names that exist) or one sentence.
#include <fmt/format.h>

#include <charconv>

#include "engine/record/files.h"
#include "engine/record/open.h"
#include "engine/record/run.h"

namespace lockstep::record {
namespace {

using sqlite::Database;
using sqlite::Statement;

/// Reads one recording; remembers the first thing that is wrong with it.
class Loader {
 public:
  Loader(Database& database, Run& run) : database_(database), run_(run) {}

  void read() {
    read_integrity();
    read_run();
    read_lists();
    read_events();
  }
  const std::string& wrong() const { return wrong_; }

 private:
  bool sound() const { return wrong_.empty() && !database_.failed(); }
  void complain(std::string why) {
    if (wrong_.empty()) wrong_ = std::move(why);
  }

  template <class T>
  T known(std::optional<T> value, std::string_view what, const std::string& name) {
    if (!value) complain(fmt::format("unknown {} \"{}\"", what, name));
    return value.value_or(T{});
  }

  std::uint64_t count(const Statement& row, int column) {
    const std::int64_t value = row.integer(column);
    return static_cast<std::uint64_t>(value);
  }

  int actor(const Statement& row, int column) {
    if (row.is_null(column)) return kNobody;
    const std::int64_t index = row.integer(column);
    if (index < 0 || index >= static_cast<std::int64_t>(run_.actors.size())) {
      complain(fmt::format("there is no actor {}", index));
      return kNobody;
    }
    return static_cast<int>(index);
  }

  void read_integrity() {
    Statement row(database_, "PRAGMA quick_check(1)");
    if (row.next() && row.text(0) != "ok") complain(row.text(0));
  }

  void read_run();
  void read_lists();
  void read_events();
  void read_others();

  Database& database_;
  Run& run_;
  std::uint64_t events_ = 0;  ///< how many the table `run` announces
  std::string wrong_;
};

void Loader::read_run() {
  if (!sound()) return;
  Statement row(database_,
                "SELECT id, scenario, title, store, store_version, protocol, pattern, executor, schedule, seed,"
                " virtual_time, verdict, expected, ending, summary, why, fix, fix_command, committed, aborted, retries,"
                " wall_ms, started_at, command, events FROM run");
  if (!row.next()) return complain("the table run is empty");
  int column = 0;
  for (std::string* text : {&run_.id, &run_.scenario, &run_.title, &run_.store, &run_.store_version, &run_.protocol,
                            &run_.pattern, &run_.executor, &run_.schedule}) {
    *text = row.text(column++);
  }
  const std::string seed = row.text(column++);
  const auto parsed = std::from_chars(seed.data(), seed.data() + seed.size(), run_.seed);
  if (parsed.ec != std::errc() || parsed.ptr != seed.data() + seed.size())
    complain(fmt::format("bad seed \"{}\"", seed));
  run_.virtual_time = row.integer(column++) != 0;
  const std::string verdict = row.text(column++);
  run_.verdict = known(verdict_named(verdict), "verdict", verdict);
  if (const std::string expected = row.text(column); !row.is_null(column)) {
    run_.expected = known(verdict_named(expected), "verdict", expected);
  }
  const std::string ending = row.text(++column);
  run_.ending = known(ending_named(ending), "ending", ending);
  for (std::string* text : {&run_.summary, &run_.why, &run_.fix, &run_.fix_command}) *text = row.text(++column);
  run_.outcomes.committed = count(row, ++column);
  run_.outcomes.aborted = count(row, ++column);
  run_.outcomes.retries = count(row, ++column);
  run_.wall_ms = row.real(++column);
  run_.started_at = row.text(++column);
  run_.command = row.text(++column);
  events_ = count(row, ++column);
  if (!is_id(run_.id)) complain(fmt::format("bad id \"{}\"", run_.id));
}

void Loader::read_lists() {
  if (!sound()) return;
  for (Statement row(database_, "SELECT name FROM actor ORDER BY idx"); row.next();) run_.actors.push_back(row.text(0));
  for (Statement row(database_, "SELECT fault, count FROM outcome_fault"); row.next();) {
    run_.outcomes.faults[row.text(0)] = count(row, 1);
  }
  for (Statement row(database_, "SELECT cycle, actor FROM cycle ORDER BY cycle, position"); row.next();) {
    const std::uint64_t cycle = count(row, 0);
    if (cycle > run_.cycles.size()) return complain(fmt::format("cycle {} follows {}", cycle, run_.cycles.size()));
    if (cycle == run_.cycles.size()) run_.cycles.emplace_back();
    run_.cycles[cycle].push_back(row.text(1));
  }
  for (Statement row(database_, "SELECT actor FROM victim ORDER BY position"); row.next();)
    run_.victims.push_back(row.text(0));
  for (Statement row(database_, "SELECT text, held, detail FROM invariant ORDER BY position"); row.next();) {
    run_.invariants.push_back({row.text(0), row.integer(1) != 0, row.text(2)});
  }
  for (Statement row(database_, "SELECT name, value FROM environment"); row.next();)
    run_.environment[row.text(0)] = row.text(1);
  for (Statement row(database_, "SELECT name, content FROM document"); row.next();)
    run_.documents[row.text(0)] = row.text(1);
}

void Loader::read_events() {
  if (!sound()) return;
  Statement row(database_,
                "SELECT seq, at_ns, actor, step, kind, verb, object, detail, fault, code FROM event ORDER BY seq");
  while (row.next() && sound()) {
    Event& event = run_.events.emplace_back();
    event.seq = count(row, 0);
    if (event.seq != run_.events.size())
      complain(fmt::format("event {} follows {}", event.seq, run_.events.size() - 1));
    event.at_ns = row.integer(1);
    event.actor = actor(row, 2);
    event.step = static_cast<std::uint32_t>(row.integer(3));
    const std::string kind = row.text(4);
    event.kind = known(event_kind_named(kind), "kind of event", kind);
    event.verb = row.text(5);
    event.object = row.text(6);
    event.detail = row.text(7);
    if (const std::string fault = row.text(8); !row.is_null(8)) event.fault = known(fault_named(fault), "fault", fault);
    event.code = row.text(9);
  }
  if (sound() && run_.events.size() != events_) {
    complain(fmt::format("{} events of {}", run_.events.size(), events_));
  }
  read_others();
}

void Loader::read_others() {
  if (!sound()) return;
  Statement row(database_, "SELECT seq, actor FROM event_other ORDER BY seq, position");
  while (row.next() && sound()) {
    const std::uint64_t seq = count(row, 0);
    if (seq == 0 || seq > run_.events.size()) return complain(fmt::format("there is no event {}", seq));
    run_.events[seq - 1].others.push_back(actor(row, 1));
  }
}

}  // namespace

Result<Run> load(const std::string& path) {
  Result<Database> database = open_recording(path);
  if (!database) return database.error();
  Run run;
  Loader loader(*database, run);
  loader.read();
  if (database->failed()) {
    const Error error = database->error("cannot read the recording");
    // A disk that fails is not a file that is wrong.
    return is_environment(error.fault) && error.fault != Fault::internal ? error : damaged(path, error.message);
  }
  if (!loader.wrong().empty()) return damaged(path, loader.wrong());
  return run;
}

}  // namespace lockstep::record
