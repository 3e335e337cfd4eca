// acceptance_test.cc: small histories with verdicts that are known, in every form that a file can have.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "engine/histories/judge.h"

namespace lockstep::histories {
namespace {

using check::Claim;
using check::Level;
using check::Ordering;

struct Case {
  const char* name;
  /// Of read-committed, snapshot-isolation, serializable, strong-session-serializable, strict-serializable: yes, no or
  /// ?.
  const char* verdicts;
  /// The anomaly that breaks the weakest level; empty: not said.
  const char* shows;
  /// `>` invoke, `<` ok, `!` fail, `?` info; the process; the value. The order is that of real time.
  const char* lines;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"serial", "yyyyy", "", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 1 [[r,x,null],[append,x,2]]
< 1 [[r,x,[1]],[append,x,2]]
> 0 [[r,x,null]]
< 0 [[r,x,[1,2]]]
)"},
      {"dirty write (G0)", "nnnnn", "G0", R"(> 0 [[append,x,1],[append,y,1]]
> 1 [[append,x,2],[append,y,2]]
< 1 [[append,x,2],[append,y,2]]
< 0 [[append,x,1],[append,y,1]]
> 2 [[r,x,null],[r,y,null]]
< 2 [[r,x,[1,2]],[r,y,[2,1]]]
)"},
      {"aborted read (G1a)", "nnnnn", "G1a", R"(> 0 [[append,x,1]]
> 1 [[r,x,null]]
! 0 [[append,x,1]]
< 1 [[r,x,[1]]]
)"},
      {"intermediate read (G1b)", "nnnnn", "G1b", R"(> 0 [[append,x,1],[append,x,2]]
> 1 [[r,x,null]]
< 1 [[r,x,[1]]]
< 0 [[append,x,1],[append,x,2]]
)"},
      {"circular information flow (G1c)", "nnnnn", "G1c", R"(> 0 [[append,x,1],[r,y,null]]
> 1 [[append,y,1],[r,x,null]]
< 0 [[append,x,1],[r,y,[1]]]
< 1 [[append,y,1],[r,x,[1]]]
)"},
      {"garbage read", "nnnnn", "G1a", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 1 [[r,x,null]]
< 1 [[r,x,[1,9]]]
)"},
      {"lost update", "ynnnn", "", R"(> 0 [[r,x,null],[append,x,1]]
> 1 [[r,x,null],[append,x,2]]
< 0 [[r,x,[]],[append,x,1]]
< 1 [[r,x,[]],[append,x,2]]
> 2 [[r,x,null]]
< 2 [[r,x,[1,2]]]
)"},
      {"read skew (G-single)", "ynnnn", "", R"(> 0 [[r,x,null],[r,y,null]]
> 1 [[append,x,1],[append,y,1]]
< 1 [[append,x,1],[append,y,1]]
< 0 [[r,x,[]],[r,y,[1]]]
)"},
      {"write skew (G2-item)", "yynnn", "", R"(> 0 [[r,x,null],[r,y,null],[append,x,1]]
> 1 [[r,x,null],[r,y,null],[append,y,1]]
< 0 [[r,x,[]],[r,y,[]],[append,x,1]]
< 1 [[r,x,[]],[r,y,[]],[append,y,1]]
> 2 [[r,x,null],[r,y,null]]
< 2 [[r,x,[1]],[r,y,[1]]]
)"},
      {"long fork", "ynnnn", "", R"(> 0 [[append,x,1]]
> 1 [[append,y,1]]
> 2 [[r,x,null],[r,y,null]]
> 3 [[r,x,null],[r,y,null]]
< 0 [[append,x,1]]
< 1 [[append,y,1]]
< 2 [[r,x,[1]],[r,y,[]]]
< 3 [[r,x,[]],[r,y,[1]]]
)"},
      {"read-only anomaly", "yynnn", "", R"(> 0 [[r,x,null],[r,y,null],[append,x,1]]
> 1 [[r,y,null],[append,y,1]]
< 1 [[r,y,[]],[append,y,1]]
< 0 [[r,x,[]],[r,y,[]],[append,x,1]]
> 2 [[r,x,null],[r,y,null]]
< 2 [[r,x,[]],[r,y,[1]]]
> 3 [[r,x,null],[r,y,null]]
< 3 [[r,x,[1]],[r,y,[1]]]
)"},
      {"stale read", "yyyyn", "", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 1 [[r,x,null]]
< 1 [[r,x,[]]]
> 0 [[r,x,null]]
< 0 [[r,x,[1]]]
)"},
      {"own write forgotten", "yyynn", "", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 0 [[r,x,null]]
< 0 [[r,x,[]]]
> 1 [[r,x,null]]
< 1 [[r,x,[1]]]
)"},
      {"internal", "ynnnn", "", R"(> 0 [[append,x,1],[r,x,null]]
< 0 [[append,x,1],[r,x,[]]]
> 1 [[r,x,null]]
< 1 [[r,x,[1]]]
)"},
      {"unseen append", "yynnn", "", R"(> 0 [[r,x,null],[append,y,1]]
> 1 [[r,y,null],[append,x,1]]
< 0 [[r,x,[]],[append,y,1]]
< 1 [[r,y,[]],[append,x,1]]
)"},
      {"incompatible order", "nnnnn", "incompatible order", R"(> 0 [[append,x,1]]
> 1 [[append,x,2]]
< 1 [[append,x,2]]
< 0 [[append,x,1]]
> 2 [[r,x,null]]
< 2 [[r,x,[1,2]]]
> 3 [[r,x,null]]
< 3 [[r,x,[2,1]]]
)"},
      {"duplicate element", "nnnnn", "duplicate elements", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 1 [[r,x,null]]
< 1 [[r,x,[1,1]]]
)"},
      {"unknown outcome seen", "yyyyn", "", R"(> 0 [[append,x,1]]
> 1 [[r,x,null]]
< 1 [[r,x,[1]]]
> 2 [[r,x,null]]
< 2 [[r,x,[]]]
? 0 [[append,x,1]]
)"},
      {"nothing to judge", "????y", "", R"(> 0 [[append,x,1]]
< 0 [[append,x,1]]
> 1 [[append,y,1]]
< 1 [[append,y,1]]
)"},
      {"register: garbage", "nnnnn", "G1a", R"(> 0 [[w,x,2]]
< 0 [[w,x,2]]
> 0 [[r,x,null]]
< 0 [[r,x,3]]
> 0 [[r,x,null]]
< 0 [[r,x,2]]
)"},
      {"register: lost update", "ynnnn", "", R"(> 0 [[r,x,null],[w,x,1]]
> 1 [[r,x,null],[w,x,2]]
< 0 [[r,x,null],[w,x,1]]
< 1 [[r,x,null],[w,x,2]]
)"},
      {"register: blind writes swapped", "yyynn", "", R"(> 1 [[w,x,100]]
< 1 [[w,x,100]]
> 2 [[w,x,200]]
< 2 [[w,x,200]]
> 1 [[r,x,null]]
< 1 [[r,x,200]]
> 2 [[r,x,null]]
< 2 [[r,x,100]]
)"},
      {"register: stale read", "yyyyn", "", R"(> 0 [[w,x,1]]
< 0 [[w,x,1]]
> 1 [[r,x,null]]
< 1 [[r,x,null]]
> 0 [[r,x,null]]
< 0 [[r,x,1]]
)"},
      {"register: write skew", "yynnn", "", R"(> 0 [[r,x,null],[r,y,null],[w,x,1]]
> 1 [[r,x,null],[r,y,null],[w,y,1]]
< 0 [[r,x,null],[r,y,null],[w,x,1]]
< 1 [[r,x,null],[r,y,null],[w,y,1]]
)"},
      {"session: own order (strong session)", "yyynn", "", R"(> 0 [[r,x,null],[r,z,null]]
< 0 [[r,x,[]],[r,z,[1]]]
> 1 [[append,x,1]]
< 1 [[append,x,1]]
> 1 [[r,z,null]]
< 1 [[r,z,[]]]
> 2 [[append,z,1]]
< 2 [[append,z,1]]
)"},
      {"not strict, per key fresh", "yyynn", "", R"(> 0 [[r,x,null],[r,y,null]]
> 1 [[append,x,1]]
< 1 [[append,x,1]]
> 1 [[append,y,2]]
< 1 [[append,y,2]]
< 0 [[r,x,[]],[r,y,[2]]]
)"},
  };
  return all;
}

