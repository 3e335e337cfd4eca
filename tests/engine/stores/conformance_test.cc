// conformance_test.cc: what one session may expect of every store at every protocol: the verbs, alike everywhere.
#include "tests/engine/stores/conformance.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Verbs : public Conformance {};
INSTANTIATE_TEST_SUITE_P(EveryStore, Verbs, ::testing::ValuesIn(every_session()), test_name);

Table rows(std::vector<std::pair<std::string, std::string>> pairs) {
  Table table;
  for (auto& [key, value] : pairs) table.push_back({std::move(key), std::move(value)});
  return table;
}

TEST_P(Verbs, ReadWhatIsThere) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("AA");
  begin(0);
  for (const Verb verb : {Verb::read, Verb::read_for_update}) {
    const Reply found = does(0, {.verb = verb, .key = "A"});
    EXPECT_EQ(found.value, "100");
    EXPECT_EQ(found.rows, 1);
    const Reply missing = does(0, {.verb = verb, .key = "AA"});
    EXPECT_EQ(missing.value, std::nullopt);
    EXPECT_EQ(missing.rows, 0);
  }
  commit(0);
}

TEST_P(Verbs, WriteInsertsAndOverwritesAndIsSeenByItself) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  write(0, "A", "1");
  write(0, "N", "2");
  write(0, "N", "3");
  EXPECT_EQ(read(0, "A"), "1");
  EXPECT_EQ(read(0, "N"), "3");
  commit(0);
  EXPECT_EQ(committed(), (State{{"A", "1"}, {"B", "200"}, {"C", "300"}, {"N", "3"}}));
  begin(0);
  EXPECT_EQ(read(0, "N"), "3");
  commit(0);
}

TEST_P(Verbs, InsertRefusesAKeyThatExists) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  does(0, {.verb = Verb::insert, .key = "N", .value = "1"});
  EXPECT_EQ(read(0, "N"), "1");
  commit(0);
  for (const char* key : {"A", "N"}) {
    begin(0);
    EXPECT_EQ(fails(0, {.verb = Verb::insert, .key = key, .value = "9"}), Fault::constraint) << key;
    EXPECT_TRUE(session(0).in_transaction());
    abort(0);
  }
  EXPECT_EQ(committed(), (State{{"A", "100"}, {"B", "200"}, {"C", "300"}, {"N", "1"}}));
}

TEST_P(Verbs, WriteIfTouchesOnlyTheExpectedValue) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  EXPECT_EQ(does(0, {.verb = Verb::write_if, .key = "A", .value = "1", .expected = "100"}).rows, 1);
  EXPECT_EQ(does(0, {.verb = Verb::write_if, .key = "A", .value = "2", .expected = "100"}).rows, 0);
  EXPECT_EQ(does(0, {.verb = Verb::write_if, .key = "N", .value = "2", .expected = ""}).rows, 0);
  EXPECT_EQ(read(0, "A"), "1");
  EXPECT_EQ(read(0, "N"), "(none)");
  commit(0);
}

TEST_P(Verbs, AddGivesTheSum) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  const Reply sum = does(0, {.verb = Verb::add, .key = "A", .delta = 5});
  EXPECT_EQ(sum.value, "105");
  EXPECT_EQ(sum.rows, 1);
  EXPECT_EQ(does(0, {.verb = Verb::add, .key = "A", .delta = -1105}).value, "-1000");
  EXPECT_EQ(read(0, "A"), "-1000");
  const Reply none = does(0, {.verb = Verb::add, .key = "N", .delta = 5});
  EXPECT_EQ(none.value, std::nullopt);
  EXPECT_EQ(none.rows, 0);
  EXPECT_EQ(read(0, "N"), "(none)");
  commit(0);
  EXPECT_EQ(committed()[0].second, "-1000");
}

TEST_P(Verbs, AddRefusesWhatIsNoNumberOrTooLarge) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  for (const char* value : {"twelve", "12abc", "1.5", "", "9223372036854775807"}) {
    begin(0);
    write(0, "A", value);
    EXPECT_EQ(fails(0, {.verb = Verb::add, .key = "A", .delta = 1}), Fault::invalid) << value;
    abort(0);
  }
  begin(0);
  write(0, "A", "9223372036854775807");
  EXPECT_EQ(does(0, {.verb = Verb::add, .key = "A", .delta = -1}).value, "9223372036854775806");
  commit(0);
}

