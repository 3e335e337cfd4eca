// models_test.cc: the models that are no transactions, each by its definition; and which model a file is taken for.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/histories/judge.h"

namespace lockstep::histories {
namespace {

using testing::HasSubstr;

/// "TYPE PROCESS F VALUE", a line each.
std::string edn(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    const std::size_t a = line.find(' '), b = line.find(' ', a + 1), c = line.find(' ', b + 1);
    text +=
        fmt::format("{{:type :{} :process {} :f :{} :value {}}}\n", line.substr(0, a), line.substr(a + 1, b - a - 1),
                    line.substr(b + 1, c - b - 1), c == std::string::npos ? "nil" : line.substr(c + 1));
  }
  return text;
}

std::string verdict_of(const std::vector<std::string>& lines, const JudgeRequest& request = {}) {
  const Result<Judged> judged = judge_text(edn(lines), request);
  if (!judged) return judged.error().message;
  if (judged->answer() == Judgement::unknown) return "unknown";
  if (judged->answer() == Judgement::holds) return "yes";
  return judged->anomalies.empty() ? "no" : "no: " + judged->anomalies.front().name;
}

std::string model_of(const std::vector<std::string>& lines) {
  const Result<Judged> judged = judge_text(edn(lines), {});
  return judged ? std::string(name_of(judged->model)) : judged.error().message;
}

/// One operation of a register: "w1 0-5", "r nil 1-2", "cas1,2 0-1", "cas1,2 0-1!" failed, "w1 0-?" unknown.
struct Timed {
  std::string f, value;
  int began, ended;  // -1: never
  bool failed = false;
};

std::string register_of(std::vector<Timed> operations, bool failed_cas_reads = false) {
  std::vector<std::pair<int, std::string>> events;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Timed& one = operations[i];
    events.emplace_back(one.began, fmt::format("invoke {} {} {}", i, one.f, one.f == "read" ? "nil" : one.value));
    if (one.ended >= 0)
      events.emplace_back(one.ended, fmt::format("{} {} {} {}", one.failed ? "fail" : "ok", i, one.f, one.value));
  }
  std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> lines;
  for (const auto& [time, line] : events) lines.push_back(line);
  JudgeRequest request;
  request.model = HistoryModel::cas_register;
  request.objects.failed_cas_reads = failed_cas_reads;
  const std::string verdict = verdict_of(lines, request);
  return verdict.substr(0, verdict.find(':'));
}

TEST(Models, PutRegistersInOneOrder) {
  const Timed w1{"write", "1", 0, 5};
  EXPECT_EQ(register_of({{"write", "1", 0, 1}, {"read", "nil", 2, 3}}), "no");
  EXPECT_EQ(register_of({w1, {"read", "nil", 1, 2}, {"read", "1", 3, 4}}), "yes");
  EXPECT_EQ(register_of({w1, {"read", "1", 1, 2}, {"read", "nil", 3, 4}}), "no");
  const Timed long1{"write", "1", 0, 9}, long2{"write", "2", 1, 8};
  EXPECT_EQ(register_of({long1, long2, {"read", "2", 2, 3}, {"read", "1", 4, 5}}), "yes");
  EXPECT_EQ(register_of({long1, long2, {"read", "1", 2, 3}, {"read", "2", 4, 5}, {"read", "1", 6, 7}}), "no");
  const Timed lost1{"write", "1", 0, -1};
  EXPECT_EQ(register_of({lost1, {"read", "nil", 1, 2}, {"read", "1", 3, 4}}), "yes");
  EXPECT_EQ(register_of({lost1, {"read", "1", 1, 2}, {"read", "nil", 3, 4}}), "no");
  EXPECT_EQ(register_of({{"write", "7", 0, 1, true}, {"read", "7", 2, 3}}), "no");
}

TEST(Models, CompareAndSetFromOneValueOnce) {
  const Timed w1{"write", "1", 0, 1};
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, 5}, {"cas", "[1 3]", 3, 4}}), "no");
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, 5}, {"cas", "[1 3]", 3, 4, true}}), "yes");
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, 3, true}}), "yes");
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, 3, true}}, true), "no");
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, -1}, {"read", "2", 4, 5}}), "yes");
  EXPECT_EQ(register_of({w1, {"cas", "[1 2]", 2, -1}, {"read", "1", 4, 5}}), "yes");
}

TEST(Models, SayWhichOperationFitsNowhere) {
  const Result<Judged> judged =
      judge_text(edn({"invoke 0 write 1", "ok 0 write 1", "invoke 1 read", "ok 1 read 2"}), {});
  ASSERT_TRUE(judged.ok());
  ASSERT_EQ(judged->anomalies.size(), 1u);
  EXPECT_THAT(judged->anomalies[0].why, HasSubstr("of 2 operations, 1 can be put in an order, which ends:\n"
                                                  "  process 0: write 1, line 1-2\n"
                                                  "and this fits nowhere behind it:\n  process 1: read 2, line 3-4"));
}

