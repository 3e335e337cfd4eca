// matrix_test.cc: the cells of a matrix, kept and read back, and what a run amounts to in a word.
#include "engine/record/matrix.h"

#include <gmock/gmock.h>

#include "tests/engine/record/recording.h"

namespace lockstep::record {
namespace {

using testing::HasSubstr;

Event ended(EventKind kind, const std::string& verb, const std::string& detail, std::optional<Fault> fault = {},
            const std::string& code = "") {
  Event event;
  event.kind = kind;
  event.verb = verb;
  event.detail = detail;
  event.fault = fault;
  event.code = code;
  return event;
}

TEST(Matrix, SaysInAWordHowARunCameOut) {
  const Event wait = ended(EventKind::wait, "write", "");
  const Event no_row = ended(EventKind::grant, "add_if", "0 rows");
  const struct {
    const char* store;
    const char* protocol;
    Verdict verdict;
    std::vector<Event> events;
    const char* how;
    bool reads_snapshot = false;
  } examples[] = {
      {"postgres", "read-committed", Verdict::anomaly, {wait}, "✗"},
      {"postgres",
       "serializable",
       Verdict::abort,
       {wait, ended(EventKind::fault, "commit", "", Fault::serialization_failure, "40001")},
       "40001"},
      {"postgres",
       "serializable",
       Verdict::deadlock,
       {ended(EventKind::fault, "write", "", Fault::deadlock, "40P01")},
       "40P01"},
      {"sqlite",
       "deferred",
       Verdict::abort,
       {ended(EventKind::fault, "write", "", Fault::busy, "SQLITE_BUSY")},
       "BUSY"},
      {"sqlite",
       "deferred-wal",
       Verdict::abort,
       {ended(EventKind::fault, "write", "", Fault::busy_snapshot, "SQLITE_BUSY_SNAPSHOT")},
       "BUSY_SNAPSHOT"},
      {"postgres",
       "read-committed",
       Verdict::clean,
       {ended(EventKind::fault, "execute", "", Fault::constraint, "23P01")},
       "constraint"},
      {"kv", "occ", Verdict::abort, {ended(EventKind::fault, "commit", "", Fault::validation_failure)}, "validation"},
      {"galera",
       "snapshot",
       Verdict::abort,
       {ended(EventKind::fault, "commit", "1213", Fault::certification_failure)},
       "conflict"},
      {"kv", "2pl-detect", Verdict::clean, {wait}, "waits"},
      {"kv", "2pl-detect", Verdict::clean, {wait, no_row}, "zero rows"},
      {"kv", "2pl-detect", Verdict::clean, {ended(EventKind::wait, "pause", "")}, "clean"},
      // A rule of the business that says no is no fault of the store.
      {"kv", "2pl-detect", Verdict::clean, {wait, ended(EventKind::fault, "", "", Fault::refused)}, "waits"},
      {"postgres", "repeatable-read", Verdict::clean, {}, "snapshot", true},
      {"postgres", "repeatable-read", Verdict::clean, {wait}, "waits", true},
      {"kv", "serial", Verdict::clean, {}, "clean"},
  };
  for (const auto& [store, protocol, verdict, events, how, reads_snapshot] : examples) {
    record::Run run;
    run.store = store;
    run.protocol = protocol;
    run.verdict = verdict;
    run.events = events;
    EXPECT_EQ(how_of(run, reads_snapshot), how) << store << " " << protocol;
  }
}

TEST(Matrix, IsReadBackAsItWasWritten) {
  MatrixCell cell{"isolation/write-skew", "Write \"skew\"", "plain", "postgres", "serializable", "threads",
                  Verdict::abort,         Verdict::abort,   "40001", "1 abort",  "0123456789ab"};
  MatrixCell failed = cell;
  failed.verdict.reset();
  failed.how = "could not run \xff";
  const auto read = matrix_of(to_json({cell, failed}));
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].title, cell.title);
  EXPECT_EQ((*read)[0].verdict, Verdict::abort);
  EXPECT_TRUE((*read)[0].as_expected());
  EXPECT_FALSE((*read)[1].verdict);
  EXPECT_FALSE((*read)[1].as_expected());
}

TEST(Matrix, IsRefusedWhenItIsNone) {
  for (const char* text : {"", "[]", "{}", "{\"format\":\"lockstep-matrix\",\"version\":1}",
                           "{\"format\":\"lockstep-matrix\",\"version\":1,\"cells\":[{}]}"}) {
    EXPECT_FALSE(matrix_of(text).ok()) << text;
  }
  const auto newer = matrix_of("{\"format\":\"lockstep-matrix\",\"version\":2,\"cells\":[]}");
  ASSERT_FALSE(newer.ok());
  EXPECT_THAT(newer.error().message, HasSubstr("version 2, this program reads version 1"));
}

}  // namespace
}  // namespace lockstep::record
