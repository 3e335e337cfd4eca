// server_log_test.cc: deadlocks out of PostgreSQL's log. logs/ holds what a server 15 wrote of four: of psql and of
// pgbench (prepared) with log_statement = 'all', and of psql with the default settings, in its three forms.
#include "engine/stores/postgres/log/server_log.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "engine/stores/postgres/connection.h"
#include "engine/stores/postgres/log/incident_source.h"
#include "engine/stores/postgres/log/incidents.h"
#include "engine/stores/postgres/log/logged_statements.h"
#include "engine/stores/postgres/own_database.h"
#include "tests/engine/stores/postgres/postgres_client.h"

namespace lockstep::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string log_named(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(LOCKSTEP_SOURCE_DIR) + "/tests/engine/stores/postgres/logs/" + name).rdbuf();
  return text.str();
}

std::vector<Incident> incidents_of(const std::string& text, bool waits = false, const std::string& prefix = {}) {
  const Result<std::vector<LogEntry>> log = read_server_log(text, prefix);
  EXPECT_TRUE(log.ok()) << (log.ok() ? "" : log.error().message);
  return log.ok() ? incidents_in(*log, waits) : std::vector<Incident>{};
}

std::string complaint_of(const std::string& text, const std::string& prefix = {}) {
  const Result<std::vector<LogEntry>> log = read_server_log(text, prefix);
  return log.ok() ? std::string() : log.error().message;
}

/// "session: SQL".
std::vector<std::string> script_of(const Incident& incident) {
  std::vector<std::string> lines;
  for (const Incident::SessionStep& each : incident.statements)
    lines.push_back(fmt::format("{}: {}", each.session, each.sql));
  return lines;
}

class ServerLog : public testing::TestWithParam<std::string> {};

TEST_P(ServerLog, TellsTheDeadlockOfTheSimpleProtocol) {
  const std::vector<Incident> incidents = incidents_of(log_named("deadlocks." + GetParam()));
  ASSERT_EQ(incidents.size(), 4U);
  const Incident& first = incidents.front();
  EXPECT_THAT(
      script_of(first),
      ElementsAre("0: begin", "0: update accounts set balance = balance - 10 where id = 1", "0: select pg_sleep(0.3)",
                  "1: begin", "1: update accounts set balance = balance - 20 where id = 2", "1: select pg_sleep(0.25)",
                  "0: update accounts set balance = balance + 10 where id = 2",
                  "1: update accounts set balance = balance + 20 where id = 1", "1: commit", "0: rollback"));
  EXPECT_TRUE(first.sessions[0].is_victim);
  EXPECT_FALSE(first.sessions[1].is_victim);
  EXPECT_THAT(first.relations, ElementsAre("accounts"));
  EXPECT_THAT(first.missing, IsEmpty());
  EXPECT_THAT(first.when, HasSubstr("2026-11-30 10:13:56.051"));
}

TEST_P(ServerLog, PutsTheParametersInTheirPlaces) {
  const Incident second = incidents_of(log_named("deadlocks." + GetParam()))[1];
  const std::vector<std::string> script = script_of(second);
  EXPECT_THAT(script, testing::Contains("0: update accounts set balance = balance - 1 where id = '2'"));
  EXPECT_THAT(script, testing::Contains("0: update accounts set balance = balance + 1 where id = '1'"));
  EXPECT_THAT(script, testing::Contains("1: update accounts set balance = balance - 1 where id = '1'"));
  EXPECT_THAT(script, testing::Contains("1: update accounts set balance = balance + 1 where id = '2'"));
  EXPECT_EQ(script.front(), "0: begin");
  EXPECT_THAT(fmt::format("{}", fmt::join(script, "\n")), Not(HasSubstr("$1")));
}

TEST_P(ServerLog, GuessesWhatTheDefaultSettingsLeaveOut) {
  const Incident last = incidents_of(log_named("deadlocks." + GetParam())).back();
  EXPECT_THAT(script_of(last),
              ElementsAre("0: begin", "0: select * from accounts where id = 2 for update", "1: begin",
                          "1: select * from accounts where id = 1 for update",
                          "0: update accounts set balance = balance + 20 where id = 1",
                          "1: update accounts set balance = balance + 10 where id = 2", "0: rollback", "1: commit"));
  EXPECT_THAT(last.statements[1].remark, HasSubstr("guessed"));
  ASSERT_EQ(last.missing.size(), 2U);
  EXPECT_THAT(last.missing[0], HasSubstr("log_statement = 'all'"));
}

