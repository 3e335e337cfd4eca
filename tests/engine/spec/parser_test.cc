// parser_test.cc: what files mean, and what is said of those that mean nothing.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "engine/spec/spec_file.h"

namespace lockstep::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SpecFile parsed(const std::string& text) {
  ParsedSpec parsed = parse("case.spec", text);
  EXPECT_TRUE(parsed.file.has_value()) << parsed.complaint.text("case.spec") << "\n" << text;
  return parsed.file ? std::move(*parsed.file) : SpecFile{};
}

Complaint complaint(const std::string& text) {
  ParsedSpec parsed = parse("case.spec", text);
  EXPECT_FALSE(parsed.file.has_value()) << text;
  return parsed.complaint;
}

std::string said(const std::string& text) { return complaint(text).text("case.spec"); }

std::vector<std::string> order_of(const SpecPattern& pattern) {
  std::vector<std::string> names;
  for (const int each : pattern.order) names.push_back(pattern.sessions[static_cast<std::size_t>(each)].name);
  return names;
}

const char* const kTwoSessions =
    "session s1\n"
    "step a { select 1; }\n"
    "session s2\n"
    "step b { select 2; }\n";

TEST(SpecParser, ReadsAScriptOfLines) {
  const SpecFile file = parsed(
      "# Two transfers\n# take two rows\n# in opposite order.\n\n"
      "setup { create table a (id int); }\n\n"
      "T1: begin\n"
      "T1: update a set id = id + 1\n"
      "      where id = 1;\n"
      "T2: begin   \r\n"
      "T1: commit\n");
  EXPECT_EQ(file.title, "Two transfers");
  EXPECT_EQ(file.story, "take two rows in opposite order.");
  ASSERT_EQ(file.patterns.size(), 1u);
  const SpecPattern& pattern = file.patterns.front();
  EXPECT_EQ(pattern.name, "plain");
  EXPECT_THAT(order_of(pattern), ElementsAre("T1", "T1", "T2", "T1"));
  ASSERT_EQ(pattern.sessions.size(), 2u);
  ASSERT_EQ(pattern.sessions[0].steps.size(), 3u);
  EXPECT_EQ(pattern.sessions[0].steps[1].text, "update a set id = id + 1\n      where id = 1");
  EXPECT_EQ(pattern.sessions[0].steps[1].line, 8);
  EXPECT_EQ(pattern.sessions[0].steps[1].last_line, 9);
  EXPECT_EQ(pattern.sessions[1].steps[0].text, "begin");
  EXPECT_EQ(pattern.sessions[1].line, 10);
  EXPECT_EQ(file.setups.front().text, "create table a (id int);");
}

TEST(SpecParser, ReadsASpecOfPostgresAsPostgresDoes) {
  const SpecFile file = parsed(
      "# every form\n"
      "setup { create table t (id int); }\n"
      "setup\n{\n  insert into t values (1);\n  select 1;\n}\n"
      "teardown { drop table t; }\n"
      "session s1\n"
      "setup { begin; }\n"
      "step a { select * from t; }\n"
      "step \"b \"\"quoted\"\"\" {\n  select id -- a comment\n }\n"
      "step \xc3\xa9{ select 1 as x; }\n"
      "step empty { }\n"
      "teardown { rollback; }\n"
      "session \"s 2\" step c { select 7; } # a comment\n"
      "permutation a \"b \"\"quoted\"\"\" \xc3\xa9\n"
      "permutation c(a, empty notices 2,*) empty a\n");
  EXPECT_EQ(file.setups.size(), 2u);
  EXPECT_EQ(file.setups[1].text, "\n  insert into t values (1);\n  select 1;\n");
  EXPECT_EQ(file.setups[1].line, 4);
  EXPECT_EQ(file.teardown->text, "drop table t;");
  const SpecPattern& pattern = file.patterns.front();
  const auto& steps = pattern.sessions[0].steps;
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_EQ(steps[1].name, "b \"quoted\"");
  EXPECT_EQ(steps[1].text, "\n  select id -- a comment\n");
  EXPECT_EQ(steps[2].name, "\xc3\xa9");
  EXPECT_EQ(steps[3].text, "");
  EXPECT_EQ(pattern.sessions[0].setup->text, "begin;");
  EXPECT_EQ(pattern.sessions[0].teardown->text, "rollback;");
  EXPECT_EQ(pattern.sessions[1].name, "s 2");
  ASSERT_EQ(pattern.permutations.size(), 2u);
  const PermutationStep& marked = pattern.permutations[1].steps[0];
  ASSERT_EQ(marked.markers.size(), 3u);
  EXPECT_EQ(marked.markers[0].step, "a");
  EXPECT_EQ(marked.markers[1].kind, Marker::Kind::notices);
  EXPECT_EQ(marked.markers[1].notices, 2);
  EXPECT_EQ(marked.markers[2].kind, Marker::Kind::once);
  EXPECT_EQ(pattern.step_named("c"), std::pair(1, 0));
  EXPECT_THAT(pattern.unused_steps(), IsEmpty());
}

