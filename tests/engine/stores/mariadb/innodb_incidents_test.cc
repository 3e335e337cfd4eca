// innodb_incidents_test.cc: deadlocks out of what InnoDB has written. The logs are those of a real server (10.11).
#include "engine/stores/mariadb/innodb_incidents.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "engine/spec/spec_file.h"

namespace lockstep::mariadb {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::string innodb_text(const std::string& name) {
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/engine/stores/mariadb/logs/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Incident> innodb_incidents_of(const std::string& text) {
  const Result<std::vector<Incident>> found = innodb_incidents_in(text);
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
  return found.ok() ? *found : std::vector<Incident>();
}

std::vector<std::string> steps_of(const Incident& incident) {
  std::vector<std::string> steps;
  for (const auto& each : incident.statements) steps.push_back(incident.sessions[each.session].name + ": " + each.sql);
  return steps;
}

TEST(InnodbIncidents, AreReadFromTheErrorLog) {
  const std::vector<Incident> incidents = innodb_incidents_of(innodb_text("deadlocks.log"));
  ASSERT_THAT(incidents, SizeIs(3));
  EXPECT_EQ(incidents[0].when, "2026-12-01  1:32:20");
  EXPECT_THAT(incidents[0].relations, ElementsAre("shop.accounts"));
  EXPECT_THAT(steps_of(incidents[0]),
              ElementsAre("thread4: begin", "thread5: begin", "thread5: select * from accounts where id = 2 for update",
                          "thread4: select * from accounts where id = 1 for update",
                          "thread4: update accounts set balance = balance + 10 where id = 2",
                          "thread5: update accounts set balance = balance + 20\n    where id = 1"));
  EXPECT_TRUE(incidents[0].sessions[0].is_victim);
  EXPECT_FALSE(incidents[0].sessions[1].is_victim);
  EXPECT_EQ(incidents[0].words[0],
            "transaction 10 waits for X lock, index PRIMARY of accounts, row 2, where 11 has an exclusive lock");
}

/// Of the row that is waited for, with another key in its place.
std::string word_for_key(const std::string& hex) {
  std::string text = innodb_text("deadlocks.log");
  const std::string was = "hex 80000002;";
  for (std::size_t at = text.find(was); at != std::string::npos; at = text.find(was, at + 1))
    text.replace(at, was.size(), "hex " + hex + ";");
  const std::string words = innodb_incidents_of(text).at(0).words.at(0), before = ", row ";
  const std::size_t from = words.find(before) + before.size();
  return words.substr(from, words.find(", where") - from);
}

TEST(InnodbIncidents, TellNumbersFromTexts) {
  EXPECT_EQ(word_for_key("80000002"), "2");
  EXPECT_EQ(word_for_key("7ffffffe"), "-2");
  EXPECT_EQ(word_for_key("800000000000002a"), "42");
  EXPECT_EQ(word_for_key("746f6e79"), "tony");
  EXPECT_EQ(word_for_key("61"), "a");
  EXPECT_EQ(word_for_key("610a"), "0x610a");
}

TEST(InnodbIncidents, GuessTheLookBeforeAnInsertAndTheSharedLock) {
  const std::vector<Incident> incidents = innodb_incidents_of(innodb_text("deadlocks.log"));
  ASSERT_THAT(incidents, SizeIs(3));
  EXPECT_THAT(steps_of(incidents[1]), ElementsAre("thread7: begin", "thread8: begin",
                                                  "thread8: select * from kv where k = 'seat/12' for update",
                                                  "thread7: select * from kv where k = 'seat/14' for update",
                                                  "thread7: insert into kv (k, v) values ('seat/12', 'T1')",
                                                  "thread8: insert into kv (k, v) values ('seat/14', 'T2')"));
  EXPECT_THAT(steps_of(incidents[2])[2], HasSubstr("from concert where id = 1 lock in share mode"));
}

TEST(InnodbIncidents, AreReadFromTheStatusOfTheEngine) {
  const std::vector<Incident> incidents = innodb_incidents_of(innodb_text("status.txt"));
  ASSERT_THAT(incidents, SizeIs(1));
  EXPECT_EQ(incidents[0].when, "2026-12-01 01:32:21");
  EXPECT_THAT(steps_of(incidents[0]), SizeIs(6));
}

TEST(InnodbIncidents, BecomeFilesThatCanBeRead) {
  for (const Incident& incident : innodb_incidents_of(innodb_text("deadlocks.log"))) {
    const std::string text = scenario_file(incident, "mariadb");
    EXPECT_THAT(text, HasSubstr("mariadb-dump --no-data --compact shop "));
    EXPECT_THAT(text, HasSubstr("# Missing: what each did before its last statement"));
    const spec::ParsedSpec parsed = spec::parse("case.spec", text);
    EXPECT_TRUE(parsed.file.has_value()) << parsed.complaint.text("case.spec") << "\n" << text;
  }
}

TEST(InnodbIncidents, OtherTextsAreRefusedAndQuietOnesAreEmpty) {
  EXPECT_FALSE(innodb_incidents_in("2026-11-30 10:13:56.051 UTC [26692] ERROR:  deadlock detected\n").ok());
  EXPECT_FALSE(innodb_incidents_in("").ok());
  EXPECT_THAT(innodb_incidents_of("2026-12-01  1:32:20 0 [Note] InnoDB: log sequence number 35819\n"), SizeIs(0));
  // A text that ends in the middle of a deadlock tells nothing of it.
  const std::string whole = innodb_text("deadlocks.log");
  EXPECT_THAT(innodb_incidents_of(whole.substr(0, whole.find("WE ROLL BACK"))), SizeIs(0));
}

TEST(RowsNamedBy, FindsTheTableAndTheCondition) {
  struct Case {
    const char *sql, *table, *condition;
  };
  for (const Case& each : std::initializer_list<Case>{
           {"UPDATE `a` SET n = (select max(n) from b where x = 1) WHERE id = ')'", "`a`", "WHERE id = ')'"},
           {"update shop.a as x set x.n = 1 where x.id = 2;", "shop.a as x", "where x.id = 2"},
           {"delete from a where id in (1, 2) ", "a", "where id in (1, 2)"},
           {"select n from a where id = 1 for update", "a", "where id = 1"},
           {"insert into a (id, n) values (7, 'x')", "a", "where id = 7"},
           {"update a set n = 1", "a", ""},
       }) {
    std::string table, condition;
    EXPECT_TRUE(rows_named_by(each.sql, table, condition)) << each.sql;
    EXPECT_EQ(table, each.table) << each.sql;
    EXPECT_EQ(condition, each.condition) << each.sql;
  }
  std::string table, condition;
  for (const char* const sql : {"", "commit", "update a join b set a.n = 1", "insert into a values (1)",
                                "delete a, b from a join b", "select * from a, b where 1 for update"}) {
    EXPECT_FALSE(rows_named_by(sql, table, condition)) << sql;
  }
}

}  // namespace
}  // namespace lockstep::mariadb