TEST(Models, GiveUpInTimeAndSaySo) {
  // Twenty writes of unknown outcome and reads that no order fits: more states than can be looked at.
  std::vector<std::string> lines;
  for (int i = 0; i < 30; ++i) lines.push_back(fmt::format("invoke {} cas [{} {}]", i, i % 7, (i * 3 + 1) % 7));
  lines.emplace_back("invoke 100 write 0");
  lines.emplace_back("ok 100 write 0");
  for (int i = 0; i < 6; ++i) {
    lines.emplace_back("invoke 100 read");
    lines.push_back(fmt::format("ok 100 read {}", i == 5 ? 99 : i));
  }
  JudgeRequest request;
  request.objects.time_limit = std::chrono::nanoseconds(1);
  const Result<Judged> judged = judge_text(edn(lines), request);
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(judged->answer(), Judgement::unknown);
  EXPECT_THAT(judged->asked.front().why, HasSubstr("--time-limit"));
}

TEST(Models, TakeCallsThatNeverEndForOneAnother) {
  // Forty clients wait for the mutex for ever: in any order, which must not mean every set of them.
  std::vector<std::string> lines;
  for (int i = 0; i < 40; ++i) lines.push_back(fmt::format("invoke {} acquire", 100 + i));
  for (int i = 0; i < 10; ++i) {
    for (const char* f : {"acquire", "release"}) {
      lines.push_back(fmt::format("invoke 0 {}", f));
      lines.push_back(fmt::format("ok 0 {}", f));
    }
  }
  JudgeRequest request;
  request.objects.time_limit = std::chrono::seconds(20);
  EXPECT_EQ(verdict_of(lines, request), "yes");
  for (int i = 0; i < 2; ++i) {
    lines.push_back(fmt::format("invoke {} acquire", i));
    lines.push_back(fmt::format("ok {} acquire", i));
  }
  EXPECT_EQ(verdict_of(lines, request), "no: not linearizable");
}

TEST(Models, LookAtEachKeyByItself) {
  EXPECT_EQ(verdict_of({"invoke 0 write [x 1]", "ok 0 write [x 1]", "invoke 1 read [y nil]", "ok 1 read [y nil]"}),
            "yes");
  EXPECT_EQ(verdict_of({"invoke 0 write [x 1]", "ok 0 write [x 1]", "invoke 1 read [x nil]", "ok 1 read [x nil]"}),
            "no: not linearizable");
  EXPECT_EQ(verdict_of({"invoke 0 write [x 1]", "ok 0 write [x 1]", "invoke 1 cas [x [1 2]]", "ok 1 cas [x [1 2]]",
                        "invoke 1 read [x nil]", "ok 1 read [x 2]"}),
            "yes");
  const auto kv = [](const char* read) {
    return fmt::format(
        "{{:process 0 :type :invoke :f :put :key \"a\" :value \"x\"}}\n"
        "{{:process 0 :type :ok :f :put :key \"a\" :value \"x\"}}\n"
        "{{:process 0 :type :invoke :f :append :key \"a\" :value \"y\"}}\n"
        "{{:process 0 :type :ok :f :append :key \"a\" :value \"y\"}}\n"
        "{{:process 1 :type :invoke :f :get :key \"a\" :value nil}}\n"
        "{{:process 1 :type :ok :f :get :key \"a\" :value \"{}\"}}\n",
        read);
  };
  EXPECT_EQ(judge_text(kv("xy"), {})->answer(), Judgement::holds);
  EXPECT_EQ(judge_text(kv("x"), {})->answer(), Judgement::broken);
}

TEST(Models, HoldAMutexOnce) {
  const std::vector<std::string> right = {"invoke 0 acquire", "ok 0 acquire", "invoke 1 acquire",
                                          "invoke 0 release", "ok 0 release", "ok 1 acquire"};
  EXPECT_EQ(verdict_of(right), "yes");
  EXPECT_EQ(verdict_of({"invoke 0 acquire", "ok 0 acquire", "invoke 1 acquire", "ok 1 acquire"}),
            "no: not linearizable");
  EXPECT_EQ(verdict_of({"invoke 0 acquire", "ok 0 acquire", "invoke 1 acquire", "fail 1 acquire"}), "yes");
}

