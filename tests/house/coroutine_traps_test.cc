// coroutine_traps_test.cc: the forms of co_await that g++ 12 compiles wrongly must not appear in the tree.
//
// `if (co_await a() == b) co_await c();` compiles, and the coroutine then ends at once without running a line: bind
// what is awaited to a name first. A capturing lambda as a coroutine loses its captures with the lambda, whatever the
// compiler.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace {

/// Calls `look` with the path and the text of every C++ file that may hold a coroutine; answers how many there are.
int for_each_file(const std::function<void(const std::filesystem::path&, const std::string&)>& look) {
  const std::filesystem::path root = LOCKSTEP_SOURCE_DIR;
  int files = 0;
  for (const char* layer : {"engine", "scenarios", "cli", "tests/engine", "tests/scenarios", "tests/toy"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / layer)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      ++files;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      look(entry.path(), text.str());
    }
  }
  return files;
}

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
  const int files = for_each_file([](const std::filesystem::path& path, const std::string& text) {
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
      if (line.starts_with("//")) continue;
      EXPECT_FALSE(awaits_in_a_condition(line)) << path << ":" << number << ": " << line;
    }
  });
  EXPECT_GT(files, 50);
}

/// `text` with comments and the insides of literals as blanks; lines stay where they are.
std::string without_comments_and_literals(std::string text) {
  char inside = 0;  // the quote that ends a literal, or '/' in a comment
  for (std::size_t i = 0; i < text.size(); ++i) {
    char& c = text[i];
    if (inside == 0) {
      const bool is_digit_separator = c == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])) != 0;
      if (c == '"' || (c == '\'' && !is_digit_separator)) inside = c;
      if (c == '/' && text.compare(i, 2, "//") == 0) inside = '/';
    } else if (inside == '/') {
      if (c == '\n') inside = 0;
    } else if (c == '\\') {
      text[i] = ' ';
      if (i + 1 < text.size()) text[++i] = ' ';
      continue;
    } else if (c == inside) {
      inside = 0;
      continue;
    }
    if (inside != 0 && c != '\n' && c != inside) c = ' ';
    if (inside == '/' && c != '\n') c = ' ';
  }
  return text;
}

/// The place of what closes the bracket at `open`; the end of the text when nothing does.
std::size_t closing(const std::string& text, std::size_t open) {
  const char closes = text[open] == '[' ? ']' : text[open] == '(' ? ')' : '}';
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == text[open]) ++depth;
    if (text[i] == closes && --depth == 0) return i;
  }
  return text.size();
}

/// Where the body of a lambda begins whose captures begin at `at`; npos when no lambda begins there.
std::size_t body_of_lambda(const std::string& text, std::size_t at) {
  const std::size_t before = text.find_last_not_of(" \n", at == 0 ? 0 : at - 1);
  const char last = at == 0 || before == std::string::npos ? ' ' : text[before];
  const bool is_word = std::isalnum(static_cast<unsigned char>(last)) != 0 || last == '_';
  const bool follows_return = before >= 5 && text.compare(before - 5, 6, "return") == 0;
  if ((is_word && !follows_return) || last == ')' || last == ']') return std::string::npos;  // an index
  std::size_t next = text.find_first_not_of(" \n", closing(text, at) + 1);
  if (next == std::string::npos) return std::string::npos;
  if (text[next] == '(') {
    next = text.find_first_of("{;,)", closing(text, next) + 1);  // past mutable, noexcept, -> Task<>
    if (next == std::string::npos) return std::string::npos;
  }
  return text[next] == '{' ? next : std::string::npos;
}

/// The lines of `file` on which a lambda begins that has captures and is a coroutine.
std::vector<int> capturing_coroutines(const std::string& file) {
  const std::string text = without_comments_and_literals(file);
  std::vector<int> lines;
  // True when the body awaits by itself, not only in a lambda inside it.
  const std::function<bool(std::size_t, std::size_t)> awaits = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (text[i] == '[') {
        if (const std::size_t inner = body_of_lambda(text, i); inner != std::string::npos) i = closing(text, inner);
      }
      for (const char* word : {"co_await", "co_return", "co_yield"}) {
        if (text.compare(i, std::string(word).size(), word) == 0) return true;
      }
    }
    return false;
  };
  for (std::size_t at = text.find('['); at != std::string::npos; at = text.find('[', at + 1)) {
    const std::size_t body = body_of_lambda(text, at);
    if (body == std::string::npos || text.find_first_not_of(" \n", at + 1) == closing(text, at)) continue;
    if (!awaits(body, closing(text, body))) continue;
    lines.push_back(
        static_cast<int>(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n')));
  }
  return lines;
}

TEST(CoroutineTraps, TellsACapturingCoroutineFromOtherLambdas) {
  using Lines = std::vector<int>;
  EXPECT_EQ(capturing_coroutines("auto f = [&]() -> Task<> { co_await g(); };"), Lines{1});
  EXPECT_EQ(capturing_coroutines("f(1,\n  [this](int a) mutable -> Task<> {\n co_return; });"), Lines{2});
  EXPECT_EQ(capturing_coroutines("return [x] { co_yield x; };"), Lines{1});
  EXPECT_EQ(capturing_coroutines("auto f = [](Context& c) -> Task<> { co_await c.db.begin(); };"), Lines{});
  EXPECT_EQ(capturing_coroutines("auto f = [&] { return 1; };  // co_await"), Lines{});
  EXPECT_EQ(capturing_coroutines("auto f = [&] { return [](C& c) -> Task<> { co_return; }; };"), Lines{});
  EXPECT_EQ(capturing_coroutines("Task<> t() { a[i] = 1; co_await b(); }"), Lines{});
  EXPECT_EQ(capturing_coroutines("f(\"[&] { co_await\", '[', 1'000); [&] { co_return; }"), Lines{1});
}

TEST(CoroutineTraps, NoCoroutineIsACapturingLambda) {
  for_each_file([](const std::filesystem::path& path, const std::string& text) {
    if (path.filename() == "coroutine_traps_test.cc") return;
    for (const int line : capturing_coroutines(text)) ADD_FAILURE() << path << ":" << line;
  });
}

}  // namespace