TEST_P(Verbs, AddIfTouchesOnlyWhatStaysAboveTheFloor) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  EXPECT_EQ(does(0, {.verb = Verb::add_if, .key = "A", .delta = -60, .floor = 0}).rows, 1);
  EXPECT_EQ(does(0, {.verb = Verb::add_if, .key = "A", .delta = -60, .floor = 0}).rows, 0);
  EXPECT_EQ(does(0, {.verb = Verb::add_if, .key = "A", .delta = -40, .floor = 0}).rows, 1);
  EXPECT_EQ(does(0, {.verb = Verb::add_if, .key = "N", .delta = 1, .floor = 0}).rows, 0);
  EXPECT_EQ(read(0, "A"), "0");
  commit(0);
}

TEST_P(Verbs, EraseTakesTheRowAway) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  EXPECT_EQ(does(0, {.verb = Verb::erase, .key = "B"}).rows, 1);
  EXPECT_EQ(does(0, {.verb = Verb::erase, .key = "B"}).rows, 0);
  EXPECT_EQ(read(0, "B"), "(none)");
  EXPECT_EQ(does(0, {.verb = Verb::erase, .key = "C"}).rows, 1);
  does(0, {.verb = Verb::insert, .key = "C", .value = "again"});
  commit(0);
  EXPECT_EQ(committed(), (State{{"A", "100"}, {"C", "again"}}));
}

TEST_P(Verbs, ScanGivesRowsInTheOrderOfTheirBytes) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  const State state = {{"B", "1"},    {"a", "2"},   {"a ", "3"}, {"a/1", "4"},
                       {"a/10", "5"}, {"a/2", "6"}, {"b", "7"},  {"é", "8"}};
  open(state);
  for (const Verb verb : {Verb::scan, Verb::scan_for_update}) {
    begin(0);
    const Reply all = does(0, {.verb = verb});
    EXPECT_EQ(all.table, rows(state));
    EXPECT_EQ(all.rows, 8);
    EXPECT_EQ(scan(0, "a/", "a/2", SIZE_MAX, verb), rows({{"a/1", "4"}, {"a/10", "5"}})) << "the end is not included";
    EXPECT_EQ(scan(0, "a/1", "", 2, verb), rows({{"a/1", "4"}, {"a/10", "5"}}));
    EXPECT_EQ(scan(0, "b", "", SIZE_MAX, verb), rows({{"b", "7"}, {"é", "8"}}));
    EXPECT_THAT(scan(0, "", "", 0, verb), IsEmpty());
    EXPECT_THAT(scan(0, "x", "a", SIZE_MAX, verb), IsEmpty()) << "an end before the start";
    EXPECT_THAT(scan(0, "c", "d", SIZE_MAX, verb), IsEmpty());
    commit(0);
  }
}

TEST_P(Verbs, ScanSeesWhatItsTransactionDid) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("AA");
  begin(0);
  write(0, "AA", "new");
  write(0, "C", "changed");
  does(0, {.verb = Verb::erase, .key = "B"});
  EXPECT_EQ(scan(0, "", ""), rows({{"A", "100"}, {"AA", "new"}, {"C", "changed"}}));
  EXPECT_EQ(scan(0, "", "", 2), rows({{"A", "100"}, {"AA", "new"}}));
  EXPECT_EQ(scan(0, "AA", "B", SIZE_MAX, Verb::scan_for_update), rows({{"AA", "new"}}));
  commit(0);
}

TEST_P(Verbs, KeepAnyText) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  const std::string long_value(100'000, 'x');
  const State state = {{"%s{}\\n", "$1 ?1 :x @y"},    {"'; DROP TABLE kv; --", "'quoted'"},
                       {"a key with \"quotes\"", ""}, {"line\nbreak", "tab\tand\r\n"},
                       {"long", long_value},          {"naïve/ключ", "значение ✓"}};
  for (const auto& [key, value] : state) claims_.push_back(key);
  begin(0);
  for (const auto& [key, value] : state) write(0, key, value);
  for (const char* key : {"A", "B", "C"}) does(0, {.verb = Verb::erase, .key = key});
  for (const auto& [key, value] : state) EXPECT_EQ(read(0, key), value);
  commit(0);
  EXPECT_EQ(committed(), state);
  for (const auto& [key, value] : state) {
    begin(0);
    EXPECT_EQ(does(0, {.verb = Verb::write_if, .key = key, .value = "found", .expected = value}).rows, 1) << key;
    commit(0);
  }
}

