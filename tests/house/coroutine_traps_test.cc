// coroutine_traps_test.cc: the forms of co_await that g++ 12 compiles wrongly must not appear in the tree.
//
// `if (co_await a() == b) co_await c();` compiles, and the coroutine then ends at once without running a line: bind
// what is awaited to a name first. A capturing lambda as a coroutine loses its captures with the lambda.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

/// The part of `line` from the parenthesis that opens a condition; empty when there is none.
std::string condition_of(const std::string& line) {
  for (const char* keyword : {"if (", "while (", "switch ("}) {
    if (const std::size_t at = line.find(keyword); at != std::string::npos) return line.substr(line.find('(', at));
  }
  return {};
}

bool awaits_in_a_condition(const std::string& line) {
  const std::string rest = condition_of(line);
  int depth = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    depth += rest[i] == '(' ? 1 : rest[i] == ')' ? -1 : 0;
    if (depth == 0) return rest.substr(0, i).find("co_await") != std::string::npos;
  }
  return rest.find("co_await") != std::string::npos;  // the condition goes on in the next line
}

TEST(CoroutineTraps, TellsAConditionFromItsBody) {
  EXPECT_TRUE(awaits_in_a_condition("  if (co_await c.db.read(k) == \"off\") co_await fail(f);"));
  EXPECT_TRUE(awaits_in_a_condition("  while (!(co_await q.pop()).empty()) {"));
  EXPECT_FALSE(awaits_in_a_condition("  if (other == \"off\") co_await fail(f);"));
  EXPECT_FALSE(awaits_in_a_condition("  const Value other = co_await c.db.read(k);"));
}

TEST(CoroutineTraps, NoConditionAwaits) {
  const std::filesystem::path root = LOCKSTEP_SOURCE_DIR;
  int files = 0;
  for (const char* layer : {"engine", "scenarios", "cli", "tests/engine", "tests/scenarios"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / layer)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      ++files;
      std::ifstream file(entry.path());
      std::string line;
      for (int number = 1; std::getline(file, line); ++number) {
        if (line.starts_with("//")) continue;
        EXPECT_FALSE(awaits_in_a_condition(line)) << entry.path() << ":" << number << ": " << line;
      }
    }
  }
  EXPECT_GT(files, 50);
}

}  // namespace