TEST(SpecParser, WarnsOfStepsThatNoPermutationHas) {
  EXPECT_THAT(parsed(std::string(kTwoSessions) + "permutation b\n").patterns[0].unused_steps(), ElementsAre("a"));
  EXPECT_THAT(parsed(kTwoSessions).patterns[0].unused_steps(), IsEmpty());
}

TEST(SpecParser, TakesAWordForAStepWherePostgresDoes) {
  const std::string sessions = "session s1 step why { select 1; } step holds { select 2; }\nsession s2 step x { }\n";
  const SpecFile file = parsed(sessions + "permutation x\nwhy\nholds\n");
  EXPECT_EQ(file.patterns[0].permutations[0].steps.size(), 3u);
  const SpecFile with = parsed(std::string(kTwoSessions) + "permutation a\nwhy \"it is so\"\n");
  EXPECT_EQ(with.patterns[0].permutations[0].steps.size(), 1u);
  EXPECT_EQ(with.patterns[0].whys[0].text, "it is so");
}

struct Wrong {
  const char* text;
  const char* said;
  const char* original;
};

TEST(SpecParser, SaysWhatIsolationtesterSays) {
  const std::string two = kTwoSessions;
  const Wrong cases[] = {
      {"session s1\nstep a { select 1; }\nsession s2\nstep a { select 2; }\n",
       "case.spec:4: line 2 has a step a already; a name stands for one step", "duplicate step name: a"},
      {"session s1\nstep a { }\npermutation b\n", "case.spec:3: no step \"b\"; did you mean \"a\"?",
       "undefined step \"b\" specified in permutation"},
      {"session s1\nstep a { }\nsession s2\nstep c { }\npermutation a(c)\n",
       "case.spec:5: a waits for c, which is no step of this permutation",
       "undefined blocking step \"c\" referenced in permutation step \"a\""},
      {"session s1\nstep a { }\nstep b { }\npermutation a(b) b\n",
       "case.spec:4: a waits for b, a step of its own session s1, which is over by then anyway",
       "permutation step \"a\" cannot block on its own session"},
      {"session s1\nstep a { select 1 };\n", "case.spec:2: \";\" stands where a statement or a name must come",
       "syntax error at line 2: unexpected character \";\""},
      {"session s1\n\nteardown { }\n", "", "syntax error at line 3"},
      {"session s1\nstep a { }\npermutation\n", "", "syntax error at line 4"},
      {"step a { }\n", "", "syntax error at line 1"},
      {"", "", "syntax error at line 1"},
      {"session s1\nstep a { }\nsetup { }\n", "", "syntax error at line 3"},
      {"session s1\nstep a { }\npermutation a\nsession s2\nstep b { }\n", "", "syntax error at line 4"},
      {"teardown { }\nteardown { }\nsession s step a { }", "", "syntax error at line 2"},
      {"session setup step a { }", "", "syntax error at line 1"},
      {"session s\nstep a {\n  select 1;\n\n", "case.spec:2: the block that begins here has no closing brace",
       "unterminated sql block at line 5"},
      {"session \"s\n\" step a { }", "case.spec:1: a text in double quotes is not closed on its line",
       "unexpected newline in quoted identifier at line 1"},
      {"session \"s", "", "unterminated quoted identifier at line 1"},
  };
  for (const Wrong& each : cases) {
    const Complaint got = complaint(each.text);
    EXPECT_EQ(got.original, each.original) << each.text;
    if (*each.said != 0) {
      EXPECT_EQ(got.text("case.spec"), each.said);
    }
  }
}