TEST_P(Verbs, AbortUndoesEverything) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  const State before = committed();
  begin(0);
  write(0, "A", "1");
  does(0, {.verb = Verb::insert, .key = "N", .value = "1"});
  does(0, {.verb = Verb::erase, .key = "B"});
  does(0, {.verb = Verb::add, .key = "C", .delta = 1});
  abort(0);
  EXPECT_FALSE(session(0).in_transaction());
  EXPECT_EQ(committed(), before);
  begin(0);
  EXPECT_EQ(read(0, "A"), "100");
  EXPECT_EQ(read(0, "N"), "(none)");
  commit(0);
}

TEST_P(Verbs, RollBackToASavepointUndoesWhatCameAfterIt) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  claims_.push_back("N");
  begin(0);
  write(0, "A", "1");
  does(0, {.verb = Verb::savepoint, .key = "s"});
  write(0, "A", "2");
  write(0, "N", "2");
  does(0, {.verb = Verb::erase, .key = "B"});
  does(0, {.verb = Verb::rollback_to, .key = "s"});
  EXPECT_EQ(read(0, "A"), "1");
  EXPECT_EQ(read(0, "N"), "(none)");
  EXPECT_EQ(read(0, "B"), "200");
  write(0, "A", "3");
  does(0, {.verb = Verb::rollback_to, .key = "s"});
  EXPECT_EQ(read(0, "A"), "1") << "the savepoint stays";
  does(0, {.verb = Verb::release, .key = "s"});
  commit(0);
  EXPECT_EQ(committed(), (State{{"A", "1"}, {"B", "200"}, {"C", "300"}}));
}

TEST_P(Verbs, SavepointsNestAndRepeatTheirNames) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  does(0, {.verb = Verb::savepoint, .key = "s"});
  write(0, "A", "1");
  does(0, {.verb = Verb::savepoint, .key = "a \"quoted\" name"});
  write(0, "A", "2");
  does(0, {.verb = Verb::savepoint, .key = "s"});
  write(0, "A", "3");
  does(0, {.verb = Verb::rollback_to, .key = "s"});
  EXPECT_EQ(read(0, "A"), "2") << "the latest of a name counts";
  does(0, {.verb = Verb::rollback_to, .key = "a \"quoted\" name"});
  EXPECT_EQ(read(0, "A"), "1");
  does(0, {.verb = Verb::rollback_to, .key = "s"});
  EXPECT_EQ(read(0, "A"), "100") << "the inner one of that name is gone";
  write(0, "B", "1");
  does(0, {.verb = Verb::release, .key = "s"});
  EXPECT_EQ(fails(0, {.verb = Verb::rollback_to, .key = "s"}), Fault::invalid);
  abort(0);
}

TEST_P(Verbs, SavepointsThatDoNotExistAreInvalid) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  for (const Verb verb : {Verb::rollback_to, Verb::release}) {
    begin(0);
    does(0, {.verb = Verb::savepoint, .key = "upper"});
    EXPECT_EQ(fails(0, {.verb = verb, .key = "Upper"}), Fault::invalid);
    abort(0);
  }
}

TEST_P(Verbs, OutsideATransactionAreInvalidButForBeginAndAbort) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  const State before = committed();
  const Request requests[] = {{.verb = Verb::read, .key = "A"},
                              {.verb = Verb::read_for_update, .key = "A"},
                              {.verb = Verb::write, .key = "A", .value = "1"},
                              {.verb = Verb::insert, .key = "N", .value = "1"},
                              {.verb = Verb::write_if, .key = "A", .value = "1", .expected = "100"},
                              {.verb = Verb::add, .key = "A", .delta = 1},
                              {.verb = Verb::add_if, .key = "A", .delta = 1},
                              {.verb = Verb::erase, .key = "A"},
                              {.verb = Verb::scan},
                              {.verb = Verb::scan_for_update},
                              {.verb = Verb::savepoint, .key = "s"},
                              {.verb = Verb::rollback_to, .key = "s"},
                              {.verb = Verb::release, .key = "s"},
                              {.verb = Verb::commit}};
  const auto all_are_refused = [&](const char* when) {
    for (const Request& request : requests) {
      EXPECT_EQ(fails(0, request), Fault::invalid) << name_of(request.verb) << " " << when;
      EXPECT_FALSE(session(0).in_transaction());
    }
    abort(0);
  };
  all_are_refused("before begin");
  begin(0);
  commit(0);
  all_are_refused("after commit");
  begin(0);
  abort(0);
  all_are_refused("after abort");
  EXPECT_EQ(committed(), before);
}

