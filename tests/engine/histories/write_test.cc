// write_test.cc: a history of our own, written down and judged as one of others.
#include "engine/histories/write.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/check/isolation.h"
#include "engine/histories/judge.h"

namespace lockstep::histories {
namespace {

using check::History;
using check::Operation;
using check::Transaction;

int process_of(std::string_view name) { return name[0] - 'a'; }

Operation read(const char* key, check::List list) {
  return {list.empty() ? Operation::Kind::absent : Operation::Kind::read, key, std::move(list), 0, false};
}
Operation append(const char* key, check::Element element) { return {Operation::Kind::append, key, {}, element, false}; }

/// A lost update between two sessions; a third never heard the outcome of its commit, and goes on.
History history() {
  History history;
  history.transactions = {
      {"a1", Transaction::End::committed, 0, 10, {read("x", {}), append("x", 1)}},
      {"b1", Transaction::End::committed, 5, 15, {read("x", {}), append("x", 2)}},
      {"c1", Transaction::End::unknown, 6, 20, {append("y", 3)}},
      {"c2", Transaction::End::committed, 30, 40, {read("y", {3})}},
      {"a2", Transaction::End::aborted, 20, 25, {read("x", {1}), append("x", (std::uint64_t{1} << 63U) + 4)}},
  };
  history.final = {{"x", {1, 2}}, {"y", {3}}};
  return history;
}

TEST(Write, GivesWhatJepsenWrites) {
  EXPECT_EQ(text_of(history(), Syntax::edn, process_of),
            "{:index 0 :type :invoke :process 0 :f :txn :value [[:r \"x\" nil] [:append \"x\" 1]]}\n"
            "{:index 1 :type :invoke :process 1 :f :txn :value [[:r \"x\" nil] [:append \"x\" 2]]}\n"
            "{:index 2 :type :invoke :process 2 :f :txn :value [[:append \"y\" 3]]}\n"
            "{:index 3 :type :ok :process 0 :f :txn :value [[:r \"x\" []] [:append \"x\" 1]]}\n"
            "{:index 4 :type :ok :process 1 :f :txn :value [[:r \"x\" []] [:append \"x\" 2]]}\n"
            "{:index 5 :type :invoke :process 0 :f :txn :value [[:r \"x\" nil] [:append \"x\" -5]]}\n"
            "{:index 6 :type :info :process 2 :f :txn :value [[:append \"y\" 3]]}\n"
            "{:index 7 :type :fail :process 0 :f :txn :value [[:r \"x\" nil] [:append \"x\" -5]]}\n"
            "{:index 8 :type :invoke :process 5 :f :txn :value [[:r \"y\" nil]]}\n"
            "{:index 9 :type :ok :process 5 :f :txn :value [[:r \"y\" [3]]]}\n"
            "{:index 10 :type :invoke :process 6 :f :txn :value [[:r \"x\" nil] [:r \"y\" nil]]}\n"
            "{:index 11 :type :ok :process 6 :f :txn :value [[:r \"x\" [1 2]] [:r \"y\" [3]]]}\n");
}

TEST(Write, IsJudgedAsTheHistoryItself) {
  const auto own = check::anomalies_of(history(), check::Level::snapshot);
  ASSERT_EQ(own.size(), 1u);
  for (const Syntax syntax : {Syntax::edn, Syntax::json}) {
    const std::string text = text_of(history(), syntax, process_of);
    const Result<Judged> judged = judge_text(text, {.claims = {{check::Level::snapshot, check::Ordering::real_time}}});
    ASSERT_TRUE(judged.ok()) << judged.error().message << "\n" << text;
    EXPECT_EQ(judged->answer(), Judgement::broken);
    ASSERT_FALSE(judged->anomalies.empty());
    EXPECT_EQ(judged->anomalies.front().name, own.front().name);
  }
}

TEST(Write, LeavesOutWhatIsNoListAppend) {
  History erased = history();
  erased.transactions[0].operations.push_back({Operation::Kind::erase, "x", {}, 9, false});
  EXPECT_EQ(text_of(erased, Syntax::edn, process_of), "");
}

}  // namespace
}  // namespace lockstep::histories