INSTANTIATE_TEST_SUITE_P(Forms, ServerLog, testing::Values("log", "csv", "json"),
                         [](const auto& form) { return form.param; });

TEST(ServerLogForms, NameTheSessionsByTheirApplications) {
  const Incident incident = incidents_of(log_named("deadlocks.json")).front();
  EXPECT_EQ(incident.sessions[0].name, "billing");
  EXPECT_EQ(incident.sessions[1].name, "shop");
  const Incident same = incidents_of(log_named("deadlocks.json"))[1];
  EXPECT_EQ(same.sessions[0].name, "pgbench");
  EXPECT_EQ(same.sessions[1].name, fmt::format("pgbench_{}", 26746));
}

TEST(ServerLogForms, TheUsualPrefixesAreUnderstood) {
  const std::string story =
      "{0}LOG:  statement: begin;\n{0}LOG:  statement: update t set n = 1 where id = 1;\n"
      "{1}LOG:  statement: begin;\n{1}LOG:  statement: update t set n = 1 where id = 2;\n"
      "{1}LOG:  statement: update t\n\tset n = 2 where id = 1;\n{0}LOG:  statement: update t set n = 2 where id = 2;\n"
      "{0}ERROR:  deadlock detected\n"
      "{0}DETAIL:  Process 11 waits for ShareLock on transaction 9; blocked by process 22.\n"
      "\tProcess 22 waits for ShareLock on transaction 8; blocked by process 11.\n"
      "\tProcess 11: update t set n = 2 where id = 2;\n\tProcess 22: update t\n\tset n = 2 where id = 1;\n"
      "{0}STATEMENT:  update t set n = 2 where id = 2;\n";
  const std::vector<std::array<std::string, 3>> prefixes = {
      {"", "2026-11-30 10:00:00.123 UTC [11] ", "2026-11-30 10:00:00.124 UTC [22] "},
      {"", "2026-11-30 10:00:00 CET [11]: [3-1] user=a,db=b,app=shop,client=[local] ",
       "2026-11-30 10:00:00 CET [22]: [3-1] user=a,db=b,app=[unknown],client=[local] "},
      {"", "2026-11-30 10:00:00 UTC:10.0.0.1(5000):a@b:[11]:", "2026-11-30 10:00:00 UTC:10.0.0.1(5001):a@b:[22]:"},
      {"%m %p %q%a@%d ", "2026-11-30 10:00:00.123 UTC 11 shop@b ", "2026-11-30 10:00:00.123 UTC 22 cart@b "},
      {"pid %p, ", "pid 11, ", "pid 22, "},
  };
  for (const auto& [prefix, first, second] : prefixes) {
    const std::vector<Incident> incidents =
        incidents_of(fmt::format(fmt::runtime(story), first, second), false, prefix);
    ASSERT_EQ(incidents.size(), 1U) << first;
    EXPECT_THAT(script_of(incidents[0]),
                ElementsAre("0: begin", "0: update t set n = 1 where id = 1", "1: begin",
                            "1: update t set n = 1 where id = 2", "1: update t\nset n = 2 where id = 1",
                            "0: update t set n = 2 where id = 2", "0: rollback", "1: commit"))
        << first;
  }
}

TEST(ServerLogForms, ThatTellTooLittleAreRefusedWithTheSetting) {
  EXPECT_THAT(complaint_of(""), HasSubstr("empty"));
  EXPECT_THAT(complaint_of("hello\nworld\n"), HasSubstr("no entry"));
  EXPECT_THAT(complaint_of("2026-11-30 10:00:00 UTC LOG:  statement: begin\n"), HasSubstr("log_line_prefix"));
  EXPECT_THAT(complaint_of("[1] LOG:  statement: begin\n", "%m "), HasSubstr("no pid"));
  EXPECT_THAT(complaint_of("[1] LOG:  statement: begin\n", "pid=%p "), HasSubstr("none of its 1 entries"));
}

