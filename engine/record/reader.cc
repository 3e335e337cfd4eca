// reader.cc: whatever the file holds, what is given out is sound (numbers in their ranges, names that exist), or one
// sentence says why not.
#include "engine/record/reader.h"

#include <fmt/format.h>

#include <charconv>

#include "engine/record/files.h"
#include "engine/record/open.h"

namespace lockstep::record {
namespace {

using sqlite::Database;
using sqlite::Statement;

std::uint64_t count(const Statement& row, int column) { return static_cast<std::uint64_t>(row.integer(column)); }

}  // namespace

Event EventView::copy() const {
  Event event;
  event.seq = seq;
  event.at_ns = at_ns;
  event.actor = actor;
  event.step = step;
  event.kind = kind;
  event.verb = verb;
  event.object = object;
  event.detail = detail;
  event.fault = fault;
  event.code = code;
  event.others = *others;
  event.facts = *facts;
  return event;
}

void Reader::complain(std::string why) {
  if (wrong_.empty()) wrong_ = std::move(why);
}

template <class T>
T Reader::known(std::optional<T> value, std::string_view what, std::string_view name) {
  if (!value) complain(fmt::format("unknown {} \"{}\"", what, name));
  return value.value_or(T{});
}

int Reader::actor_at(const Statement& row, int column) {
  if (row.is_null(column)) return kNobody;
  const std::int64_t index = row.integer(column);
  if (index < 0 || index >= static_cast<std::int64_t>(run_.actors.size())) {
    complain(fmt::format("there is no actor {}", index));
    return kNobody;
  }
  return static_cast<int>(index);
}

void Reader::read_run() {
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

void Reader::read_lists() {
  if (!sound()) return;
  for (Statement row(database_, "SELECT name FROM actor ORDER BY idx"); row.next();) run_.actors.push_back(row.text(0));
  for (Statement row(database_, "SELECT fault, count FROM outcome_fault"); row.next();) {
    const std::string name = row.text(0);
    const std::optional<Fault> fault = fault_named(name);
    run_.outcomes.faults[fault ? std::string(name_of(*fault)) : name] += count(row, 1);
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
  // Version 1 had no documents, and is the same in all else.
  if (Statement row(database_, "PRAGMA user_version"); row.next()) version_ = row.integer(0);
  if (version_ < 2) return;
  for (Statement row(database_, "SELECT name, content FROM document"); row.next();)
    run_.documents[row.text(0)] = row.text(1);
}

Error Reader::failure() const {
  if (database_.failed()) {
    const Error error = database_.error("cannot read the recording");
    // A disk that fails is not a file that is wrong.
    return is_environment(error.fault) && error.fault != Fault::internal ? error : damaged(path_, error.message);
  }
  return damaged(path_, wrong_);
}

Result<void> Reader::read_header() {
  read_run();
  read_lists();
  if (!sound()) return failure();
  return {};
}

Result<Reader> Reader::open(const std::string& path) {
  Result<Database> database = open_recording(path);
  if (!database) return database.error();
  Reader reader(std::move(*database), path);
  if (auto read = reader.read_header(); !read) return read.error();
  return reader;
}

Result<Reader> Reader::salvage(const std::string& path, std::string& wrong) {
  Result<Reader> whole = open(path);
  if (whole) return whole;
  wrong = whole.error().message;
  Result<Database> database = open_damaged(path);
  if (!database) return whole.error();
  Reader reader(std::move(*database), path);
  reader.read_run();
  if (!is_id(reader.run_.id)) return whole.error();
  // A list that cannot be read is left as far as it came. Events may be there all the same.
  reader.read_lists();
  if (reader.sound()) return reader;
  Result<Database> again = open_damaged(path);
  if (!again) return whole.error();
  reader.database_ = std::move(*again);
  reader.wrong_.clear();
  return reader;
}

Result<void> Reader::each_event(const std::function<bool(const EventView&)>& visit) {
  if (!sound()) return failure();
  Statement row(database_,
                "SELECT seq, at_ns, actor, step, kind, verb, object, detail, fault, code FROM event ORDER BY seq");
  Statement other(database_, "SELECT seq, actor FROM event_other ORDER BY seq, position");
  bool more_others = other.next();
  // Versions 1 and 2 had no facts.
  Statement fact(database_, version_ < 3 ? "SELECT 0, '', '' WHERE 0"
                                         : "SELECT seq, name, value FROM event_fact ORDER BY seq, position");
  bool more_facts = fact.next();
  std::vector<int> others;
  Facts facts;
  EventView event;
  event.others = &others;
  event.facts = &facts;
  std::uint64_t visited = 0;
  while (row.next() && sound()) {
    event.seq = count(row, 0);
    if (event.seq != visited + 1) complain(fmt::format("event {} follows {}", event.seq, visited));
    event.at_ns = row.integer(1);
    event.actor = actor_at(row, 2);
    event.step = static_cast<std::uint32_t>(row.integer(3));
    const std::string_view kind = row.view(4);
    event.kind = known(event_kind_named(kind), "kind of event", kind);
    event.verb = row.view(5);
    event.object = row.view(6);
    event.detail = row.view(7);
    event.fault.reset();
    if (!row.is_null(8)) event.fault = known(fault_named(row.view(8)), "fault", row.view(8));
    event.code = row.view(9);
    others.clear();
    for (; more_others && count(other, 0) <= event.seq; more_others = other.next()) {
      if (count(other, 0) < event.seq) complain(fmt::format("there is no event {}", count(other, 0)));
      others.push_back(actor_at(other, 1));
    }
    facts.clear();
    for (; more_facts && count(fact, 0) <= event.seq; more_facts = fact.next()) {
      if (count(fact, 0) < event.seq) complain(fmt::format("there is no event {}", count(fact, 0)));
      facts.emplace_back(fact.text(1), fact.text(2));
    }
    if (!sound()) return failure();
    ++visited;
    if (!visit(event)) return {};
  }
  if (more_others && !database_.failed()) complain(fmt::format("there is no event {}", count(other, 0)));
  if (more_facts && !database_.failed()) complain(fmt::format("there is no event {}", count(fact, 0)));
  if (visited != events_) complain(fmt::format("{} events of {}", visited, events_));
  if (!sound()) return failure();
  return {};
}

}  // namespace lockstep::record
