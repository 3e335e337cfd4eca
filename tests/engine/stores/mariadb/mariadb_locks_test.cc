// mariadb_locks_test.cc: who waits for whom, read from texts that a server of 10.11 wrote. No server is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/stores/mariadb/locks.h"

namespace lockstep::mariadb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string record(int heap, const std::string& hex) {
  return "Record lock, heap no " + std::to_string(heap) +
         " PHYSICAL RECORD: n_fields 4; compact format; info bits 0\n 0: len 1; hex " + hex +
         "; asc ;;\n 1: len 6; hex 00000000000c; asc       ;;\n\n";
}

std::string header(const std::string& mode, const std::string& index = "PRIMARY") {
  return "RECORD LOCKS space id 1 page no 3 n bits 320 index " + index + " of table `shop`.`kv` trx id 13 " + mode +
         "\n";
}

/// A transaction as the monitor prints it: what it waits for stands twice.
std::string transaction(int thread, const std::string& granted, int waited = 0, const std::string& awaited = {}) {
  std::string text = "---TRANSACTION 1" + std::to_string(thread) +
                     ", ACTIVE 0 sec\n2 lock struct(s), heap size 1128\n" + "MariaDB thread id " +
                     std::to_string(thread) +
                     ", OS thread handle 139775283332800, query id 16 localhost root Statistics\nselect 1\n";
  if (!awaited.empty()) {
    text += "------- TRX HAS BEEN WAITING " + std::to_string(waited) + " us FOR THIS LOCK TO BE GRANTED:\n" + awaited +
            "------------------\n";
  }
  return text + "TABLE LOCK table `shop`.`kv` trx id 13 lock mode IX\n" + granted + awaited;
}

std::string status_of(const std::string& transactions) {
  return "------------\nTRANSACTIONS\n------------\nLIST OF TRANSACTIONS FOR EACH SESSION:\n" + transactions +
         "--------\nFILE I/O\n--------\n";
}

const std::string kX = "lock_mode X locks rec but not gap";
const std::string kNextKey = "lock_mode X";
const std::string kGap = "lock_mode X locks gap before rec";
const std::string kInsert = "lock_mode X locks gap before rec insert intention";
const std::string kShared = "lock mode S locks rec but not gap";

/// Whether a request waits for a granted lock on the same record.
bool waits(const std::string& wanted, const std::string& granted) {
  const std::string status = status_of(transaction(5, header(granted) + record(3, "42")) +
                                       transaction(6, "", 100, header(wanted + " waiting") + record(3, "42")));
  return !wait_of(6, transactions_in(status)).blockers.empty();
}

TEST(MariadbLocks, NameTheHolderTheModeAndTheRow) {
  const std::string status =
      status_of(transaction(5, header(kX) + record(2, "41") + record(3, "42")) +
                transaction(6, "", 135516, header(kX + " waiting") + record(3, "42")) + transaction(7, ""));
  const auto all = transactions_in(status);
  const RowWait wait = wait_of(6, all);
  EXPECT_THAT(wait.blockers, ElementsAre(5u));
  EXPECT_EQ(text_of(wait.lock), "X lock on row B of kv");
  EXPECT_THAT(wait_of(5, all).blockers, IsEmpty());
  EXPECT_THAT(wait_of(7, all).blockers, IsEmpty());
  EXPECT_THAT(wait_of(99, all).blockers, IsEmpty());
}

TEST(MariadbLocks, ConflictAsInnodbHasIt) {
  EXPECT_TRUE(waits(kX, kX));
  EXPECT_TRUE(waits(kX, kShared));
  EXPECT_TRUE(waits(kShared, kNextKey));
  EXPECT_FALSE(waits(kShared, kShared));
  // A gap keeps out inserts alone, and they keep out nobody.
  EXPECT_TRUE(waits(kInsert, kGap));
  EXPECT_TRUE(waits(kInsert, kNextKey));
  EXPECT_FALSE(waits(kInsert, kX));
  EXPECT_FALSE(waits(kX, kGap));
  EXPECT_FALSE(waits(kGap, kNextKey));
  EXPECT_FALSE(waits(kNextKey, kInsert));
}

TEST(MariadbLocks, OfAQueueWaitForThoseThatCameBefore) {
  const std::string awaited = header(kX + " waiting") + record(3, "42");
  const auto all = transactions_in(status_of(transaction(5, header(kX) + record(3, "42")) +
                                             transaction(6, "", 300, awaited) + transaction(7, "", 200, awaited)));
  EXPECT_THAT(wait_of(6, all).blockers, ElementsAre(5u));
  EXPECT_THAT(wait_of(7, all).blockers, ElementsAre(5u, 6u));
}