TEST(ServerLogForms, KeepAStatementThatWasSaidTwice) {
  const std::string deadlock =
      "2026-11-30 10:00:01 UTC [11] ERROR:  deadlock detected\n"
      "2026-11-30 10:00:01 UTC [11] DETAIL:  Process 11 waits for ShareLock on transaction 9; blocked by process 22.\n"
      "\tProcess 22 waits for ShareLock on transaction 8; blocked by process 11.\n"
      "\tProcess 11: update t set n = 2 where id = 2;\n\tProcess 22: update t set n = 2 where id = 1;\n";
  const std::string by_duration =
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  statement: begin\n"
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  statement: update t set n = n + 1 where id = 1\n"
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  statement: update t set n = n + 1 where id = 1\n";
  const std::vector<std::string> twice = {"0: begin", "0: update t set n = n + 1 where id = 1",
                                          "0: update t set n = n + 1 where id = 1"};
  std::vector<std::string> script = script_of(incidents_of(by_duration + deadlock).at(0));
  script.erase(std::remove_if(script.begin(), script.end(), [](const auto& each) { return each[0] == '1'; }),
               script.end());
  script.resize(3);
  EXPECT_EQ(script, twice);
  const std::string prepared =
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  statement: begin\n"
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  bind S: update t set n = n + 1 where id = $1\n"
      "2026-11-30 10:00:00 UTC [11] DETAIL:  parameters: $1 = '1'\n"
      "2026-11-30 10:00:00 UTC [11] LOG:  duration: 0.1 ms  execute S: update t set n = n + 1 where id = $1\n"
      "2026-11-30 10:00:00 UTC [11] DETAIL:  parameters: $1 = '1'\n";
  script = script_of(incidents_of(prepared + deadlock).at(0));
  EXPECT_EQ(std::count(script.begin(), script.end(), "0: update t set n = n + 1 where id = '1'"), 1)
      << "a bind and its execution are one statement";
}

TEST(ServerLogForms, WaitsThatWereNoDeadlock) {
  const std::string text =
      "2026-11-30 10:00:00 UTC [11] LOG:  statement: begin;\n"
      "2026-11-30 10:00:00 UTC [11] LOG:  statement: update t set n = 1 where id = 1;\n"
      "2026-11-30 10:00:00 UTC [22] LOG:  statement: update t set n = 2 where id = 1;\n"
      "2026-11-30 10:00:01 UTC [22] LOG:  process 22 still waiting for ShareLock on transaction 9 after 1000.1 ms\n"
      "2026-11-30 10:00:01 UTC [22] DETAIL:  Process holding the lock: 11. Wait queue: 22.\n"
      "2026-11-30 10:00:01 UTC [22] STATEMENT:  update t set n = 2 where id = 1;\n"
      "2026-11-30 10:00:02 UTC [11] LOG:  statement: commit;\n";
  EXPECT_THAT(incidents_of(text), IsEmpty());
  const std::vector<Incident> waits = incidents_of(text, true);
  ASSERT_EQ(waits.size(), 1U);
  EXPECT_EQ(waits[0].kind, Incident::Kind::wait);
  EXPECT_THAT(script_of(waits[0]), ElementsAre("0: begin", "0: update t set n = 1 where id = 1", "1: begin",
                                               "1: update t set n = 2 where id = 1", "0: commit", "1: commit"));
  EXPECT_THAT(incidents_of(log_named("deadlocks.log"), true).size(), 4U)
      << "a wait that became a deadlock is told once";
}

TEST(LoggedStatements, LeaveWhatOnlyLooksLikeAParameter) {
  std::string unknown;
  EXPECT_EQ(
      with_parameters("select $1, '$2', \"$3\", $tag$ $1 $tag$, a$1, $2 -- $1", "$1 = 'it''s, $2', $2 = NULL", unknown),
      "select 'it''s, $2', '$2', \"$3\", $tag$ $1 $tag$, a$1, NULL -- $1");
  EXPECT_EQ(unknown, "");
  EXPECT_EQ(with_parameters("select $1, $2, $10", "$2 = '7'", unknown), "select :p1, '7', :p10");
  EXPECT_EQ(unknown, "$1, $10");
}

