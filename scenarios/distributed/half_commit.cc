// COMMIT on one server and then on the other, without a vote before: the second one may refuse when the first one
// cannot be taken back. Here a foreign key is checked only at the end of the transaction (PostgreSQL manual, SET
// CONSTRAINTS).
#include "scenarios/catalogue.h"

namespace lockstep::scenarios {
namespace {

const std::vector<std::string> tables{
    "@2 create table payee (id int primary key)",
    "@2 create table payment (payee int references payee deferrable initially deferred, amount int)"};

Task<> pay_all(Context& c, std::int64_t amount) {
  co_await c.db.begin();
  co_await c.db.add("A", -amount);
  co_await c.db.execute("@2 insert into payment values (7, 30)");
  co_await c.db.commit();
}

Task<> pay(Context& c, std::int64_t amount) {
  const Result<void> paid = co_await tried(pay_all(c, amount));
  if (!paid) c.note("not paid: " + paid.error().message);
}

}  // namespace

Scenario distributed_half_commit() {
  return scenario("One server commits, and the other one refuses")
      .story(
          "T1 takes 30 from A on server 1 and books a payment on server 2, to a payee who is not there. Server 2 finds "
          "out at the commit.")
      .given({{"A", 100}})

      .pattern("in-turn", "COMMIT on server 1, then on server 2")
      .ddl(tables)
      .tune("commit", "in-turn")
      .actor("T1", pay, 30)
      .expect("postgres-2", "*: anomaly")
      .why("The money was gone for good when server 2 refused the payment: half of the transaction stands.")
      .fix("let both servers vote before either commits: PREPARE TRANSACTION", "two-phase")

      .pattern("two-phase", "PREPARE TRANSACTION on both, then COMMIT PREPARED")
      .ddl(tables)
      .tune("commit", "two-phase")
      .actor("T1", pay, 30)
      .expect("postgres-2", "*: clean")
      .why("Server 2 refused at PREPARE TRANSACTION, so what server 1 had prepared was rolled back.")

      .holds("money is taken only for a payment that is booked",
             [](const Final& end) { return end.number("A") + 30 * end.ask("@2 select count(*) from payment") == 100; });
}

}  // namespace lockstep::scenarios
