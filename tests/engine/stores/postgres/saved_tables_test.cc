// saved_tables_test.cc: what a search restores is what a new set-up would have made: rows in their order, sequences,
// definitions, sessions; and whatever cannot be restored is made anew.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/run/run.h"
#include "engine/run/run_environment.h"
#include "engine/schedule/schedule.h"
#include "engine/script/script.h"
#include "engine/spec/spec_file.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::saved_tables {
namespace {

using postgres_testing::open_backend;
using postgres_testing::open_client;
using script::Script;

std::string text_of(const Table& table) {
  std::string text;
  for (const auto& row : table) {
    for (const auto& column : row) text += column.value_or("null") + "|";
    text += "\n";
  }
  return text;
}

/// What a statement gave, for comparing: its rows or its error.
std::string told(const Pending& done) {
  std::string text;
  for (const StatementResult& each : done.reply.results) text += each.tag + "\n" + text_of(each.rows);
  if (done.error) text += std::string(name_of(done.error->fault)) + " " + done.error->code;
  return text;
}

class SavedTables : public testing::Test {
 protected:
  void SetUp() override {
    dsn_ = postgres_testing::test_dsn();
    if (dsn_.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
  }

  std::unique_ptr<Backend> open(const std::string& tables) const {
    BackendOptions options{.protocol = "read-committed", .dsn = dsn_};
    options.own = {{"tables", tables}};
    return open_backend(options);
  }

  static std::string ask(Backend& backend, const std::string& sql) {
    const auto table = backend.query(sql);
    EXPECT_TRUE(table) << sql << ": " << table.error().message;
    return table ? text_of(*table) : std::string();
  }

  /// Everything that a scenario can see of its schema.
  static std::string everything(Backend& backend) {
    std::string all =
        ask(backend,
            "select c.relname, c.relkind, c.relpages, c.reltuples, case when c.relkind in ('r', 'i') then "
            "pg_relation_size(c.oid) end, a.attname, a.atttypid::regtype, a.attnotnull from pg_class c left "
            "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 where c.relnamespace = "
            "current_schema()::regnamespace order by 1, a.attnum");
    all += ask(backend,
               "select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = "
               "current_schema()::regnamespace order by 1");
    all +=
        ask(backend,
            "select t.tgname, t.tgenabled from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace "
            "= current_schema()::regnamespace and not t.tgisinternal order by 1");
    const auto tables = backend.query(
        "select quote_ident(relname), relkind from pg_class where relkind in ('r', 'S') and relnamespace = "
        "current_schema()::regnamespace order by 1");
    for (const auto& row : *tables) {
      all += *row[0] + "\n";
      all += ask(backend,
                 row[1] == "S" ? "select last_value, is_called from " + *row[0] : "select * from only " + *row[0]);
    }
    return all;
  }

  /// Of the tables: their numbers and those of their files.
  static std::pair<std::string, std::string> numbers(Backend& backend) {
    const std::string of =
        " from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace order by 1";
    return {ask(backend, "select oid" + of), ask(backend, "select relname, relfilenode" + of)};
  }

  std::string dsn_;
};

struct Step {
  int actor;
  std::string sql;
};

/// How the tables are had before the second order and those after it.
enum class How { rows, files, anew };

struct Case {
  const char* name;
  std::vector<std::string> ddl;
  std::vector<Step> steps;
  How how = How::rows;
};

void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }

const std::vector<std::string> kTwo = {
    "create table a (id int primary key, n int not null check (n >= 0), t text default 'x');"
    " create table b (id serial primary key, a_id int references a on delete cascade, u text unique)",
    "insert into a values (3, 30), (1, 10), (2, 20); insert into b (a_id, u) values (1, 'p'), (2, 'q')"};

std::vector<std::string> two_and(const std::string& more) {
  std::vector<std::string> ddl = kTwo;
  ddl.push_back(more);
  return ddl;
}

std::vector<Case> cases() {
  return {
      {"Changes",
       kTwo,
       {{0, "update a set n = n - 1 where id = 1"}, {1, "delete from a where id = 2"}, {0, "table a"}}},
      {"SerialColumns",
       kTwo,
       {{0, "insert into b (a_id, u) values (1, 'r') returning id"},
        {1, "insert into b (a_id, u) values (1, 's') returning id"}}},
      {"FailuresAndRollbacks",
       kTwo,
       {{0, "begin"},
        {0, "insert into a values (9, 9)"},
        {0, "insert into a values (9, 9)"},
        {0, "rollback"},
        {1, "insert into a values (4, -1)"},
        {1, "insert into b (a_id) values (77)"}}},
      {"AnOpenTransaction", kTwo, {{0, "begin"}, {0, "update a set n = 0"}, {1, "select * from a"}}},
      {"RowLocks",
       kTwo,
       {{0, "begin"}, {0, "select * from a for update"}, {0, "commit"}, {1, "select * from a for update skip locked"}}},
      {"EmptyTables",
       {"create table log (id int generated always as identity primary key, line text)"},
       {{0, "insert into log (line) values ('one') returning id"},
        {1, "insert into log (line) values ('two') returning id"}},
       How::files},
      {"Triggers",
       two_and(
           "create table log (line text); insert into log values ('begin'); create function f() returns trigger "
           "language plpgsql as $$ begin insert into log values (tg_op); return null; end $$; create trigger g after "
           "insert or update or delete on a for each row execute function f()"),
       {{0, "update a set n = 1"}, {1, "delete from a where id = 1"}, {1, "table log"}}},
      {"GeneratedColumns",
       {"create table g (id int, twice int generated always as (id * 2) stored); insert into g values (1), (2)"},
       {{0, "update g set id = 5 where id = 1 returning twice"}}},
      {"Partitions",
       {"create table p (id int, v int) partition by range (id); create table p1 partition of p for values from (0) to "
        "(10); create table p2 partition of p for values from (10) to (20); insert into p values (1, 1), (11, 2)"},
       {{0, "update p set id = 12 where id = 1"}, {1, "table p"}}},
      {"Texts",
       {"create type mood as enum ('sad', 'ok'); create table w (i int[], j jsonb, m mood, d timestamptz, f float8, y "
        "bytea,"
        " s text); insert into w values ('{1,null}', '{\"a\": [1]}', 'ok', '2020-02-02 02:02:02+00', 0.1, "
        "'\\xdeadbeef', "
        "E'it''s \\\\ \\n'), (null, null, null, 'infinity', 'NaN', '', '')"},
       {{0, "update w set s = 'changed'"}, {1, "delete from w"}}},
      {"SeveralStatements", kTwo, {{0, "update a set n = 5; insert into a values (5, 5)"}, {1, "table a"}}},
      {"LargeTables",
       {"create table l as select i as id, repeat('x', 100) as t from generate_series(1, 300) i"},
       {{0, "delete from l where id % 2 = 0"}, {1, "select count(*) from l"}},
       How::files},
      {"OtherIndexes",
       {"create table r (during int4range, exclude using gist (during with &&)); insert into r values ('[1,2)')"},
       {{0, "insert into r values ('[5,6)')"}, {1, "insert into r values ('[1,3)')"}},
       How::files},
      {"Settings",
       kTwo,
       {{0, "show enable_indexscan"},
        {0, "set enable_indexscan = off"},
        {0, "show enable_indexscan"},
        {1, "show enable_indexscan"}}},
      {"SettingsOfOnesOwn",
       kTwo,
       {{0, "select current_setting('my.own', true)"},
        {0, "set my.own = '1'"},
        {1, "select current_setting('my.own', true)"}}},
      {"TemporaryTables", kTwo, {{0, "create temp table t (i int)"}, {0, "insert into t values (1)"}, {1, "table t"}}},
      {"PreparedStatements", kTwo, {{0, "prepare mine as select 1"}, {0, "execute mine"}, {1, "execute mine"}}},
      {"AdvisoryLocks",
       kTwo,
       {{0, "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"},
        {0, "select pg_try_advisory_lock(4711)"},
        {1, "select pg_try_advisory_lock(4711)"},
        {0, "select pg_try_advisory_lock(4712)"}}},
      {"AdvisoryLocksByAFunction",
       two_and("create function l() returns bool language sql as 'select pg_try_advisory_lock(4713)'"),
       {{0, "select l()"}, {1, "select l()"}}},
      {"Listening",
       kTwo,
       {{0, "select count(*) from pg_listening_channels()"},
        {0, "listen news"},
        {1, "select count(*) from pg_listening_channels()"},
        {0, "select count(*) from pg_listening_channels()"}}},
      {"CursorsThatStay",
       kTwo,
       {{0, "begin"},
        {0, "declare c cursor with hold for table a"},
        {0, "commit"},
        {0, "fetch 1 from c"},
        {1, "fetch 1 from c"}}},
      {"CurrentValues",
       kTwo,
       {{0, "select currval('b_id_seq')"},
        {0, "select nextval('b_id_seq')"},
        {0, "select currval('b_id_seq')"},
        {1, "select lastval()"}}},
      {"CachedSequences",
       {"create sequence s cache 10; create table z (i int); insert into z values (1)"},
       {{0, "select nextval('s')"}, {1, "select nextval('s')"}, {0, "select nextval('s')"}}},
      {"ForgettingStatements", kTwo, {{0, "deallocate all"}, {1, "discard all"}, {0, "update a set n = 1"}}},
      {"SessionRole", kTwo, {{0, "set role pg_monitor"}, {0, "select current_user"}, {1, "select current_user"}}},
      {"AColumnMore", kTwo, {{0, "alter table a add column more int default 7"}, {1, "table a"}}, How::anew},
      {"AColumnLess", kTwo, {{0, "alter table a drop column t"}, {1, "table a"}}, How::anew},
      {"ADefault",
       kTwo,
       {{0, "alter table a alter column t set default 'y'"}, {1, "insert into a values (7, 7) returning t"}},
       How::anew},
      {"NotNull",
       kTwo,
       {{0, "alter table a alter column t set not null"}, {1, "insert into a values (7, 7, null)"}},
       How::anew},
      {"ANewTable", kTwo, {{0, "create table c (i int)"}, {1, "insert into c values (1)"}}, How::anew},
      {"ATableLess", kTwo, {{0, "drop table b"}, {1, "table b"}}, How::anew},
      {"ANewIndex", kTwo, {{0, "create unique index on a (n)"}, {1, "insert into a values (8, 10)"}}, How::anew},
      {"AnIndexLess",
       kTwo,
       {{0, "alter table b drop constraint b_u_key"}, {1, "insert into b (u) values ('p')"}},
       How::anew},
      {"AConstraint",
       kTwo,
       {{0, "alter table a add constraint most check (n < 99)"}, {1, "update a set n = 100"}},
       How::anew},
      {"AFunction",
       kTwo,
       {{0, "create function one() returns int language sql as 'select 1'"}, {1, "select one()"}},
       How::anew},
      {"AnotherBody",
       two_and("create function one() returns int language sql as 'select 1'"),
       {{0, "select one()"},
        {0, "create or replace function one() returns int language sql as 'select 2'"},
        {1, "select one()"}},
       How::anew},
      {"ATriggerIsOff",
       two_and("create function f() returns trigger language plpgsql as $$ begin return null; end $$; create trigger g "
               "before insert on a for each row execute function f()"),
       {{0, "alter table a disable trigger g"}, {1, "insert into a values (5, 5)"}},
       How::anew},
      {"AWordMore",
       two_and("create type mood as enum ('sad')"),
       {{0, "alter type mood add value 'ok'"}, {1, "select 'ok'::mood"}},
       How::anew},
      {"AView", kTwo, {{0, "create view v as select id from a"}, {1, "table v"}}, How::anew},
      {"AnotherView",
       two_and("create view v as select id from a"),
       {{0, "create or replace view v as select id from a where id = 1"}, {1, "table v"}},
       How::anew},
      {"AnotherSequence",
       kTwo,
       {{0, "alter sequence b_id_seq increment 5"}, {1, "select nextval('b_id_seq')"}},
       How::anew},
      {"Truncated", kTwo, {{0, "truncate a cascade"}, {1, "table a"}}, How::anew},
      {"Analyzed", kTwo, {{0, "analyze a"}, {1, "table a"}}, How::anew},
      {"Renamed", kTwo, {{0, "alter table a rename to aa"}, {1, "table a"}}, How::anew},
      {"ByAFunction",
       two_and("create function grow() returns void language plpgsql as $$ begin execute 'alter table a add m int'; "
               "end $$"),
       {{0, "select grow()"}, {1, "table a"}},
       How::anew},
      {"MaterializedViews",
       two_and("create materialized view m as select 1 as i"),
       {{0, "update a set n = 3"}},
       How::anew},
      {"RolledBack", kTwo, {{0, "begin"}, {0, "alter table a add column more int"}, {0, "rollback"}, {1, "table a"}}},
      {"PlacesOfRows", kTwo, {{0, "update a set n = n"}, {1, "select ctid, id from a"}}, How::anew},
      {"Elsewhere",
       {"create table if not exists public.saved_elsewhere (i int); truncate public.saved_elsewhere; insert into "
        "public.saved_elsewhere values (1); create table e (i int)"},
       {{0, "update public.saved_elsewhere set i = i + 1 returning i"}},
       How::anew},
  };
}

class SavedTablesCase : public SavedTables, public testing::WithParamInterface<Case> {};

INSTANTIATE_TEST_SUITE_P(All, SavedTablesCase, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

/// Each order of steps finds what the first one found, in the schema and in the sessions.
TEST_P(SavedTablesCase, AreAsNewBeforeEachOrder) {
  const Case& of = GetParam();
  constexpr int kOrders = 5;
  for (const char* const tables : {"rows", "files"}) {
    SCOPED_TRACE(tables);
    const State rows = {{"k", "1"}, {"l", "2"}};
    const auto backend = open(tables);
    ASSERT_NE(backend, nullptr);
    ASSERT_TRUE(backend->set_up(rows, of.ddl));
    const std::string as_new = everything(*backend);
    backend->serve_search();
    std::vector<std::string> first;
    for (int order = 0; order < kOrders; ++order) {
      SCOPED_TRACE(fmt::format("order {}", order + 1));
      const auto before = numbers(*backend);
      if (order > 0) {
        const auto ready = backend->set_up(rows, of.ddl);
        ASSERT_TRUE(ready) << ready.error().message;
        const auto after = numbers(*backend);
        const bool is_kept = after.first == before.first;
        EXPECT_EQ(is_kept, of.how != How::anew);
        if (of.how == How::rows) {
          EXPECT_EQ(after.second == before.second, std::string(tables) == "rows");
        } else {
          EXPECT_NE(after.second, before.second);
        }
        EXPECT_EQ(everything(*backend), as_new);
      }
      std::vector<std::string> story;
      {
        const auto t1 = open_client(*backend, 0), t2 = open_client(*backend, 1);
        for (const Step& step : of.steps) {
          story.push_back(told((step.actor == 0 ? t1 : t2)->run({.verb = Verb::execute, .key = step.sql})));
        }
        ASSERT_FALSE(t1->fault({.verb = Verb::abort}));
        EXPECT_EQ(t2->read("k"), t2->read("k"));
      }
      if (order == 0) first = story;
      EXPECT_EQ(story, first);
    }
  }
}

/// So many orders that pages fill up: what is restored by rows begins in new files now and then.
TEST_F(SavedTables, AreTruncatedBeforeTheirPagesAreFull) {
  const auto backend = open("rows");
  ASSERT_NE(backend, nullptr);
  ASSERT_TRUE(backend->set_up({}, kTwo));
  const std::string as_new = everything(*backend);
  backend->serve_search();
  std::map<std::string, int> orders_of_file;
  for (int order = 0; order < 120; ++order) {
    const auto client = open_client(*backend, 0);
    ASSERT_FALSE(client->fault({.verb = Verb::execute, .key = "update a set n = n + 1, t = repeat('y', 30)"}));
    ASSERT_TRUE(backend->set_up({}, kTwo));
    ++orders_of_file[numbers(*backend).second];
    ASSERT_EQ(everything(*backend), as_new) << order;
  }
  EXPECT_GE(orders_of_file.size(), 3U);
  EXPECT_LE(orders_of_file.size(), 30U);
}

/// An order that writes far more than the others leaves pages on which the server has moved rows.
TEST_F(SavedTables, AreTruncatedAlwaysOnceAnOrderHasFilledAPage) {
  const auto backend = open("rows");
  ASSERT_NE(backend, nullptr);
  ASSERT_TRUE(backend->set_up({}, kTwo));
  const std::string as_new = everything(*backend);
  backend->serve_search();
  for (int order = 0; order < 6; ++order) {
    const auto client = open_client(*backend, 0);
    const std::string sql = order < 3 ? "update a set n = n + 1"
                                      : "do $$ begin for i in 1..200 loop update a set n = n + 1; end loop; end $$";
    ASSERT_FALSE(client->fault({.verb = Verb::execute, .key = sql}));
    ASSERT_TRUE(backend->set_up({}, kTwo));
    EXPECT_EQ(everything(*backend), as_new) << order;
  }
}

/// A small file of two sessions, at random: constraints, sequences, definitions, and what a session keeps.
class RandomFile {
 public:
  explicit RandomFile(unsigned seed) : random_(seed) {}

  std::string text() {
    std::string file =
        "setup {\n create table a (id int primary key, n int not null check (n >= 0), t text default 'x');\n create "
        "table "
        "b (id serial primary key, a_id int references a on delete cascade, u text unique);\n create sequence s cache "
        "3;\n "
        "insert into a values (3, 3), (1, 1), (2, 2);\n insert into b (a_id, u) values (1, 'p'), (2, 'q');\n}\n";
    for (int line = 0; line < 5 + pick(5); ++line) {
      const int actor = pick(2);
      if (pick(3) == 0) {
        file +=
            fmt::format("T{}: {}\n", actor + 1, std::exchange(is_open_[actor], !is_open_[actor]) ? "commit" : "begin");
      } else {
        file += fmt::format("T{}: {}\n", actor + 1, statement());
      }
    }
    return file + "T1: commit\nT2: commit\nT1: select * from a\nT2: select * from b\n";
  }
  std::string order() {
    std::string names;
    for (int i = 0; i < 30; ++i) names += fmt::format("T{} ", pick(2) + 1);
    return names;
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string statement() {
    const int id = 1 + pick(4);
    const std::vector<std::string> all = {
        fmt::format("update a set n = n - 1 where id = {} returning n", id),
        fmt::format("update a set n = n + 1, t = t || 'z' where id <= {}", id),
        fmt::format("delete from a where id = {}", id),
        fmt::format("insert into a values ({}, {}) on conflict do nothing", id, id),
        fmt::format("insert into a values ({}, {})", id, id),
        fmt::format("insert into b (a_id, u) values ({}, 'u{}') returning id", id, id),
        fmt::format("select id from a where n > 0 for update skip locked limit {}", id),
        fmt::format("select id from a where id = {} for share nowait", id),
        "select * from b",
        "select nextval('s')",
        "select currval('s')",
        fmt::format("select pg_try_advisory_lock({})", 990000 + id),
        "select pg_advisory_unlock_all()",
        fmt::format("create temp table t{} (i int)", id),
        fmt::format("set statement_timeout = '{}s'", 10 + id),
        "show statement_timeout",
        fmt::format("set my.own = '{}'", id),
        "select current_setting('my.own', true)",
        fmt::format("prepare p{} as select count(*) from a", id),
        fmt::format("execute p{}", id),
        "listen news",
        "select pg_listening_channels()",
        fmt::format("alter table a add column if not exists c{} int default 5", id),
        fmt::format("create index if not exists i{} on b (a_id)", id),
        "truncate b",
        "savepoint here",
    };
    return all[static_cast<std::size_t>(pick(static_cast<int>(all.size())))];
  }

  std::mt19937 random_;
  bool is_open_[2] = {};
};

std::unique_ptr<Script> script_of(const std::string& text) {
  spec::ParsedSpec parsed = spec::parse("case.spec", text);
  EXPECT_TRUE(parsed.file.has_value()) << parsed.complaint.text("case.spec");
  if (!parsed.file) return nullptr;
  Result<std::unique_ptr<Script>> made = Script::made_of(std::move(*parsed.file));
  EXPECT_TRUE(made.ok()) << made.error().message;
  return made.ok() ? std::move(*made) : nullptr;
}

/// What was done and what came of it: without times, and without the numbers of the server's processes.
std::string story_of(RunEnvironment& environment, Schedule& schedule) {
  const auto performed = environment.perform(&schedule);
  EXPECT_TRUE(performed) << performed.error().message;
  record::Run run;
  run.store = "postgres";
  run.actors = {"T1", "T2"};
  environment.judge(run);
  std::string text = fmt::format("{}\n", record::name_of(run.verdict));
  for (const record::Event& event : run.events) {
    const bool is_of_time = event.kind == record::EventKind::wait || event.kind == record::EventKind::cycle;
    if (is_of_time) continue;
    text +=
        fmt::format("{} {} {} {} {}", event.actor, record::name_of(event.kind), event.verb, event.object, event.code);
    for (const auto& [name, value] : event.facts) {
      if (name.starts_with("result") || name == "rows") text += " " + name + "=" + value;
    }
    text += "\n";
  }
  return text;
}

/// In every order a search with restored tables sees what one with new tables sees.
TEST_F(SavedTables, RandomFilesSeeNoDifference) {
  constexpr unsigned kFiles = 24;
  for (unsigned seed = 1; seed <= kFiles; ++seed) {
    RandomFile random(seed);
    const std::string text = random.text();
    SCOPED_TRACE(text);
    const auto script = script_of(text);
    ASSERT_NE(script, nullptr);
    std::map<std::string, std::vector<std::string>> stories;
    std::vector<std::string> orders;
    for (int i = 0; i < 4; ++i) orders.push_back(random.order());
    for (const std::string tables : {"anew", "rows", "files"}) {
      Scenario scenario = Scenario(script->scenario()).tune("tables", tables);
      RunRequest request{.store = "postgres", .executor = "coroutines", .schedule = "T1", .recording = true};
      request.dsn = Dsns(dsn_);
      Result<RunRequest> resolved = resolve(scenario, request);
      ASSERT_TRUE(resolved.ok()) << resolved.error().message;
      auto environment = RunEnvironment::open(scenario, *resolved, nullptr);
      ASSERT_TRUE(environment.ok()) << environment.error().message;
      (*environment)->backend()->serve_search();
      for (const std::string& order : orders) {
        const auto schedule = scripted(order, {"T1", "T2"}, false);
        ASSERT_TRUE(schedule.ok());
        stories[tables].push_back(story_of(**environment, **schedule));
      }
    }
    EXPECT_EQ(stories["rows"], stories["anew"]);
    EXPECT_EQ(stories["files"], stories["anew"]);
  }
}

}  // namespace
}  // namespace lockstep::saved_tables