TEST(MariadbLocks, OnTheSameRowOfAnotherIndexDoNotMeet) {
  const std::string other_page = "RECORD LOCKS space id 1 page no 4 n bits 320 index s of table `shop`.`kv` trx id 1 ";
  const auto all =
      transactions_in(status_of(transaction(5, header(kX) + record(3, "42")) +
                                transaction(6, "", 100, other_page + kX + " waiting\n" + record(3, "42"))));
  EXPECT_THAT(wait_of(6, all).blockers, IsEmpty());
}

TEST(MariadbLocks, AreSaidForPeople) {
  const auto said = [](const std::string& mode, int heap, const std::string& hex, const std::string& index) {
    const std::string granted = header(mode, index) + record(heap, hex);
    return text_of(transactions_in(status_of(transaction(5, granted)))[0].locks.at(1));
  };
  EXPECT_EQ(said(kInsert, 4, "44", "PRIMARY"), "X lock on the gap before row D of kv, to insert");
  EXPECT_EQ(said(kNextKey, 4, "44", "u"), "X lock on row D and the gap before it of index u of kv");
  EXPECT_EQ(said(kNextKey, 1, "73757072656d756d", "PRIMARY"), "X lock on the gap before the end of kv");
  EXPECT_EQ(said(kShared, 4, "44", "PRIMARY"), "S lock on row D of kv");
}

TEST(MariadbLocks, ReadNumbersOfColumns) {
  const auto number = [](const std::string& column) {
    const std::string lock = header(kX) + "Record lock, heap no 4 PHYSICAL RECORD: n_fields 2; info bits 0\n" + column;
    return transactions_in(status_of(transaction(5, lock)))[0].locks.at(1).record;
  };
  EXPECT_EQ(number(" 0: len 4; hex 8000001e; asc     ;;\n"), "30");
  EXPECT_EQ(number(" 0: len 4; hex 7fffffff; asc     ;;\n"), "-1");
  EXPECT_EQ(number(" 0: len 3; hex ff00ff; asc    ;;\n"), "0xff00ff");
}

TEST(MariadbLocks, OfATableMeet) {
  const auto table = [](const std::string& mode) {
    return "TABLE LOCK table `shop`.`kv` trx id 9 lock mode " + mode + "\n";
  };
  const auto all = transactions_in(
      status_of(transaction(5, table("S")) + transaction(6, "", 100, table("IX waiting")) + transaction(7, "")));
  EXPECT_THAT(wait_of(6, all).blockers, ElementsAre(5u));
  EXPECT_EQ(text_of(wait_of(6, all).lock), "IX lock on table kv");
}

std::string member(int number, int id, int thread, int waits_for) {
  return "*** (" + std::to_string(number) + ") TRANSACTION:\nTRANSACTION " + std::to_string(id) +
         ", ACTIVE 0 sec starting index read\nMariaDB thread id " + std::to_string(thread) +
         ", OS thread handle 1, query id 19 localhost root Updating\nupdate kv\n"
         "*** WAITING FOR THIS LOCK TO BE GRANTED:\nRECORD LOCKS space id 1 page no 3 n bits 320 index PRIMARY of "
         "table "
         "`a`.`b` trx id " +
         std::to_string(id) +
         " lock_mode X waiting\n*** CONFLICTING WITH:\nRECORD LOCKS space id 1 page no 3 n bits 320 "
         "index PRIMARY of table `a`.`b` trx id " +
         std::to_string(waits_for) + " lock_mode X\n\n";
}

TEST(MariadbLocks, TellTheLatestDeadlock) {
  const std::string status = "------------------------\nLATEST DETECTED DEADLOCK\n------------------------\n" +
                             member(1, 11, 3, 13) + member(2, 12, 4, 11) + member(3, 13, 5, 12) +
                             "*** WE ROLL BACK TRANSACTION (2)\n------------\nTRANSACTIONS\n------------\n";
  const BrokenDeadlock told = deadlock_in(status);
  EXPECT_THAT(told.threads, ElementsAre(3u, 5u, 4u)) << "in the order of the waits, not of the text";
  EXPECT_EQ(told.victim, 4u);
  EXPECT_THAT(deadlock_in(status_of("")).threads, IsEmpty());
}

TEST(MariadbLocks, AreNotFoundInTextsThatEndEarly) {
  const std::string whole = status_of(transaction(5, header(kX) + record(3, "42")) +
                                      transaction(6, "", 100, header(kX + " waiting") + record(3, "42")));
  for (std::size_t end = 0; end < whole.size(); ++end) {
    const auto all = transactions_in(whole.substr(0, end));
    for (const std::uint64_t blocker : wait_of(6, all).blockers) EXPECT_EQ(blocker, 5u) << end;
    (void)deadlock_in(whole.substr(0, end));
  }
}

}  // namespace
}  // namespace lockstep::mariadb
