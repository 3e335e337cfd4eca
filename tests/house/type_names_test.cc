// type_names_test.cc: a type's name has one meaning in the tree: no two headers define a type of the same name.
//
// Reads text, line by line, as clang-format lays it out. Types inside classes count too: a reader who meets `State`
// does not see whose it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// Names that stand in several headers today. The list only ever gets shorter: a name that is unique by now must go.
const std::set<std::string> kShared = {
    "Access",   "Actor",       "Blocked",  "Cell",   "Change", "CondVar",     "Config",   "Database",  "Edge",
    "Entry",    "Final",       "Guard",    "Held",   "Hold",   "Iterator",    "Kind",     "Level",     "Line",
    "LockMode", "LockRequest", "Mark",     "Member", "Mutex",  "Node",        "Observer", "Operation", "Options",
    "Place",    "Progress",    "Protocol", "Queued", "Reader", "Row",         "Run",      "Seen",      "Shard",
    "Stage",    "Standing",    "State",    "Step",   "Table",  "Transaction", "Wait",     "Waits",     "Written",
};

/// The type that the line begins to define; not one that it only declares.
std::optional<std::string> type_defined_in(std::string line) {
  static const std::regex definition(R"(^\s*(?:template\s*<.*>\s*)?(?:class|struct|enum class|enum|union)\s+)"
                                     R"((?:\[\[nodiscard\]\]\s+|alignas\([^)]*\)\s+|LOCKSTEP_\w+(?:\(.*\))?\s+)*)"
                                     R"((\w+)(?:\s+final)?\s*(?:(?::[^;{]*)?\{.*|:[^;]*)?$)");
  line.erase(std::min(line.find("//"), line.size()));
  while (!line.empty() && line.back() == ' ') line.pop_back();
  std::smatch found;
  if (!std::regex_match(line, found, definition)) return std::nullopt;
  return found[1].str();
}

/// The headers that define each type.
std::map<std::string, std::set<std::string>> definitions() {
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  std::map<std::string, std::set<std::string>> all;
  for (const char* layer : {"kv", "engine", "scenarios", "reports", "cli"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / layer)) {
      if (entry.path().extension() != ".h") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (const auto name = type_defined_in(line)) all[*name].insert(fs::relative(entry.path(), root).string());
      }
    }
  }
  return all;
}

std::string listed(const std::set<std::string>& headers) {
  std::string text;
  for (const std::string& header : headers) text += "\n  " + header;
  return text;
}

TEST(TypeNames, TellADefinitionFromADeclaration) {
  EXPECT_EQ(type_defined_in("class Store {"), "Store");
  EXPECT_EQ(type_defined_in("  struct Row {"), "Row");
  EXPECT_EQ(type_defined_in("class [[nodiscard]] Wait final : public Operation {"), "Wait");
  EXPECT_EQ(type_defined_in("class LOCKSTEP_ANNOTATION(capability(\"mutex\")) Mutex {"), "Mutex");
  EXPECT_EQ(type_defined_in("enum class Halt : std::uint8_t {"), "Halt");
  EXPECT_EQ(type_defined_in("enum class Halt : std::uint8_t { budget, news };  // why"), "Halt");
  EXPECT_EQ(type_defined_in("class Store;"), std::nullopt);
  EXPECT_EQ(type_defined_in("/// class of interleavings"), std::nullopt);
  EXPECT_EQ(type_defined_in("  struct Row row;"), std::nullopt);
}

TEST(TypeNames, HaveOneMeaning) {
  const auto all = definitions();
  EXPECT_GT(all.size(), 300U);
  for (const auto& [name, headers] : all) {
    if (headers.size() > 1 && !kShared.contains(name)) {
      ADD_FAILURE() << name << " is defined in several headers; give each a name of its own:" << listed(headers);
    }
  }
}

TEST(TypeNames, AreSharedByNoMoreThanTheListSays) {
  const auto all = definitions();
  for (const std::string& name : kShared) {
    const auto found = all.find(name);
    EXPECT_TRUE(found != all.end() && found->second.size() > 1)
        << name << " has one meaning by now: take it off the list";
  }
}

}  // namespace
