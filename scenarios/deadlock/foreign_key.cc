// A foreign key locks the parent (PostgreSQL manual, 13.3.2, FOR KEY SHARE): inserting a child takes a shared lock on
// its parent's row. Two transactions that insert children and then lock the parent upgrade that shared lock, and each
// waits for the other's.
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

Task<> child_then_parent(Context& c, std::string item) {
  const std::string add_item = "insert into item values ('" + item + "', 1)";
  co_await c.db.begin();
  co_await c.db.execute(add_item);
  co_await c.db.execute("select items from orders where id = 1 for update");
  co_await c.db.execute("update orders set items = items + 1 where id = 1");
  co_await c.db.commit();
}

Task<> parent_then_child(Context& c, std::string item) {
  const std::string add_item = "insert into item values ('" + item + "', 1)";
  co_await c.db.begin();
  co_await c.db.execute("select items from orders where id = 1 for update");
  co_await c.db.execute(add_item);
  co_await c.db.execute("update orders set items = items + 1 where id = 1");
  co_await c.db.commit();
}

const std::vector<std::string> tables{
    "create table orders (id int primary key, items int not null)",
    "create table item (name text primary key, order_id int not null references orders (id))",
    "insert into orders values (1, 0)",
};

}  // namespace

Scenario deadlock_foreign_key() {
  return scenario("Two children are inserted, then their parent is locked")
      .story("Each transaction adds an item to the same order, then locks the order to count its items.")

      .pattern("plain", "insert the child, then lock the parent")
      .ddl(tables)
      .actor("T1", child_then_parent, "pen")
      .actor("T2", child_then_parent, "ink")
      .schedule("T1 T1 T2 T2 T1 T2")
      .expect("postgres", "*: deadlock")
      .why("Both inserts hold FOR KEY SHARE on the order, and FOR UPDATE of each waits for the other's.")
      .fix("lock the parent first", "parent-first")

      .pattern("parent-first", "lock the parent, then insert the child")
      .ddl(tables)
      .actor("T1", parent_then_child, "pen")
      .actor("T2", parent_then_child, "ink")
      .schedule("T1 T1 T2 T2 T1 T1 T1")
      .expect("postgres", "read-committed: clean, *: abort")
      .why("Only one of them has the order at a time.")

      .holds("the order counts its items", [](const Final& end) {
        const std::int64_t counted = end.ask("select items from orders");
        return counted >= 0 && counted == end.ask("select count(*) from item");
      });
}

}  // namespace lockstep::scenarios