TEST(Models, ReadLogsOfJepsen) {
  const char* const log =
      "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:ok\t:write\t4\n"
      "INFO  jepsen.util - 1\t:invoke\t:write\t5\nINFO  jepsen.util - 1\t:info\t:write\t:timed-out\n"
      "INFO  jepsen.util - 2\t:invoke\t:read\tnil\nINFO  jepsen.util - 2\t:ok\t:read\t";
  EXPECT_EQ(judge_text(std::string(log) + "4\n", {})->answer(), Judgement::holds);
  EXPECT_EQ(judge_text(std::string(log) + "5\n", {})->answer(), Judgement::holds);
  EXPECT_EQ(judge_text(std::string(log) + "6\n", {})->answer(), Judgement::broken);
}

std::string bank(const std::vector<std::string>& reads, const JudgeRequest& request = {}) {
  std::vector<std::string> lines = {"invoke 0 transfer {:from 0 :to 1 :amount 5}",
                                    "ok 0 transfer {:from 0 :to 1 :amount 5}"};
  for (const std::string& read : reads) {
    lines.emplace_back("invoke 0 read");
    lines.push_back("ok 0 read " + read);
  }
  return verdict_of(lines, request);
}

TEST(Models, KeepTheMoneyOfABank) {
  EXPECT_EQ(bank({"{0 50, 1 50}", "{1 45 0 55}"}), "yes");
  EXPECT_EQ(bank({"{0 50, 1 50}", "{0 60, 1 50}"}), "no: wrong total");
  EXPECT_EQ(bank({"{0 50, 1 50}", "{0 110, 1 -10}"}), "no: negative balance");
  EXPECT_EQ(bank({"{0 50, 1 50}", "{0 100}"}), "no: missing account");
  EXPECT_EQ(bank({"{0 100}"}), "no: missing account") << "the transfer names another";
  EXPECT_EQ(bank({"{0 50, 1 50}", "{0 nil, 1 100}"}), "no: nil balance");
  EXPECT_EQ(bank({}), "unknown");
  JudgeRequest request;
  request.objects.allow_negative = true;
  EXPECT_EQ(bank({"{0 50, 1 50}", "{0 110, 1 -10}"}, request), "yes");
  request.objects.total = 90;
  EXPECT_EQ(bank({"{0 50, 1 50}"}, request), "no: wrong total");
}

std::string set(const std::string& read) {
  std::vector<std::string> lines = {"invoke 0 add 1", "ok 0 add 1",   "invoke 1 add 2", "ok 1 add 2",
                                    "invoke 2 add 3", "info 2 add 3", "invoke 3 add 4", "fail 3 add 4"};
  if (!read.empty()) {
    lines.emplace_back("invoke 0 read");
    lines.push_back("ok 0 read " + read);
  }
  return verdict_of(lines);
}

TEST(Models, KeepWhatASetAcknowledged) {
  EXPECT_EQ(set("[1 2]"), "yes");
  EXPECT_EQ(set("#{1 2 3}"), "yes");
  EXPECT_EQ(set("[1]"), "no: lost");
  EXPECT_EQ(set("[1 2 9]"), "no: unexpected");
  EXPECT_EQ(set("[1 2 4]"), "no: unexpected") << "it failed";
  EXPECT_EQ(set(""), "unknown");
}

std::string set_full(const std::vector<std::string>& reads, bool linearizable = false) {
  std::vector<std::string> lines = {"invoke 0 add 1", "ok 0 add 1", "invoke 1 add 2"};
  for (const std::string& read : reads) {
    lines.emplace_back("invoke 0 read");
    lines.push_back("ok 0 read " + read);
  }
  JudgeRequest request;
  request.model = HistoryModel::set_full;
  request.objects.linearizable = linearizable;
  return verdict_of(lines, request);
}

TEST(Models, FollowEachElementOfASet) {
  EXPECT_EQ(set_full({"[1]", "[1 2]", "[1 2]"}), "yes");
  EXPECT_EQ(set_full({"[1]", "[1 2]", "[1]"}), "no: lost") << "of unknown outcome, but read";
  EXPECT_EQ(set_full({"[]", "[1]"}), "yes") << "stale only";
  EXPECT_EQ(set_full({"[]", "[1]"}, true), "no: stale");
  EXPECT_EQ(set_full({"[1]", "[]"}), "no: lost");
  EXPECT_EQ(set_full({"[1 1]"}), "no: duplicate");
  EXPECT_EQ(set_full({"[1 9]"}), "no: unexpected");
  EXPECT_EQ(set_full({}), "unknown");
}