TEST(SpecParser, ReadsWhatMustCome) {
  const SpecFile file = parsed(
      "T1: select 1\n"
      "=> 1 | a\n"
      "   => 2 | b\n"
      "T2: select 2\n"
      "=> waits T1, then 2 rows\n"
      "=> [serializable, repeatable-read] serialization_failure\n"
      "T1: select 3\n"
      "=> waits, then deadlock\n"
      "T1: commit\n"
      "=> waits\n");
  const auto& first = file.patterns[0].sessions[0].steps;
  EXPECT_THAT(first[0].expected[0].rows, ElementsAre("1 | a", "2 | b"));
  EXPECT_EQ(first[0].last_line, 1);
  EXPECT_THAT(first[0].expected[0].lines, ElementsAre(2, 3));
  EXPECT_TRUE(first[1].expected[0].waits);
  EXPECT_THAT(first[1].expected[0].waits_for, IsEmpty());
  EXPECT_THAT(first[1].expected[0].rows, ElementsAre("deadlock"));
  EXPECT_TRUE(first[2].expected[0].waits);
  EXPECT_THAT(first[2].expected[0].rows, IsEmpty());
  const auto& second = file.patterns[0].sessions[1].steps[0].expected;
  ASSERT_EQ(second.size(), 2u);
  EXPECT_THAT(second[0].waits_for, ElementsAre("T1"));
  EXPECT_EQ(second[0].count, 2);
  EXPECT_THAT(second[1].protocols, ElementsAre("serializable", "repeatable-read"));
}

TEST(SpecParser, ReadsPatternsAndWhatIsSaidOfThem) {
  const SpecFile file = parsed(
      "option retries 3\n"
      "T1: begin\n"
      "expect postgres *: deadlock,\n"
      "  serializable: abort   # by the way\n"
      "why \"it is so\" deadlock, abort\n"
      "fix \"one order\" -> ordered\n"
      "holds \"sum\" { select 1 = 1 }\n"
      "on sqlite, postgres\n"
      "option lock-timeout 2s\n"
      "pattern ordered \"in one order\"\n"
      "setup { create index i on t (id); }\n"
      "T1: begin\nT2: begin\n"
      "schedule T2 T1\n"
      "option statement-timeout 5ms\n");
  ASSERT_EQ(file.patterns.size(), 2u);
  const SpecPattern& plain = file.patterns[0];
  ASSERT_EQ(plain.expectations.size(), 2u);
  EXPECT_EQ(plain.expectations[1].protocol, "serializable");
  EXPECT_EQ(plain.expectations[1].verdict, "abort");
  EXPECT_EQ(plain.whys[0].outcomes, "deadlock, abort");
  EXPECT_EQ(plain.fix->pattern, "ordered");
  EXPECT_EQ(file.invariants[0].sql, "select 1 = 1");
  ASSERT_EQ(file.stores.size(), 2u);
  EXPECT_EQ(file.stores[1].name, "postgres");
  EXPECT_EQ(file.stores[1].line, 8);
  const SpecPattern& ordered = file.patterns[1];
  EXPECT_EQ(ordered.summary, "in one order");
  EXPECT_EQ(ordered.setups.size(), 1u);
  EXPECT_THAT(order_of(ordered), ElementsAre("T2", "T1"));
  ASSERT_EQ(ordered.options.size(), 3u);
  EXPECT_EQ(ordered.options[1].value, 2000);
  EXPECT_EQ(ordered.options[2].value, 5);
}