TEST(LoggedStatements, KnowTheEdgesOfTransactions) {
  EXPECT_EQ(edge_of(" BEGIN ISOLATION LEVEL SERIALIZABLE;"), TransactionEdge::begin);
  EXPECT_EQ(edge_of("start transaction"), TransactionEdge::begin);
  EXPECT_EQ(edge_of("END"), TransactionEdge::commit);
  EXPECT_EQ(edge_of("rollback"), TransactionEdge::rollback);
  EXPECT_EQ(edge_of("ROLLBACK TO s"), TransactionEdge::none);
  EXPECT_EQ(edge_of("endorse"), TransactionEdge::none);
}

TEST(ScenarioFileOfAnIncident, HoldsWhatIsKnownAndSaysWhatIsMissing) {
  Incident incident = incidents_of(log_named("deadlocks.json")).back();
  std::string file = scenario_file(incident, "postgres");
  EXPECT_THAT(file, HasSubstr("# A deadlock of shop and P26762, 2026-11-30 10:13:58.724 UTC\n"));
  EXPECT_THAT(file, HasSubstr("# Missing: what shop had done before"));
  EXPECT_THAT(file, HasSubstr("pg_dump --schema-only --no-owner -t accounts"));
  EXPECT_THAT(file, HasSubstr("shop:   update accounts set balance = balance + 20 where id = 1\n"));
  EXPECT_THAT(file, HasSubstr("expect postgres *: deadlock\n"));
  incident.setup = {"create table t (j text default '{it''s}')", "create function f() returns void as $$ {} $$"};
  file = scenario_file(incident, "postgres");
  EXPECT_THAT(file, HasSubstr("setup { create table t (j text default U&'{it''s\\007D') }"));
  EXPECT_THAT(file, HasSubstr("# create function f() returns void as $$ {} $$"));
}

/// A database of the test's own, in which one session makes another one wait.
class LiveServer : public testing::Test {
 protected:
  void SetUp() override {
    const std::string dsn = postgres_testing::test_dsn();
    if (dsn.empty()) GTEST_SKIP() << "skipped: no PostgreSQL server is installed and LOCKSTEP_TEST_DSN is not set";
    auto database = OwnDatabase::create(Dsn::parse(dsn).value(), std::chrono::seconds(10), {});
    ASSERT_TRUE(database.ok()) << database.error().message;
    database_ = std::move(*database);
    dsn_ = database_->dsn().text("", std::chrono::seconds(10));
    says(holder_ = connected("billing"),
         "create table import_rows (id int primary key, n int default 7, note text check (note <> '}'));"
         "create index import_rows_n on import_rows (n); insert into import_rows values (1, 1, '{}'), (2, 2, null)");
  }

  Connection connected(const std::string& application) {
    return connect(database_->dsn(), application, std::chrono::seconds(5)).value();
  }
  void says(const Connection& connection, const std::string& sql) {
    const Result<Answer> answer = ask(connection.get(), sql, {}, std::chrono::seconds(10));
    ASSERT_TRUE(answer.ok()) << answer.error().message;
  }

  static std::vector<std::string> names_of(const Incident& incident) {
    std::vector<std::string> names;
    for (const Incident::Participant& session : incident.sessions) names.push_back(session.name);
    return names;
  }

  /// Waits until each of `waiting` waits; then their incidents, in this order.
  bool waits_are_found(std::vector<Incident>& found, const std::vector<std::string>& waiting) {
    return postgres_testing::eventually([&] {
      found.clear();
      const std::vector<Incident> all = kIncidentSource.now(dsn_).value();
      for (const std::string& name : waiting) {
        const auto of_name = std::find_if(all.begin(), all.end(), [&name](const Incident& incident) {
          const auto is_waiting = [&name](const Incident::Participant& session) { return session.name == name; };
          return std::any_of(incident.sessions.begin(), incident.sessions.end(), is_waiting);
        });
        if (of_name == all.end()) return false;
        found.push_back(*of_name);
      }
      return true;
    });
  }

  std::unique_ptr<OwnDatabase> database_;  ///< outlives the connections
  std::string dsn_;
  Connection holder_;
};

