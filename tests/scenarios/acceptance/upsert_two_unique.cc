// ON CONFLICT names one unique index; the other one still raises 23505, which nobody handles: an error.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> upsert(Context& c, std::string id, std::string conflict) {
  const std::string sql =
      "insert into test_table (id, id_secondary, value) values ('" + id + "', 's', true) on conflict " + conflict;
  co_await c.db.begin();
  co_await c.db.execute(sql);
  co_await c.db.commit();
}

const std::vector<std::string> tables{
    "create table test_table (id text primary key, id_secondary text not null, value bool not null default false)",
    "create unique index test_table_uc on test_table using btree (id_secondary)",
};

}  // namespace

Scenario cases_upsert_two_unique() {
  return scenario("An upsert on one unique index breaks the other one")
      .pattern("plain", "on conflict (id) do update")
      .ddl(tables)
      .actor("T1", upsert, "1", "(id) do update set value = excluded.value")
      .actor("T2", upsert, "2", "(id) do update set value = excluded.value")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: error")
      .why("test_table_uc is not the arbiter: T2 waits for T1 and then gets 23505.")
      .fix("on conflict do nothing takes every unique index as arbiter", "any")
      .pattern("any", "on conflict do nothing")
      .ddl(tables)
      .actor("T1", upsert, "1", "do nothing")
      .actor("T2", upsert, "2", "do nothing")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "read-committed: clean, *: abort");
}

}  // namespace lockstep::scenarios