TEST(SpecParser, WritesLoopsOutAndGivesEachSessionItsSteps) {
  const SpecFile file = parsed(
      "session W1, W2\n"
      "  repeat 2\n"
      "    step { begin }\n"
      "    repeat 2\n"
      "      step { select id from jobs } -> job, state\n"
      "      => 1 row\n"
      "    end\n"
      "  end\n"
      "schedule W1 W2 W1\n");
  const SpecPattern& pattern = file.patterns[0];
  ASSERT_EQ(pattern.sessions.size(), 2u);
  ASSERT_EQ(pattern.sessions[0].steps.size(), 6u);
  EXPECT_EQ(pattern.sessions[1].steps.size(), 6u);
  EXPECT_TRUE(pattern.sessions[1].is_copy);
  EXPECT_THAT(pattern.sessions[1].steps[5].captures, ElementsAre("job", "state"));
  EXPECT_EQ(pattern.sessions[0].steps[2].expected[0].count, 1);
}

TEST(SpecParser, NamesAnswersAtTheEndOfALine) {
  const SpecFile file = parsed(
      "T1: select id, n from t -> id, n\n"
      "T1: select doc -> key;\n"
      "T1: select doc -> 'key'\n"
      "T1: select doc->key\n");
  const auto& steps = file.patterns[0].sessions[0].steps;
  EXPECT_THAT(steps[0].captures, ElementsAre("id", "n"));
  EXPECT_EQ(steps[0].text, "select id, n from t");
  EXPECT_THAT(steps[1].captures, IsEmpty());
  EXPECT_EQ(steps[1].text, "select doc -> key");
  EXPECT_EQ(steps[2].text, "select doc -> 'key'");
  EXPECT_EQ(steps[3].text, "select doc->key");
}

TEST(SpecParser, ReadsPortableFiles) {
  const SpecFile file = parsed(
      "given A = 100, \"b/1\" = 'on',\n  C = -5\n"
      "T1: begin claims A, b/1\n"
      "T1: read_for_update A -> a\n"
      "T1: write A = (a - 10) * 2\n"
      "T1: add A -10 -> sum\n"
      "T1: add_if A -1 >= 0 -> n\n"
      "T1: write_if A = 5 if a + 1\n"
      "T1: scan a/ .. a0 limit 2 -> rows, first, total\n"
      "T1: erase :first\n"
      "T1: insert done/:me = first\n"
      "T1: require rows > 0 and first != 'x' \"nothing\"\n"
      "holds \"sum\" A + \"b/1\" = 200 or C <= 5\n");
  (void)file;
}

TEST(SpecParser, SaysWhatAPortableFileLacks) {
  EXPECT_EQ(said("given A = 1\nT1: read A -> a\nT1: write A = b + 1\n"),
            "case.spec:3: no name \"b\"; did you mean \"a\"?; T1 names an answer by `-> name`");
  EXPECT_THAT(said("given A = 1\nT1: rade A\n"), HasSubstr("case.spec:2: no verb \"rade\"; did you mean \"read\"?"));
  EXPECT_THAT(said("given A = 1\nT1: select 1\n"), HasSubstr("SQL needs `setup`"));
  EXPECT_EQ(said("given A = 1\nsetup { create table t (id int); }\nT1: begin\n"),
            "case.spec:2: a file has `given` (portable verbs) or `setup` (SQL), not both");
  EXPECT_EQ(said("setup { create table t (id int); }\ngiven A = 1\nT1: begin\n"),
            "case.spec:2: a file has `given` (portable verbs) or `setup` (SQL), not both");
  EXPECT_EQ(said("given A = 1\nT1: write A 5\n"), "case.spec:2: `=` is missing; write `write KEY = VALUE`");
  EXPECT_EQ(said("given A = 1\nT1: commit now\n"), "case.spec:2: \"now\" is left over; write `commit`");
  EXPECT_THAT(said("given A = 1\nT1: write A = (1\n"), HasSubstr("a parenthesis is not closed"));
  EXPECT_THAT(said("given A = x\nT1: begin\n"), HasSubstr("x is no value: a number, or 'text'"));
  EXPECT_THAT(said("given A = 1, A = 2\nT1: begin\n"), HasSubstr("the row A is given twice"));
  EXPECT_THAT(said("given A = 1\nT1: begin\nholds \"x\" { select 1 }\n"), HasSubstr("takes an expression"));
  EXPECT_THAT(said("T1: begin\nholds \"x\" A = 1\n"), HasSubstr("takes a query"));
}