/// How a history is written down.
struct Form {
  const char* name;
  bool json = false, lines = false, nemesis = false, numbers = false, f = true;
  enum Keys : std::uint8_t { words, texts, integers } keys = words;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {.name = "EDN vector"},
      {.name = "EDN lines", .lines = true, .numbers = true},
      {.name = "EDN vector with a nemesis", .nemesis = true, .numbers = true},
      {.name = "EDN lines, texts for keys", .lines = true, .keys = Form::texts},
      {.name = "EDN lines, integer keys, no f", .lines = true, .f = false, .keys = Form::integers},
      {.name = "JSON array", .json = true, .numbers = true},
      {.name = "JSON lines", .json = true, .lines = true},
      {.name = "JSON array with a nemesis", .json = true, .nemesis = true},
      {.name = "JSON lines, integer keys, no f",
       .json = true,
       .lines = true,
       .numbers = true,
       .f = false,
       .keys = Form::integers},
  };
  return all;
}

std::string word_in(const std::string& word, const Form& form) {
  const bool is_key = word == "x" || word == "y" || word == "z";
  if (word == "null") return form.json ? "null" : "nil";
  if (is_key && form.keys == Form::integers) return std::to_string(word[0] - 'a');
  if (form.json || (is_key && form.keys == Form::texts)) return '"' + word + '"';
  return ":" + word;
}

