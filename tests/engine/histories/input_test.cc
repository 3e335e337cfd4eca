// input_test.cc: what files look like, and what is said of those that are no history. No input is a crash.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <random>

#include "engine/histories/judge.h"

namespace lockstep::histories {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string error_of(const std::string& text, const JudgeRequest& request = {}) {
  const Result<Judged> judged = judge_text(text, request);
  return judged ? "none" : judged.error().message;
}

constexpr const char* kInvoke = "{:type :invoke :process 0 :f :txn :value [[:append x 1]]}\n";
constexpr const char* kOk = "{:type :ok :process 0 :f :txn :value [[:append x 1]]}\n";

TEST(Input, IsReadInEverySyntaxOfEdn) {
  const std::string text = R"(; a comment
#_ {:not "read"} ^{:meta 1}
[#jepsen.history.Op{:type :invoke, :process 0, :f :txn, :value [[:append :a/b 1N]] :time 1.5M :error #inst "2026"}
 {:type :ok, :process 0, :f :txn, :value ([:append :a/b 1]) :extra #{1 \a \[ #_ 2} :nan ##NaN}
 #_{:type :ok}
 {:process :nemesis :type :info :f :start :value #object[a.B "0x1" "b"]}
 {:type :invoke :process 1 :f :txn :value [[:r :a/b nil]]}, {:type :ok :process 1 :f :txn :value [[:r :a/b [1]]]}])";
  const Result<Judged> judged = judge_text(text, {});
  ASSERT_TRUE(judged.ok()) << judged.error().message;
  EXPECT_EQ(judged->answer(), Judgement::holds);
  EXPECT_EQ(judged->committed, 2u);
}

TEST(Input, HasTextsForKeysAndElements) {
  const std::string text =
      R"({"type":"ok","process":0,"f":"txn","value":[["append","\u00e9\n\"",-3],["append","k","\ud83d\ude00"]]}
{"type":"ok","process":1,"f":"txn","value":[["r","é\n\"",[-3]],["r","k",["😀"]]]})";
  const Result<Judged> judged = judge_text(text, {});
  ASSERT_TRUE(judged.ok()) << judged.error().message;
  EXPECT_EQ(judged->answer(), Judgement::holds);
}

TEST(Input, IsNeverValidWhereNothingWasRead) {
  for (const char* text : {"", "[]", "()", " \n", "[{:type :info :process :nemesis :f :start}]",
                           R"([{"type":"info","process":"nemesis","f":"start"}])"}) {
    const Result<Judged> judged = judge_text(text, {});
    ASSERT_TRUE(judged.ok()) << text << judged.error().message;
    EXPECT_EQ(judged->answer(), Judgement::unknown) << text;
    EXPECT_FALSE(judged->asked.front().why.empty());
  }
  const Result<Judged> failed = judge_text(
      "{:type :invoke :process 0 :f :txn :value [[:append x 1]]}\n"
      "{:type :fail :process 0 :f :txn :value [[:append x 1]]}",
      {});
  ASSERT_TRUE(failed.ok());
  EXPECT_EQ(failed->answer(), Judgement::unknown);
  EXPECT_EQ(failed->asked.front().why, "no transaction committed");
}

TEST(Input, SaysWhatIsMissingFromHandWrittenExamples) {
  const Result<Judged> judged = judge_text(
      "{:index 0 :type :invoke :value [[:append x 1]]}\n"
      "{:index 1 :type :ok :value [[:append x 1]]}\n"
      "{:index 2 :type :ok :value [[:r x [1]]]}\n",
      {});
  ASSERT_TRUE(judged.ok()) << judged.error().message;
  EXPECT_EQ(judged->answer(), Judgement::holds);
  EXPECT_THAT(judged->notes, testing::ElementsAre(HasSubstr("without f"), HasSubstr("without a process")));
}

