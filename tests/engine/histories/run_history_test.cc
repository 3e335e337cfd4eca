// run_history_test.cc: events of runs that no right store would make, as histories.
#include "engine/histories/run_history.h"

#include <gmock/gmock.h>

#include "engine/histories/judge.h"
#include "engine/record/known_rows.h"
#include "engine/record/moments.h"

namespace lockstep::histories {
namespace {

using check::Judgement;
using check::Level;
using check::Ordering;
using record::EventKind;
using testing::HasSubstr;
using testing::Not;

using Rows = std::vector<std::pair<std::string, std::string>>;

/// A run told step by step.
class Story {
 public:
  explicit Story(Rows given) : given_(std::move(given)) {
    run.store = "kv";
    run.actors = {"T1", "T2", "T3"};
  }

  Story& step(int actor, const char* verb, const char* object = "", const char* detail = "", const char* answer = "") {
    request(actor, verb, object, detail);
    event(actor, EventKind::grant, verb, object, answer);
    return *this;
  }
  Story& fault(int actor, const char* verb, Fault fault) {
    request(actor, verb, "", "");
    event(actor, EventKind::fault, verb, "", "");
    run.events.back().fault = fault;
    return *this;
  }
  Story& request(int actor, const char* verb, const char* object, const char* detail) {
    ++step_;
    event(actor, EventKind::request, verb, object, detail);
    return *this;
  }

  Result<RunHistory> history(Rows ends = {}, Syntax syntax = Syntax::edn) {
    record::KnownRows known;
    if (!ends.empty()) known.ends = std::move(ends);
    run.documents[record::kKnownRowsDocument] = to_json(known);
    run.documents[record::kMomentsDocument] = to_json(record::Moments{.given = given_, .locks = {}});
    return history_of(run, syntax);
  }

  record::Run run;

 private:
  void event(int actor, EventKind kind, const char* verb, const char* object, const char* detail) {
    record::Event one;
    one.seq = run.events.size() + 1;
    one.actor = actor;
    one.step = step_;
    one.kind = kind;
    one.verb = verb;
    one.object = object;
    one.detail = detail;
    run.events.push_back(std::move(one));
  }

