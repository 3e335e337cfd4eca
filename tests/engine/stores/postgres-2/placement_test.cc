// placement_test.cc: where a key lies, which server a statement names, and what a prepared transaction is called.
#include "engine/stores/postgres-2/placement.h"

#include <gtest/gtest.h>

namespace lockstep::postgres_2 {
namespace {

TEST(Placement, OfAKeyGoesByItsLastByte) {
  for (const char* key : {"A", "C", "1", "account/3", "alice"}) EXPECT_EQ(server_of(key), 0U) << key;
  for (const char* key : {"B", "D", "2", "account/10", "bob", "é "}) EXPECT_EQ(server_of(key), 1U) << key;
}

TEST(Placement, OfAStatementIsNamedBeforeIt) {
  EXPECT_EQ(server_named_in("@1 select 1"), 0U);
  EXPECT_EQ(server_named_in("  @2\nselect 1"), 1U);
  for (const char* none : {"select 1", "@3 select 1", "@2select 1", "@2", "", "select '@2 '"}) {
    EXPECT_EQ(server_named_in(none), std::nullopt) << none;
    EXPECT_EQ(without_server(none), none);
  }
  EXPECT_EQ(without_server(" @2  select 1"), "select 1");
}

TEST(Placement, PreparedTransactionsBearTheNameOfTheRun) {
  const auto named = prepared_named_in("PREPARE TRANSACTION 'it''s'");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->action, PreparedName::Action::prepares);
  EXPECT_EQ(named->name, "it's");
  EXPECT_EQ(statement_on(named->action, "lockstep_1_0123abcd", named->name),
            "prepare transaction E'lockstep_1_0123abcd/it''s'");
  EXPECT_EQ(prepared_named_in("commit prepared 'x'")->action, PreparedName::Action::commits);
  EXPECT_EQ(prepared_named_in("rollback  prepared 'x'")->action, PreparedName::Action::rolls_back);
  for (const char* other : {"prepare x as select 'a'", "commit", "rollback to savepoint s", "select 'prepared'"}) {
    EXPECT_FALSE(prepared_named_in(other)) << other;
  }
  EXPECT_EQ(name_within("run", "run/T1-1"), "T1-1");
  for (const char* other : {"run", "run2/T1-1", "T1-1", "/T1-1"}) EXPECT_EQ(name_within("run", other), std::nullopt);
}

TEST(Placement, TwoDsnsStandOnBothSidesOfASemicolon) {
  const auto pair = two_dsns_in("host=a user=u;postgresql://b/shop");
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->first, "host=a user=u");
  EXPECT_EQ(pair->second, "postgresql://b/shop");
  const auto quoted = two_dsns_in("host=a password='x;y';host=b");
  ASSERT_TRUE(quoted) << "a semicolon in a password separates nothing";
  EXPECT_EQ(quoted->second, "host=b");
  for (const char* none : {"", ";", "host=a", "host=a;", ";host=b", "host=a;nonsense"}) {
    EXPECT_FALSE(two_dsns_in(none)) << none;
  }
}

TEST(Placement, StatementsOfASetUpSpeakOfTheOtherServer) {
  const auto dsn = postgres::Dsn::parse("host=/tmp/s port=5432 user=bob dbname=shop password=x application_name=y");
  ASSERT_TRUE(dsn.ok());
  const OtherServer other = other_server(*dsn, "lockstep_1_0123abcd");
  EXPECT_EQ(filled_in("options ($other_server)", other), "options (dbname E'shop', host E'/tmp/s', port E'5432')");
  EXPECT_EQ(filled_in("options ($other_user)", other), "options (user E'bob', password E'x')");
  EXPECT_EQ(filled_in("'$other_schema' '$other_schema'", other), "'lockstep_1_0123abcd' 'lockstep_1_0123abcd'");
  EXPECT_EQ(filled_in("select 1", other), "select 1");
  EXPECT_TRUE(links_servers("CREATE FOREIGN TABLE far (k text) server other"));
  EXPECT_FALSE(links_servers("create table far (k text)"));
}

}  // namespace
}  // namespace lockstep::postgres_2