/// "[[append,x,1]]" in the words of the form.
std::string value_in(const std::string& value, const Form& form) {
  std::string text, word;
  for (const char c : value) {
    if (c >= 'a' && c <= 'z') {
      word += c;
      continue;
    }
    if (!word.empty()) text += word_in(word, form);
    word.clear();
    text += c == ',' && !form.json ? ' ' : c;
  }
  return text;
}

std::string operation_in(const Form& form, const char* type, const std::string& process, const std::string& value,
                         int index) {
  if (!form.json)
    return fmt::format("{{:type :{} {}:process {}, :value {}{}}}", type, form.f ? ":f :txn " : "", process, value,
                       form.numbers ? fmt::format(" :index {} :time {}", index, index * 1000) : "");
  return fmt::format(R"({{"type": "{}", {}"process": {}, "value": {}{}}})", type, form.f ? R"("f": "txn", )" : "",
                     process, value,
                     form.numbers ? fmt::format(R"(, "index": {}, "time": {})", index, index * 1000) : "");
}

std::string text_in(const Case& one, const Form& form) {
  std::string text = form.lines ? "" : "[";
  std::istringstream lines(one.lines);
  std::string type, process, value;
  int index = 0;
  const auto add = [&](const std::string& operation) {
    if (index > 0) text += form.lines || !form.json ? "\n" : ",\n";
    text += operation;
    ++index;
  };
  while (lines >> type >> process >> value) {
    if (form.nemesis)
      add(operation_in(form, "info", form.json ? "\"nemesis\"" : ":nemesis", form.json ? "\"x\"" : "{:a #{1}}", index));
    const char* const name = type == ">" ? "invoke" : type == "<" ? "ok" : type == "!" ? "fail" : "info";
    add(operation_in(form, name, process, value_in(value, form), index));
  }
  return text + (form.lines ? "\n" : "]\n");
}

char letter(Judgement judgement) {
  return judgement == Judgement::holds ? 'y' : judgement == Judgement::broken ? 'n' : '?';
}

TEST(Acceptance, GivesTheKnownVerdictsInEveryForm) {
  for (const Case& one : cases()) {
    for (const Form& form : forms()) {
      const std::string text = text_in(one, form);
      SCOPED_TRACE(fmt::format("{}, {}:\n{}", one.name, form.name, text));
      JudgeRequest request;
      request.claims = {{Level::read_committed, Ordering::none},
                        {Level::snapshot, Ordering::none},
                        {Level::serializable, Ordering::none},
                        {Level::serializable, Ordering::session},
                        {Level::serializable, Ordering::real_time}};
      const Result<Judged> judged = judge_text(text, request);
      ASSERT_TRUE(judged.ok()) << judged.error().message;
      std::string verdicts;
      for (const ClaimVerdict& verdict : judged->asked) verdicts += letter(verdict.answer);
      EXPECT_EQ(verdicts, one.verdicts);
      if (*one.shows != '\0') {
        ASSERT_FALSE(judged->anomalies.empty());
        EXPECT_EQ(judged->anomalies.front().name, one.shows);
      }
      for (const ClaimVerdict& verdict : judged->asked)
        EXPECT_EQ(verdict.answer == Judgement::unknown, !verdict.why.empty());
    }
  }
}

TEST(Acceptance, OrdersTheLevels) {
  // Whatever a claim forbids, every claim that implies it forbids.
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const Result<Judged> judged = judge_text(text_in(one, forms().front()), {});
    ASSERT_TRUE(judged.ok());
    const auto& claims = check::all_claims();
    ASSERT_EQ(judged->levels.size(), claims.size());
    for (std::size_t weak = 0; weak < claims.size(); ++weak) {
      for (std::size_t strong = 0; strong < claims.size(); ++strong) {
        if (!check::implies(claims[strong], claims[weak])) continue;
        if (judged->levels[weak].answer == Judgement::broken) {
          EXPECT_EQ(judged->levels[strong].answer, Judgement::broken)
              << judged->levels[strong].claim << " holds, and " << judged->levels[weak].claim << " does not";
        }
      }
    }
  }
}

TEST(Acceptance, BreaksReadUncommittedByDirtyWritesAndDuplicatesOnly) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    const Result<Judged> judged = judge_text(text_in(one, forms().front()), {});
    ASSERT_TRUE(judged.ok());
    const std::string shows = one.shows;
    EXPECT_EQ(judged->levels.front().answer == Judgement::broken, shows == "G0" || shows == "duplicate elements");
  }
}

}  // namespace
}  // namespace lockstep::histories