  const Rows given_;
  std::uint32_t step_ = 0;
};

Judgement answer(const Result<RunHistory>& history, Level level) {
  EXPECT_TRUE(history) << history.error().message;
  const auto judged = judge_text(history->text, {.claims = {{level, Ordering::none}}});
  EXPECT_TRUE(judged) << judged.error().message << "\n" << history->text;
  return judged->answer();
}

TEST(RunHistory, WritesEachAttemptAndTheRowsAtTheEnd) {
  Story story(Rows{{"A", "100"}});
  story.step(0, "begin").step(0, "read", "A", "", "100").step(1, "begin").step(0, "write", "A", "90");
  story.step(0, "commit").step(1, "read", "A", "", "90").fault(1, "commit", Fault::serialization_failure);
  story.step(1, "abort");
  const auto history = story.history({{"A", "90"}});
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(history->text,
            "{:index 0 :type :invoke :process 0 :f :txn :value [[:r \"A\" nil] [:w \"A\" \"90\"]]}\n"
            "{:index 1 :type :invoke :process 1 :f :txn :value [[:r \"A\" nil]]}\n"
            "{:index 2 :type :ok :process 0 :f :txn :value [[:r \"A\" nil] [:w \"A\" \"90\"]]}\n"
            "{:index 3 :type :fail :process 1 :f :txn :value [[:r \"A\" nil]]}\n"
            "{:index 4 :type :invoke :process 3 :f :txn :value [[:r \"A\" nil]]}\n"
            "{:index 5 :type :ok :process 3 :f :txn :value [[:r \"A\" \"90\"]]}\n");
  EXPECT_EQ(history->left_out, 0u);
  const auto json = story.history({{"A", "90"}}, Syntax::json);
  EXPECT_THAT(json->text, HasSubstr(R"({"index":0,"type":"invoke","process":0,"f":"txn","value":[["r","A",null])"));
}

TEST(RunHistory, ShowsALostUpdateOfEqualSums) {
  Story story(Rows{{"A", "100"}});
  story.step(0, "begin").step(1, "begin").step(0, "read", "A", "", "100").step(1, "read", "A", "", "100");
  story.step(0, "write", "A", "110").step(0, "commit").step(1, "write", "A", "110").step(1, "commit");
  const auto history = story.history({{"A", "110"}});
  EXPECT_EQ(history->left_out, 1u) << "whose 110 stands there at the end?";
  EXPECT_THAT(history->text, HasSubstr("110 #2"));
  EXPECT_EQ(answer(history, Level::snapshot), Judgement::broken);
  EXPECT_NE(answer(history, Level::read_committed), Judgement::broken);
}

TEST(RunHistory, ShowsADirtyReadAndOneOfWhatWasRolledBackToASavepoint) {
  Story dirty(Rows{{"A", "100"}});
  dirty.step(0, "begin").step(0, "write", "A", "1").step(1, "begin").step(1, "read", "A", "", "1");
  dirty.step(1, "commit").step(0, "abort");
  EXPECT_EQ(answer(dirty.history(), Level::read_committed), Judgement::broken);
  Story undone(Rows{{"A", "100"}});
  undone.step(0, "begin").step(0, "savepoint", "s").step(0, "write", "A", "1").step(0, "rollback_to", "s");
  undone.step(0, "write", "B", "2").step(0, "commit");
  undone.step(1, "begin").step(1, "read", "A", "", "1").step(1, "commit");
  EXPECT_EQ(answer(undone.history(), Level::read_committed), Judgement::broken);
  EXPECT_EQ(answer(undone.history(), Level::read_uncommitted), Judgement::holds);
}

TEST(RunHistory, FindsOutWhatAnAddHasMade) {
  Story story(Rows{{"A", "100"}});
  story.step(0, "begin").step(0, "add_if", "A", "-10 if >= 0", "1 row").step(0, "commit");
  story.step(1, "begin").step(1, "add", "A", "+20", "110").step(1, "commit");
  const auto history = story.history({{"A", "110"}});
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(history->left_out, 0u) << history->text;
  EXPECT_THAT(history->text, HasSubstr(R"(:value [[:r "A" "90"] [:w "A" "110"]])"));
  EXPECT_EQ(answer(history, Level::serializable), Judgement::holds);
}

TEST(RunHistory, KnowsWhichRowsAScanDidNotFind) {
  for (const bool limited : {false, true}) {
    Story story(Rows{{"k/1", "a"}, {"k/3", "c"}, {"z", "0"}});
    story.step(0, "begin").step(0, "scan", "[k/, k0)", "", "k/1=a; k/3=c");
    if (limited) story.run.events[2].facts = {{"limit", "2"}};
    story.step(1, "begin").step(1, "insert", "k/2", "b").step(1, "write", "k/4", "d").step(1, "commit");
    story.step(0, "scan", "[k/, k0)", "", "k/1=a; k/2=b; k/3=c; k/4=d").step(0, "commit");
    const auto history = story.history();
    ASSERT_TRUE(history) << history.error().message;
    EXPECT_EQ(answer(history, Level::snapshot), Judgement::broken) << history->text;
    EXPECT_THAT(history->text, Not(HasSubstr("\"z\"")));
    EXPECT_EQ(history->left_out, limited ? 1U : 0U) << "a limit may have kept k/4 out";
    EXPECT_THAT(history->text,
                HasSubstr(limited ? R"([:r "k/3" nil] [:r "k/1" nil])" : R"([:r "k/3" nil] [:r "k/4" nil])"));
  }
}

TEST(RunHistory, GivesANewProcessAfterAnUnknownOutcome) {
  Story story(Rows{{"A", "100"}});
  story.step(0, "begin").step(0, "write", "A", "1").fault(0, "commit", Fault::outcome_unknown);
  story.step(0, "begin").step(0, "read", "A", "", "1").step(0, "commit");
  const auto history = story.history();
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_THAT(history->text, HasSubstr("{:index 1 :type :invoke :process 4 "));
  EXPECT_NE(answer(history, Level::serializable), Judgement::broken);
}

TEST(RunHistory, SaysWhyThereIsNone) {
  Story sql(Rows{{"A", "100"}});
  sql.step(0, "begin").step(0, "execute", "update rows set v = 1").step(0, "commit");
  EXPECT_THAT(sql.history().error().message, HasSubstr("SQL"));
  Story idle(Rows{{"A", "100"}});
  EXPECT_THAT(idle.history().error().message, HasSubstr("no transactions"));
  Story locks(Rows{});
  locks.run.store = record::kNoStore;
  EXPECT_THAT(locks.history().error().message, HasSubstr("no store"));
}

}  // namespace
}  // namespace lockstep::histories
