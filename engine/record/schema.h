// schema.h: the tables of a recording, to be read with the sqlite3 shell or another program.
//
//   sqlite3 lockstep-runs/7f3a…/run.sqlite 'SELECT * FROM waits'
//
// A recording is an ordinary SQLite database with application_id 0x4C4B5354 ("LKST") and user_version kSchemaVersion.
// It never changes once it has its name. Text is kept byte for byte as the run had it. Names of enumerators (kinds,
// verdicts, endings, faults) are those of run.h and kv/base/result.h.
//
// Tables
//   run           one row: the coordinates, the verdict and the counts of the run
//     id            12 hexadecimal digits, also the name of the folder
//     scenario, title, store, store_version, protocol, pattern, executor, schedule   the coordinates
//     seed          decimal digits (text: it has 64 bits without a sign)
//     virtual_time  1: times are of the run's own clock; 0: of the machine's
//     verdict       what happened;  expected: what should have, NULL when the scenario does not say
//     as_expected   1 or 0
//     ending        complete, stuck, interrupted, unavailable
//     summary, why, fix, fix_command   sentences for people
//     committed, aborted, retries      transactions
//     wall_ms       duration of the whole run on the machine's clock, milliseconds
//     started_at    UTC, ISO 8601
//     command       the command line that gives this run again
//     events        how many rows `event` has
//   actor         the actors: idx from 0, name ("T1")
//   event         everything that happened, in one total order
//     seq           1, 2, 3 …
//     at_ns         nanoseconds since the start of the run
//     actor         actor.idx; NULL: no single actor caused it
//     step          number of the operation in the run, shared by its events; NULL: belongs to no operation
//     kind          request, wait, grant, fault, release, cycle, retry, finish, time, invariant, note, figure, notice
//     verb, object, detail   what was asked, on what, and what came of it
//     fault         NULL when it went well;  code: SQLSTATE or SQLite's code, '' when there is none
//   event_other   the other actors of an event: of a wait those waited for, of a cycle its members in order
//     seq           event.seq;  position: 0, 1, 2 …;  actor: actor.idx, NULL: somebody outside the run
//   event_fact    what belongs to an event besides (run.h, Event::facts)
//     seq           event.seq;  position: 0, 1, 2 …;  name: sql, lock, results, detail, constraint …;  value
//   outcome_fault how often an operation ended with each fault
//   cycle         the cycles of waits: cycle and position from 0; actor is a name; the last waits for the first
//   victim        the actors that were given up to break a cycle: position from 0; actor is a name
//   invariant     position from 0, text, held (1 or 0), detail: the values seen when it was broken
//   environment   name and value: compiler, cores, kernel, settings of the store …
//   document      name and content, JSON: what belongs to the run beside its events, such as "state-graph"
//                 (state_graph.h) of an explored scenario, "matrix" (matrix.h), "comparison" (comparison.h)
//
// Views
//   timeline      event with names instead of numbers, milliseconds instead of nanoseconds
//   steps         one row an operation: its actor, what, when asked, when ended, how long it waited and for which
//                 actors, its outcome
//   waits         one row a wait: its actor, on what, for which actors, how long, how it ended (NULL: it never did)
//
// Questions
//   which waits were the longest    SELECT actor, object, waits_for, waited_ms FROM waits
//                                   ORDER BY waited_ms DESC LIMIT 5;
//   what an actor did               SELECT ms, verb, object, detail, fault FROM timeline WHERE actor = 'T1';
//   which operations failed         SELECT actor, verb, object, fault, code FROM steps WHERE fault IS NOT NULL;
//   time lost to each object        SELECT object, sum(waited_ms) FROM waits GROUP BY object ORDER BY 2 DESC;
//   what the server said            SELECT seq, name, value FROM event_fact WHERE name = 'detail';
//   was it as expected              SELECT verdict, expected, as_expected FROM run;
#pragma once

namespace lockstep::record {

/// SQLite's application_id of a recording: "LKST".
inline constexpr int kApplicationId = 0x4C4B5354;

/// The oldest version of the schema that is still read; what it lacks is empty.
inline constexpr int kOldestSchemaRead = 1;

/// The statements that make an empty recording, with a comment on every table; they stay readable through `.schema`.
extern const char* const kSchema;

/// Made after the rows are in, because an index that is filled at once is smaller and quicker than one that grows.
extern const char* const kSchemaIndexes;

}  // namespace lockstep::record