TEST_F(LiveServer, TellsWhoWaitsForWhomNow) {
  says(holder_, "begin; update import_rows set n = 3 where id = 1");
  const Connection waiter = connected("shop");
  ASSERT_EQ(::PQsendQuery(waiter.get(), "update import_rows set n = 4 where id = 1"), 1);
  std::vector<Incident> found;
  ASSERT_TRUE(waits_are_found(found, {"shop"}));
  Incident& incident = found[0];
  EXPECT_THAT(fmt::format("{}", fmt::join(incident.words, "\n")), HasSubstr("(shop): active, in a transaction"));
  ASSERT_TRUE(kIncidentSource.bring_tables(incident, dsn_, true).ok());
  const std::string file = scenario_file(incident, "postgres");
  EXPECT_THAT(file,
              HasSubstr("setup { create table import_rows (id integer not null, n integer default 7, note text,"));
  EXPECT_THAT(file, HasSubstr("PRIMARY KEY (id)"));
  EXPECT_THAT(file, HasSubstr("CREATE INDEX import_rows_n ON"));
  EXPECT_THAT(file, HasSubstr("insert into import_rows (id, n, note) values ('1', '1', U&'{\\007D');"));
  EXPECT_THAT(file, Not(HasSubstr("'2', '2'"))) << "only the rows that a statement chooses";
  EXPECT_THAT(file, testing::EndsWith("\non postgres\n")) << "how the wait ends is not known";
  EXPECT_THAT(file, HasSubstr("billing: select * from import_rows where id = 1 for update"));
  EXPECT_THAT(file, HasSubstr("shop:    update import_rows set n = 4 where id = 1"));
  says(holder_, "rollback");
}

TEST_F(LiveServer, KeepsWaitsApartThatNothingJoins) {
  const Connection other_holder = connected("stock");
  says(holder_, "begin; update import_rows set n = 3 where id = 1");
  says(other_holder, "begin; update import_rows set n = 3 where id = 2");
  const Connection shop = connected("shop"), cart = connected("cart"), till = connected("till");
  ASSERT_EQ(::PQsendQuery(shop.get(), "update import_rows set n = 4 where id = 1"), 1);
  ASSERT_EQ(::PQsendQuery(cart.get(), "update import_rows set n = 5 where id = 2"), 1);
  std::vector<Incident> found;
  ASSERT_TRUE(waits_are_found(found, {"shop", "cart"}));
  EXPECT_THAT(names_of(found[0]), ElementsAre("billing", "shop"));
  EXPECT_THAT(names_of(found[1]), ElementsAre("stock", "cart"));

  // One that waits for all of them joins them.
  ASSERT_EQ(::PQsendQuery(till.get(), "begin; lock import_rows in exclusive mode"), 1);
  ASSERT_TRUE(waits_are_found(found, {"till"}));
  EXPECT_THAT(names_of(found[0]), testing::UnorderedElementsAre("billing", "stock", "shop", "cart", "till"));
  says(holder_, "rollback");
  says(other_holder, "rollback");
}

TEST_F(LiveServer, BringsNoRowsWhereNoneAreWanted) {
  Incident incident = incident_of({{.process = "1", .in_hand = "update import_rows set n = 4 where id = 1"},
                                   {.process = "2", .in_hand = "update no_such_table set n = 4 where id = 1"}},
                                  Incident::Kind::wait, {});
  ASSERT_TRUE(kIncidentSource.bring_tables(incident, dsn_, false).ok());
  const std::string file = scenario_file(incident, "postgres");
  EXPECT_THAT(file, HasSubstr("create table import_rows"));
  EXPECT_THAT(file, Not(HasSubstr("insert into")));
  EXPECT_THAT(file, HasSubstr("the table no_such_table: the database has none of that name"));
}

TEST(ServerLogForms, RandomBytesDoNoHarm) {
  const std::string sound = log_named("deadlocks.log") + log_named("deadlocks.json");
  std::uint64_t state = 20261130;
  const auto next = [&state] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  for (int round = 0; round < 200; ++round) {
    std::string text = sound.substr(next() % (sound.size() / 2), 2000);
    for (int i = 0; i < 8; ++i) text[next() % text.size()] = static_cast<char>(next() >> 33U);
    const Result<std::vector<LogEntry>> log = read_server_log(text, round % 3 == 0 ? "%m [%p] %q%a " : "");
    if (log.ok()) (void)incidents_in(*log, true);
  }
}

}  // namespace
}  // namespace lockstep::postgres
