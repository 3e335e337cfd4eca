// run.h: one finished run as data: its coordinates, its events in their total order, its outcomes and its verdict.
// This is what a recording holds and the only thing that reports read.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::record {

/// What kind of thing happened. The names in recordings are the enumerators.
enum class EventKind : std::uint8_t {
  request,    ///< an actor issues an operation: verb, object, detail
  wait,       ///< the operation waits: `others` = the actors that it waits for
  grant,      ///< the operation succeeded; detail = what came back; others empty
  fault,      ///< the operation did not succeed: fault, code, detail = message
  release,    ///< something held was given back outside an operation of its own: object
  cycle,      ///< a cycle of waits was closed: others = the actors in order, detail = how it is broken
  retry,      ///< the actor starts its body again: detail = the attempt's number
  finish,     ///< the actor's body ended: detail empty, or the fault it ended with
  time,       ///< virtual time jumped: detail = how far and why
  invariant,  ///< an invariant was checked: object = its text, detail = "held" or "broken: values"
  note,       ///< something worth saying: detail
  figure,     ///< something measured: object = the row and verb = the column of a table, detail = "2.4 us"
  notice,     ///< the store said something to an actor: verb = how grave ("NOTICE"), detail = its text
};

std::string_view name_of(EventKind kind) noexcept;
std::optional<EventKind> event_kind_named(std::string_view name) noexcept;

/// The actor of an event that no single actor caused.
inline constexpr int kNobody = -1;

struct Event {
  std::uint64_t seq = 0;   ///< total order, from 1, without gaps
  std::int64_t at_ns = 0;  ///< run clock since the start of the run (virtual or real: Run::virtual_time)
  int actor = kNobody;     ///< index into Run::actors
  std::uint32_t step =
      0;  ///< the number of the operation in the run, from 1; events of one operation share it; 0 = none
  EventKind kind = EventKind::note;
  std::string verb = {};            ///< "begin", "read", "read_for_update", "write", "commit", "lock", "execute" …
  std::string object = {};          ///< the key, lock or statement
  std::string detail = {};          ///< see EventKind
  std::optional<Fault> fault = {};  ///< with EventKind::fault and ::finish
  std::string code = {};            ///< SQLSTATE or SQLite code; empty when there is none
  std::vector<int> others = {};     ///< indices into Run::actors
  /// What belongs to it besides, by name. Of a request "sql": what was sent for a portable verb; "limit": of a scan
  /// that has one. Of a wait "lock": the server's words for what is awaited. Of a grant or a fault "results": whole, as
  /// JSON (results.h). Of a fault or a notice what the server said (Error::facts).
  Facts facts = {};
};

/// The fact of that name; empty when there is none.
std::string_view fact_of(const Event& event, std::string_view name) noexcept;

enum class Verdict : std::uint8_t { clean, deadlock, abort, timeout, anomaly, avoided, starved, hung, error, crashed };
inline constexpr Verdict kLastVerdict = Verdict::crashed;

std::string_view name_of(Verdict verdict) noexcept;
std::optional<Verdict> verdict_named(std::string_view name) noexcept;

struct Invariant {
  std::string text;
  bool held = true;
  std::string detail;  ///< the values seen, when it was broken
};

struct Outcomes {
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t retries = 0;
  std::map<std::string, std::uint64_t> faults;  ///< by name_of(Fault)
};

/// How the run ended as a whole.
enum class Ending : std::uint8_t {
  complete,     ///< every actor ended
  stuck,        ///< nobody could go on; the actors were told to stop
  interrupted,  ///< ^C
  unavailable,  ///< the store failed in mid-run
};

std::string_view name_of(Ending ending) noexcept;
std::optional<Ending> ending_named(std::string_view name) noexcept;

/// The store of a run of in-process locks alone, and its protocol.
inline constexpr std::string_view kNoStore = "none";
inline constexpr std::string_view kNoProtocol = "none";

/// The document of a run that a mistake in the program itself has ended, such as a table that does not exist: who, and
/// what the store said, as {"actor", "fault", "code", "said"}. Such a run is never as expected.
inline constexpr const char* kProgramErrorDocument = "program-error";

struct Run {
  std::string id;  ///< 12 hexadecimal digits; given by save() when empty
  std::string scenario;
  std::string title;
  std::string store;  ///< "kv", "sqlite", "postgres", or "none" for in-process locks alone
  std::string store_version;
  std::string protocol;
  std::string pattern;
  std::string executor;
  std::string schedule;  ///< as run: "free", or the actors in the order of their steps
  std::uint64_t seed = 0;
  bool virtual_time = false;
  std::vector<std::string> actors;

  Verdict verdict = Verdict::clean;
  std::optional<Verdict> expected;  ///< nullopt when the scenario says nothing about these coordinates
  Ending ending = Ending::complete;
  std::string summary;  ///< one line for people: "found and broken: 1 victim, 1 retry"
  std::string why;
  std::string fix;  ///< one sentence
  std::string fix_command;
  Outcomes outcomes;
  std::vector<std::vector<std::string>> cycles;  ///< actors' names in order
  std::vector<std::string> victims;
  std::vector<Invariant> invariants;

  double wall_ms = 0;
  std::string started_at;                          ///< UTC, ISO 8601
  std::string command;                             ///< the command line that gives this run again
  std::map<std::string, std::string> environment;  ///< compiler, cores, kernel, server settings …
  std::vector<Event> events;
  /// What belongs to the run beside its events, as JSON by name: "state-graph" (state_graph.h).
  std::map<std::string, std::string> documents;

  bool as_expected() const { return (!expected || *expected == verdict) && !documents.contains(kProgramErrorDocument); }
};

/// What `lockstep runs` shows of a saved run.
struct SavedRun {
  std::string id, scenario, store, protocol, pattern, executor, started_at, path;
  Verdict verdict = Verdict::clean;
  bool as_expected = true;
  std::uint64_t events = 0;
};

/// The version of the recorded file's schema (SQLite's user_version).
inline constexpr int kSchemaVersion = 3;

/// Writes `run` to FOLDER/ID/run.sqlite, creating the folder; gives the path. The file appears whole or not at all
/// (written beside, then renamed); a run that was saved before is replaced. Fault::permission, disk_full or io with the
/// path in the message. Fault::invalid for events that are out of order or of unknown actors, or an id that is none.
Result<std::string> save(Run& run, const std::string& folder);

/// Reads a recording. Fault::invalid for a file that is not one, cut short, or of another schema version (said which).
Result<Run> load(const std::string& path);

/// The saved runs, oldest first (by started_at, then by when they were written); unreadable ones are passed over, each
/// with a sentence in `unreadable`. A folder that does not exist holds none. 2,000 runs take about a third of a second.
Result<std::vector<SavedRun>> list(const std::string& folder, std::vector<std::string>* unreadable = nullptr);

/// The path of the one run with an id that starts with `prefix`; Fault::invalid when none or several do (named).
Result<std::string> find(const std::string& folder, std::string_view prefix);

}  // namespace lockstep::record