TEST(SpecParser, SaysWhereAndWhatWouldBeRight) {
  EXPECT_EQ(
      said("setpu { }\nT1: begin\n"),
      "case.spec:1: no statement \"setpu\"; did you mean \"setup\"? A line of a session is `T1: select 1`; it goes on "
      "over lines that are indented");
  EXPECT_EQ(said("T1: begin\n-- T2 waits\n"), "case.spec:2: a comment outside of SQL begins with `#`");
  EXPECT_EQ(said("setup { }\n  T1: begin\n"),
            "case.spec:2: a script line begins at the start of its line, without blanks before the session");
  EXPECT_EQ(said("T1: begin\n=> waits T3\n"),
            "case.spec:2: no session \"T3\"; did you mean \"T1\"?; `=> waits T1, then …` says what comes then");
  EXPECT_EQ(said("T1: begin\nschedule T1 T4\n"), "case.spec:2: no session \"T4\"; did you mean \"T1\"?");
  EXPECT_EQ(said("T1: begin\nfix \"so\" -> orderd\npattern ordered\nT1: begin\n"),
            "case.spec:2: no pattern \"orderd\"; did you mean \"ordered\"?");
  EXPECT_EQ(said("T1: begin\noption lock-timout 5ms\n"),
            "case.spec:2: no option \"lock-timout\"; did you mean \"lock-timeout\"?");
  EXPECT_EQ(said("T1: begin\noption lock-timeout 5\n"), "case.spec:2: `lock-timeout` takes a time: 200ms or 2s");
  EXPECT_THAT(said("T1: begin\nexpect postgres deadlock\n"), HasSubstr("\"deadlock\" is not PROTOCOL: VERDICT"));
  EXPECT_EQ(said("T1:\n"), "case.spec:1: T1 has no statement on its line");
  EXPECT_EQ(said("T1: begin\nT2: begin\n  T1: commit\n"),
            "case.spec:3: a script line begins at the start of its line, without blanks before the session");
  EXPECT_THAT(said("=> 1\nT1: begin\n"), HasSubstr("case.spec:1: `=>` stands below the step"));
  EXPECT_THAT(said("session s\nrepeat 2\nstep { }\n"), HasSubstr("case.spec:2: `repeat` has no `end`"));
  EXPECT_THAT(said("session s\nrepeat 2\nstep a { }\nend\n"), HasSubstr("case.spec:2: steps of a loop have no names"));
  EXPECT_THAT(said("pattern a\nT1: begin\npattern a\nT1: begin\n"), HasSubstr("there is a pattern a already"));
  EXPECT_THAT(said("# only a comment\n"), HasSubstr("nothing happens in this file"));
  EXPECT_THAT(said("T1: begin\npattern b\n"), HasSubstr("the pattern b has no session"));
}

TEST(SpecParser, RefusesWhatIsNoText) {
  EXPECT_EQ(said(std::string("T1: begin\nT1: \0x\n", 16)), "case.spec:2: a NUL byte stands here; this is no text file");
  EXPECT_EQ(said("T1: begin\nT1: \xff\n"), "case.spec:2: the byte 0xff is not UTF-8; save the file as UTF-8");
  EXPECT_EQ(said(std::string(kTextMost + 1, '\n')), "case.spec:1: the file has 16 MB; at most 16 MB are read");
  EXPECT_EQ(parsed("\xef\xbb\xbf# Title\nT1: begin\n").title, "Title");
  const SpecFile crlf = parsed("setup { x }\r\nT1: begin\r\n=> 1\r\nT2: begin\r\n  work\r\n");
  EXPECT_EQ(crlf.patterns[0].sessions[1].steps[0].text, "begin\n  work");
  EXPECT_THAT(crlf.patterns[0].sessions[0].steps[0].expected[0].rows, ElementsAre("1"));
}

