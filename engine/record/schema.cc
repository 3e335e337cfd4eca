// schema.cc: the statements behind schema.h. Any change here that a reader can notice raises kSchemaVersion.
#include "engine/record/schema.h"

namespace lockstep::record {

const char* const kSchema = R"sql(
CREATE TABLE run ( -- one row: coordinates, verdict and counts
  id            TEXT    NOT NULL PRIMARY KEY, -- 12 hexadecimal digits
  scenario      TEXT    NOT NULL,
  title         TEXT    NOT NULL,
  store         TEXT    NOT NULL, -- kv, sqlite, postgres, none
  store_version TEXT    NOT NULL,
  protocol      TEXT    NOT NULL,
  pattern       TEXT    NOT NULL,
  executor      TEXT    NOT NULL, -- threads, coroutines
  schedule      TEXT    NOT NULL, -- free, or the actors in the order of their steps
  seed          TEXT    NOT NULL, -- decimal, 64 bits without a sign
  virtual_time  INTEGER NOT NULL, -- 1: the times are of the run's own clock
  verdict       TEXT    NOT NULL,
  expected      TEXT,             -- NULL: the scenario says nothing about these coordinates
  as_expected   INTEGER NOT NULL,
  ending        TEXT    NOT NULL, -- complete, stuck, interrupted, unavailable
  summary       TEXT    NOT NULL,
  why           TEXT    NOT NULL,
  fix           TEXT    NOT NULL,
  fix_command   TEXT    NOT NULL,
  committed     INTEGER NOT NULL, -- transactions
  aborted       INTEGER NOT NULL, -- transactions
  retries       INTEGER NOT NULL,
  wall_ms       REAL    NOT NULL, -- milliseconds of the machine's clock
  started_at    TEXT    NOT NULL, -- UTC, ISO 8601
  command       TEXT    NOT NULL, -- gives this run again
  events        INTEGER NOT NULL  -- rows of the table event
);
CREATE TABLE actor ( -- the actors by index
  idx  INTEGER PRIMARY KEY, -- from 0
  name TEXT NOT NULL
);
CREATE TABLE event ( -- everything that happened, in one total order
  seq    INTEGER PRIMARY KEY, -- 1, 2, 3 ...
  at_ns  INTEGER NOT NULL,    -- nanoseconds since the start of the run
  actor  INTEGER REFERENCES actor(idx), -- NULL: no single actor caused it
  step   INTEGER,             -- number of the operation; NULL: none
  kind   TEXT NOT NULL,       -- request wait grant fault release cycle retry finish time invariant note figure notice
  verb   TEXT NOT NULL,
  object TEXT NOT NULL,
  detail TEXT NOT NULL,
  fault  TEXT,                -- NULL: it went well
  code   TEXT NOT NULL        -- SQLSTATE or SQLite's code; '': none
);
CREATE TABLE event_other ( -- the other actors of an event: whom a wait waits for, the members of a cycle
  seq      INTEGER NOT NULL REFERENCES event(seq),
  position INTEGER NOT NULL, -- from 0
  actor    INTEGER REFERENCES actor(idx), -- NULL: somebody outside the run
  PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE TABLE event_fact ( -- what belongs to an event besides
  seq      INTEGER NOT NULL REFERENCES event(seq),
  position INTEGER NOT NULL, -- from 0
  name     TEXT NOT NULL,    -- sql, lock, results, primary, detail, hint, table, constraint ...
  value    TEXT NOT NULL,
  PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE TABLE outcome_fault ( -- how often an operation ended with each fault
  fault TEXT NOT NULL PRIMARY KEY,
  count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE cycle ( -- the cycles of waits; the last actor of a cycle waits for its first
  cycle    INTEGER NOT NULL, -- from 0
  position INTEGER NOT NULL, -- from 0
  actor    TEXT NOT NULL,    -- a name
  PRIMARY KEY (cycle, position)
) WITHOUT ROWID;
CREATE TABLE victim ( -- who was given up
  position INTEGER PRIMARY KEY, -- from 0
  actor    TEXT NOT NULL        -- a name
);
CREATE TABLE invariant ( -- what had to hold
  position INTEGER PRIMARY KEY, -- from 0
  text     TEXT NOT NULL,
  held     INTEGER NOT NULL, -- 1 or 0
  detail   TEXT NOT NULL     -- the values seen when it was broken
);
CREATE TABLE environment ( -- compiler, cores, kernel, settings of the store ...
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE document ( -- what belongs to the run beside its events
  name    TEXT NOT NULL PRIMARY KEY, -- state-graph ...
  content TEXT NOT NULL              -- JSON
);

CREATE VIEW timeline AS -- event, for people
  SELECT e.seq, e.at_ns / 1e6 AS ms, a.name AS actor, e.step, e.kind, e.verb, e.object, e.detail, e.fault, e.code,
         (SELECT group_concat(name, ' ') FROM
            (SELECT coalesce(b.name, '(outside)') AS name FROM event_other o LEFT JOIN actor b ON b.idx = o.actor
              WHERE o.seq = e.seq ORDER BY o.position)) AS others
    FROM event e LEFT JOIN actor a ON a.idx = e.actor;
CREATE VIEW waits AS -- one row a wait; waited_ms and ended are NULL when it never ended
  SELECT w.seq, w.step, w.actor, w.verb, w.object, w.others AS waits_for, w.ms AS since_ms,
         e.at_ns / 1e6 - w.ms AS waited_ms, coalesce(e.fault, e.kind) AS ended
    FROM timeline w LEFT JOIN event e ON e.seq =
         (SELECT min(n.seq) FROM event n WHERE n.step = w.step AND n.seq > w.seq
             AND n.kind IN ('wait', 'grant', 'fault'))
   WHERE w.kind = 'wait';
CREATE VIEW steps AS -- one row an operation; ended_ms and outcome are NULL when it never ended
  SELECT r.step, r.actor, r.verb, r.object, r.ms AS asked_ms, d.at_ns / 1e6 AS ended_ms,
         (d.at_ns - w.at_ns) / 1e6 AS waited_ms, (SELECT t.others FROM timeline t WHERE t.seq = w.seq) AS waits_for,
         d.kind AS outcome, d.detail, d.fault, d.code
    FROM timeline r
    LEFT JOIN event d ON d.seq = (SELECT min(n.seq) FROM event n WHERE n.step = r.step AND n.kind IN ('grant', 'fault'))
    LEFT JOIN event w ON w.seq = (SELECT min(n.seq) FROM event n WHERE n.step = r.step AND n.kind = 'wait')
   WHERE r.kind = 'request';
)sql";

const char* const kSchemaIndexes = "CREATE INDEX event_step ON event(step, seq) WHERE step IS NOT NULL;";

}  // namespace lockstep::record