TEST(Models, BoundACounter) {
  const auto counter = [](const std::string& first, const std::string& second) {
    std::vector<std::string> lines = {"invoke 0 add 1", "ok 0 add 1", "invoke 1 add 2", "info 1 add 2"};
    for (const std::string& read : {first, second}) {
      if (read.empty()) continue;
      lines.emplace_back("invoke 0 read");
      lines.push_back("ok 0 read " + read);
    }
    return verdict_of(lines, {.model = HistoryModel::counter});
  };
  EXPECT_EQ(counter("1", "3"), "yes");
  EXPECT_EQ(counter("0", ""), "no: out of bounds");
  EXPECT_EQ(counter("4", ""), "no: out of bounds");
  EXPECT_EQ(counter("", ""), "unknown");
  EXPECT_EQ(verdict_of({"invoke 0 add 5", "invoke 1 read", "ok 1 read 5", "ok 0 add 5"}), "yes") << "in between";
}

TEST(Models, SeeALongFork) {
  const auto reads = [](const std::string& a, const std::string& b) {
    return verdict_of({"invoke 0 write [[:w x 1]]", "ok 0 write [[:w x 1]]", "invoke 1 read [[:r x nil] [:r y nil]]",
                       "ok 1 read " + a, "invoke 2 read [[:r y nil] [:r x nil]]", "ok 2 read " + b});
  };
  EXPECT_EQ(reads("[[:r x 1] [:r y nil]]", "[[:r y 1] [:r x nil]]"), "no: long fork");
  EXPECT_EQ(reads("[[:r x 1] [:r y nil]]", "[[:r y 1] [:r x 1]]"), "yes");
  EXPECT_EQ(reads("[[:r x 1] [:r y nil]]", "[[:r z 1] [:r x 1]]"), "unknown") << "of different keys";
}

TEST(Models, AreRecognised) {
  EXPECT_EQ(model_of({"invoke 0 txn [[:append x 1]]", "ok 0 txn [[:append x 1]]"}), "list-append");
  EXPECT_EQ(model_of({"invoke 0 txn [[:w x 1]]", "ok 0 txn [[:w x 1]]"}), "rw-register");
  EXPECT_EQ(model_of({"invoke 0 txn [[:r x nil]]", "ok 0 txn [[:r x 4]]"}), "rw-register");
  EXPECT_EQ(model_of({"invoke 0 read", "ok 0 read {0 1}"}), "bank");
  EXPECT_EQ(model_of({"invoke 0 add 1", "ok 0 add 1", "invoke 0 read", "ok 0 read [1]"}), "set");
  EXPECT_EQ(model_of({"invoke 0 add 1", "invoke 1 read", "ok 1 read [1]", "invoke 1 read", "ok 1 read [1]"}),
            "set-full");
  EXPECT_EQ(model_of({"invoke 0 add 1", "invoke 1 read", "ok 1 read 1"}), "counter");
  EXPECT_EQ(model_of({"invoke 0 read [[:r x nil]]", "ok 0 read [[:r x nil]]"}), "long-fork");
  EXPECT_EQ(model_of({"invoke 0 write 1", "ok 0 write 1"}), "cas-register");
  EXPECT_EQ(model_of({"invoke 0 write [x 1]", "ok 0 write [x 1]"}), "kv");
  EXPECT_EQ(model_of({"invoke 0 acquire"}), "mutex");
  EXPECT_THAT(model_of({"invoke 0 dance"}), HasSubstr("no model is recognised"));
}

TEST(Models, OrderVersionsByNamedRulesOnly) {
  // Blind writes of one key by more transactions than can be searched, read against every likely order.
  std::vector<std::string> lines;
  for (int i = 0; i < 70; ++i) {
    lines.push_back(fmt::format("invoke 0 txn [[:w x {0}] [:w y {0}]]", i));
    lines.push_back(fmt::format("ok 0 txn [[:w x {0}] [:w y {0}]]", i));
  }
  for (int i = 69; i >= 0; --i) {
    lines.push_back(fmt::format("invoke 1 txn [[:r x {}]]", i));
    lines.push_back(fmt::format("ok 1 txn [[:r x {}]]", i));
  }
  JudgeRequest request;
  request.claims = {{check::Level::serializable, check::Ordering::session}};
  Result<Judged> judged = judge_text(edn(lines), request);
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(judged->answer(), Judgement::unknown);
  EXPECT_THAT(judged->asked.front().why, HasSubstr("versions of x cannot be ordered; try --linearizable-keys"));
  EXPECT_THAT(judged->rules, testing::ElementsAre("initial-state", "writes-follow-reads"));
  request.versions.linearizable_keys = true;
  judged = judge_text(edn(lines), request);
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(judged->answer(), Judgement::broken);
  EXPECT_THAT(judged->rules, testing::Contains("linearizable-keys"));
}

}  // namespace
}  // namespace lockstep::histories