TEST(SpecParser, LimitsWhatALoopMakes) {
  std::string deep = "session s\n";
  for (int i = 0; i < 5; ++i) deep += "repeat 10000\n";
  deep += "step { select 1 }\n";
  for (int i = 0; i < 5; ++i) deep += "end\n";
  EXPECT_THAT(said(deep), HasSubstr("more than 100000 steps"));
  std::string nested = "given A = 1\nT1: write A = ";
  nested += std::string(100'000, '(');
  EXPECT_THAT(said(nested + "\n"), HasSubstr("within each other"));
}

std::vector<std::string> examples() {
  std::vector<std::string> texts;
  for (const char* const folder : {"scenarios/files", "tests/engine/spec/examples"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(LOCKSTEP_SOURCE_DIR) / folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(SpecParser, ReadsEveryExample) {
  const std::vector<std::string> texts = examples();
  ASSERT_GE(texts.size(), 7u);
  for (const std::string& text : texts) (void)parsed(text);
}

/// Mutations of the examples: bytes changed, cut, doubled and mixed. Every one is read, or refused with a line of it.
TEST(SpecParser, NeverStumblesOverAnyText) {
  const std::vector<std::string> texts = examples();
  const auto seed = static_cast<unsigned>(::testing::UnitTest::GetInstance()->random_seed());
  SCOPED_TRACE("--gtest_random_seed=" + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t limit) { return random() % std::max<std::size_t>(limit, 1); };
  const std::string signs = "{}()\"':=>-#,*|\n\r\t \\;[]\xc3\xa9";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = texts[below(texts.size())];
    for (std::size_t k = below(8); k > 0 && !text.empty(); --k) {
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0:
          text[at] = signs[below(signs.size())];
          break;
        case 1:
          text.erase(at, below(60));
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(60)));
          break;
        case 3:
          text.resize(at);
          break;
        default: {
          const std::string& other = texts[below(texts.size())];
          text.insert(at, other.substr(below(other.size()), below(200)));
        }
      }
    }
    const ParsedSpec got = parse("case.spec", text);
    const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
    if (!got.file) {
      ASSERT_GE(got.complaint.line, 1) << text;
      ASSERT_LE(got.complaint.line, lines) << got.complaint.what << "\n" << text;
      ASSERT_FALSE(got.complaint.what.empty()) << text;
      continue;
    }
    for (const SpecPattern& pattern : got.file->patterns) {
      ASSERT_NE(pattern.sessions.empty(), pattern.loads.empty()) << text;
      for (const SpecSession& session : pattern.sessions) {
        for (const Step& step : session.steps) ASSERT_EQ(step.operation.has_value(), got.file->portable) << text;
      }
      for (const SpecLoad& load : pattern.loads) {
        for (const Step& step : load.session.steps) ASSERT_EQ(step.operation.has_value(), got.file->portable) << text;
      }
    }
  }
}

TEST(SpecExpression, ComputesAsItReads) {
  const auto value = [](std::string_view text) {
    std::string_view rest = text;
    const Result<Expression> read = take_expression(rest, Reach::condition);
    EXPECT_TRUE(read.ok() && rest.empty()) << text;
    if (!read) return read.error().message;
    const Result<std::string> got = read->value([](std::string_view name) {
      return name == "a" ? std::string("10") : name == "on" ? std::string("on") : std::string();
    });
    return got ? *got : got.error().message;
  };
  EXPECT_EQ(value("1 + 2 * 3 - -4"), "11");
  EXPECT_EQ(value("(1 + 2) * 3"), "9");
  EXPECT_EQ(value("10 - 4 - 3"), "3");
  EXPECT_EQ(value("a - 3 >= 7"), "1");
  EXPECT_EQ(value("a > 10 or a < 10"), "0");
  EXPECT_EQ(value("a <= 10 and a != 11"), "1");
  EXPECT_EQ(value("1 = 2 or 3 = 3 and 4 = 4"), "1");
  EXPECT_EQ(value("on = 'on'"), "1");
  EXPECT_EQ(value("'it''s'"), "it's");
  EXPECT_EQ(value("\"no such\" = ''"), "1");
  EXPECT_EQ(value("9223372036854775807 + 1"), "a number leaves 64 bits");
}

}  // namespace
}  // namespace lockstep::spec