TEST(Input, ThatIsWrongIsNamedByItsLine) {
  const std::string invoke = kInvoke, ok = kOk;
  EXPECT_EQ(error_of(invoke + ok + "{:type :invoke"), "3: the text ends before '}'");
  EXPECT_EQ(error_of("[" + invoke + ok), "3: the text ends before the list does: ']' is missing");
  EXPECT_EQ(error_of("[" + invoke + "] 5"), "2: something stands behind the list of operations");
  EXPECT_EQ(error_of(invoke + "}"), "2: '}' closes nothing");
  EXPECT_EQ(error_of(invoke + "5"), "2: an operation is a map, not 5");
  EXPECT_EQ(error_of(invoke + "{:type}"), "2: a map with a key that has no value");
  EXPECT_EQ(error_of(invoke + "{:process 1}"), "2: an operation without a type");
  EXPECT_EQ(error_of(invoke + "{:type :done}"), "2: type \"done\" is none of invoke, ok, fail, info");
  EXPECT_EQ(error_of(invoke + invoke), "2: process 0 begins again, while its operation of line 1 has not ended");
  EXPECT_EQ(error_of(invoke + "{:type :ok :process 0 :f :txn :value [[:r x 5]]}"),
            "2: a read of x gives 5, which is no list");
  EXPECT_EQ(error_of(invoke + "{:type :ok :process 0 :f :txn :value [[:append x 1] 7]}"), "2: 7 is no [f k v]");
  EXPECT_EQ(error_of(invoke + "{:type :ok :process 0 :f :txn}"),
            "2: a transaction is [[f k v] ...], and an ok one says what it read");
  EXPECT_THAT(error_of(invoke + "{:type :ok :process 0 :f :read :value 1}"), StartsWith("2: f read is no transaction"));
  EXPECT_THAT(error_of(invoke + "{:type :ok :process 0 :f :txn :value [[:w x 1]]}"),
              StartsWith("2: [w x 1] is neither a read nor an append"));
  EXPECT_EQ(error_of(invoke + ok + "\n{:type :ok :process 1 :f :txn :value [[:append x 1]]}"),
            "4: 1 is written to x a second time, first in line 1: who was read cannot be told");
  EXPECT_EQ(error_of(R"({"type": "ok", "value": tru})"), "1: \"tru\" is no value");
  EXPECT_EQ(error_of(R"({"type" "ok"})", {.syntax = Syntax::json}), "1: ':' should stand here");
  EXPECT_EQ(error_of("{\"type\": \"o\\q\"}"), "1: \\q is no escape");
  EXPECT_EQ(error_of(std::string(100'000, '[')), "1: deeper than 64 levels");
  std::string discards;
  for (int i = 0; i < 100'000; ++i) discards += "#_ ";
  EXPECT_EQ(error_of(discards, {.syntax = Syntax::edn}), "1: more than 64 #_ in a row");
}

TEST(Input, HasIndexesThatRise) {
  const auto with = [](int a, int b) {
    return fmt::format(
        "{{:type :ok :process 0 :f :txn :index {} :value [[:append x 1]]}}\n"
        "{{:type :ok :process 0 :f :txn :index {} :value [[:append x 2]]}}\n",
        a, b);
  };
  EXPECT_EQ(error_of(with(3, 5)), "none");
  EXPECT_EQ(error_of(with(3, 3)), "2: index 3 repeats that of line 1, which is 3");
  EXPECT_EQ(error_of(with(3, 2)), "2: index 2 is less than that of line 1, which is 3");
}

TEST(Input, TakesOneElementInTwoKeys) {
  EXPECT_EQ(error_of("{:type :ok :process 0 :f :txn :value [[:append x 1] [:append y 1]]}"), "none");
}

/// Valid texts with pieces changed, cut out and repeated: any verdict or error will do.
TEST(Input, OfAnyKindIsNoCrash) {
  const std::vector<std::string> seeds = {
      std::string(kInvoke) + kOk + "{:type :ok :process 1 :f :txn :value [[:r x [1]] [:append y 2]]}",
      R"([{"type":"invoke","f":"txn","process":0,"value":[["w","x",2],["r","y",null]]},{"type":"ok","f":"txn","process":0,"value":[["w","x",2],["r","y","\u0041"]]}])",
      "{:type :invoke :process 0 :f :cas :value [1 2]} {:type :info :process 0 :f :cas} {:type :ok :process 1 :f :read "
      ":value 2}",
      "{:type :ok :process 0 :f :read :value {0 5, 1 5}} {:type :ok :process 0 :f :transfer :value {:from 0 :to 1 "
      ":amount 1}}",
      "{:type :ok :process 0 :f :add :value 1} {:type :ok :process 0 :f :read :value #{1}} #_ {} ^{:a 1} #x{:type "
      ":info}",
      "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:ok\t:write\t4\n"};
  const std::string pieces = "[](){}\"\\:#_^;, \n\t0-9NMruwx";
  const char* const seed_of = std::getenv("LOCKSTEP_SEED");
  const std::uint64_t seed = seed_of != nullptr ? std::strtoull(seed_of, nullptr, 10) : 1;
  SCOPED_TRACE(fmt::format("LOCKSTEP_SEED={}", seed));
  std::mt19937_64 random(seed);
  std::size_t judged = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (std::size_t changes = 1 + random() % 4; changes > 0 && !text.empty(); --changes) {
      const std::size_t at = random() % text.size(), length = 1 + random() % 9;
      switch (random() % 4) {
        case 0:
          text[at] = pieces[random() % pieces.size()];
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), length));
          break;
        default:
          text.insert(at, 1, static_cast<char>(random() % 256));
      }
    }
    const Result<Judged> result = judge_text(text, {});
    judged += result.ok() ? 1 : 0;
    if (!result) {
      EXPECT_THAT(result.error().message, testing::MatchesRegex("[0-9]+: (.|\n)+"));
    }
  }
  EXPECT_GT(judged, 1000u);
}

}  // namespace
}  // namespace lockstep::histories