TEST_P(Verbs, BeginInsideATransactionIsInvalidAndTheTransactionGoesOn) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  begin(0);
  write(0, "A", "1");
  EXPECT_EQ(fails(0, {.verb = Verb::begin}), Fault::invalid);
  EXPECT_TRUE(session(0).in_transaction());
  EXPECT_EQ(read(0, "A"), "1");
  commit(0);
  EXPECT_EQ(committed()[0].second, "1");
}

TEST_P(Verbs, RefuseAnEmptyKey) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  for (const Verb verb : {Verb::read, Verb::read_for_update, Verb::write, Verb::insert, Verb::write_if, Verb::add,
                          Verb::add_if, Verb::erase}) {
    begin(0);
    EXPECT_EQ(fails(0, {.verb = verb}), Fault::invalid) << name_of(verb);
    EXPECT_EQ(read(0, "A"), "100") << "the refusal left the transaction as it was";
    commit(0);
  }
}

TEST_P(Verbs, KnowWhetherATransactionIsOpen) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  EXPECT_FALSE(session(0).in_transaction());
  begin(0);
  EXPECT_TRUE(session(0).in_transaction());
  read(0, "A");
  EXPECT_TRUE(session(0).in_transaction());
  commit(0);
  EXPECT_FALSE(session(0).in_transaction());
}

TEST_P(Verbs, ExecuteIsForStoresWithSql) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  if (rows_are_spread()) GTEST_SKIP() << "a statement sees the rows of one server (pair_session_test.cc)";
  const Request select{.verb = Verb::execute, .key = "SELECT k, v FROM kv WHERE k = 'A'"};
  if (!backend_named(GetParam().backend)->traits.sql) {
    EXPECT_EQ(fails(0, select), Fault::unsupported);
    EXPECT_EQ(backend_->query("SELECT 1").fault(), Fault::unsupported);
    const std::vector<std::string> ddl = {"CREATE TABLE t (n INTEGER)"};
    EXPECT_EQ(backend_->set_up({}, ddl).fault(), Fault::unsupported);
    return;
  }
  EXPECT_EQ(does(0, select).table, rows({{"A", "100"}})) << "outside a transaction as well";
  EXPECT_FALSE(session(0).in_transaction());
  begin(0);
  EXPECT_EQ(does(0, {.verb = Verb::execute, .key = "UPDATE kv SET v = '1' WHERE k <> 'A'"}).rows, 2);
  EXPECT_EQ(does(0, {.verb = Verb::execute, .key = "UPDATE kv SET v = '1' WHERE k = 'Z'"}).rows, 0);
  EXPECT_EQ(does(0, {.verb = Verb::execute, .key = "SELECT NULL, v FROM kv WHERE k = 'B'"}).table,
            (Table{{std::nullopt, "1"}}));
  abort(0);
  begin(0);
  EXPECT_EQ(fails(0, {.verb = Verb::execute, .key = "SELEC"}), Fault::invalid);
  abort(0);
  EXPECT_EQ(backend_->query("SELECT count(*) FROM kv").value(), (Table{{"3"}}));
  EXPECT_EQ(backend_->query("SELEC").fault(), Fault::invalid);
}

TEST_P(Verbs, SetUpReplacesWhatWasThere) {
  LOCKSTEP_SKIP_WITHOUT_STORE();
  ASSERT_TRUE(backend_->set_up({{"A", "1"}, {"Z", "2"}}, {}).ok());
  EXPECT_EQ(committed(), (State{{"A", "1"}, {"Z", "2"}}));
  ASSERT_TRUE(backend_->set_up({}, {}).ok());
  EXPECT_EQ(committed(), State{});
}

TEST(Backends, AreNamedOnceAndHaveProtocols) {
  std::vector<std::string_view> names;
  for (const BackendKind& kind : backends()) {
    EXPECT_THAT(names, ::testing::Not(::testing::Contains(kind.name)));
    names.push_back(kind.name);
    EXPECT_FALSE(kind.protocols.empty()) << kind.name;
    EXPECT_FALSE(kind.summary.empty());
    EXPECT_EQ(backend_named(kind.name)->name, kind.name);
    BackendOptions options;
    options.protocol = "no-such-protocol";
    const auto opened = kind.open(options);
    ASSERT_FALSE(opened.ok()) << kind.name;
    EXPECT_EQ(opened.fault(), Fault::invalid);
    EXPECT_THAT(opened.error().message, ::testing::HasSubstr("no-such-protocol"));
  }
  EXPECT_EQ(names.front(), "kv");
  EXPECT_EQ(backend_named("no-such-store"), nullptr);
}

}  // namespace
}  // namespace lockstep
