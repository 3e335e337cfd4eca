// layering_test.cc: fails when an include points up, so that the layers stay what ARCHITECTURE.md says they are.
//
// Reads the tree's own text, not the compiler's: a forbidden include fails here even where it would compile and link.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Every folder that is a layer, and the layers that it may include beside itself. A file belongs to the longest folder
// that its path begins with, so kv/base is a layer of its own inside kv.
const std::map<std::string, std::vector<std::string>, std::less<>> layers = {
    {"kv/base", {}},
    {"kv", {"kv/base"}},
    {"engine/record", {"kv/base"}},
    {"engine/check", {"kv/base"}},
    {"engine", {"engine/record", "engine/check", "kv", "kv/base"}},
    {"scenarios", {"engine", "engine/record", "kv", "kv/base"}},
    {"reports", {"engine/record", "kv/base"}},
    {"cli", {"reports", "scenarios", "engine", "engine/record", "kv", "kv/base"}},
};

/// The layer that the file at `path` (from the root of the tree) belongs to; empty if it belongs to none.
std::string layer_of(std::string_view path) {
  std::string longest;
  for (const auto& [layer, allowed] : layers) {
    if (path.starts_with(layer + "/") && layer.size() > longest.size()) longest = layer;
  }
  return longest;
}

/// One sentence for each fault in the `text` of the file at `path`.
std::vector<std::string> faults_in(const std::string& path, const std::string& text) {
  std::vector<std::string> faults;
  const std::string from = layer_of(path);
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
    const auto open = line.find_first_of("\"<", word);
    const auto close = open == std::string::npos ? open : line.find_first_of("\">", open + 1);
    if (close == std::string::npos) continue;
    const std::string included = line.substr(open + 1, close - open - 1);

    const auto fault = [&](const std::string& what) {
      faults.push_back(path + ":" + std::to_string(number) + ": " + what);
    };
    const std::string to = layer_of(included);
    if (line[open] == '"' && (included.starts_with(".") || included.find('/') == std::string::npos)) {
      fault("\"" + included + "\" is not a path from the root of the tree");
    } else if (line[open] == '<' && !to.empty()) {
      fault("<" + included + "> is ours: write it in quotes");
    } else if (!from.empty() && !to.empty() && from != to) {
      const auto& allowed = layers.find(from)->second;
      if (std::find(allowed.begin(), allowed.end(), to) == allowed.end()) {
        fault(from + " may not include " + to + " (\"" + included + "\")");
      }
    }
  }
  return faults;
}

/// What a header owes its reader: first what it is, then the include guard.
std::vector<std::string> faults_in_header(const std::string& path, const std::string& text) {
  std::vector<std::string> faults;
  if (!text.starts_with("//")) faults.push_back(path + ":1: does not open with a comment that says what it is");
  if (text.find("\n#pragma once\n") == std::string::npos) faults.push_back(path + ": no #pragma once");
  return faults;
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Paths, from the root of the tree, of every C++ file below `folders`.
std::vector<std::string> cpp_files(const std::vector<std::string>& folders) {
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  std::vector<std::string> files;
  for (const auto& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (entry.is_regular_file() && (extension == ".h" || extension == ".cc" || extension == ".in")) {
        files.push_back(fs::relative(entry.path(), root).generic_string());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Layering, NoIncludePointsUp) {
  const auto files = cpp_files({"kv", "engine", "scenarios", "reports", "cli", "tests"});
  ASSERT_FALSE(files.empty()) << "no sources below " << LOCKSTEP_SOURCE_DIR;
  for (const auto& path : files) {
    for (const auto& fault : faults_in(path, read(fs::path(LOCKSTEP_SOURCE_DIR) / path))) ADD_FAILURE() << fault;
  }
}

TEST(Layering, EveryHeaderSaysWhatItIsAndIsGuarded) {
  for (const auto& path : cpp_files({"kv", "engine", "scenarios", "reports", "cli", "tests"})) {
    if (!path.ends_with(".h")) continue;
    for (const auto& fault : faults_in_header(path, read(fs::path(LOCKSTEP_SOURCE_DIR) / path))) ADD_FAILURE() << fault;
  }
}

TEST(LayeringChecker, KnowsWhichLayerAFileBelongsTo) {
  EXPECT_EQ(layer_of("kv/base/clock.h"), "kv/base");
  EXPECT_EQ(layer_of("kv/store.h"), "kv");
  EXPECT_EQ(layer_of("engine/record/run.h"), "engine/record");
  EXPECT_EQ(layer_of("engine/recorder.h"), "engine");
  EXPECT_EQ(layer_of("tests/kv/store_test.cc"), "");
  EXPECT_EQ(layer_of("vector"), "");
}

TEST(LayeringChecker, FindsEveryKindOfBadInclude) {
  const struct {
    const char* path;
    const char* line;
    bool bad;
  } examples[] = {
      {"kv/store.cc", "#include \"engine/task.h\"", true},
      {"kv/store.cc", "#include \"kv/base/clock.h\"", false},
      {"kv/base/clock.h", "#include \"kv/store.h\"", true},
      {"engine/run.cc", "#include \"scenarios/catalogue.h\"", true},
      {"engine/run.cc", "#include \"engine/record/run.h\"", false},
      {"engine/record/save.cc", "#include \"engine/task.h\"", true},
      {"engine/record/save.cc", "#include \"kv/store.h\"", true},
      {"scenarios/deadlock/two_lock.cc", "#include \"cli/main.h\"", true},
      {"scenarios/deadlock/two_lock.cc", "#include \"reports/html.h\"", true},
      {"reports/html.cc", "#include \"engine/run.h\"", true},
      {"reports/html.cc", "#include \"engine/record/run.h\"", false},
      {"cli/main.cc", "#include \"reports/html.h\"", false},
      {"engine/run.cc", "#include \"../kv/store.h\"", true},
      {"engine/run.cc", "#include \"task.h\"", true},
      {"engine/run.cc", "#include <engine/task.h>", true},
      {"engine/run.cc", "  #  include \"cli/main.h\"  // why", true},
      {"engine/run.cc", "// #include \"cli/main.h\"", false},
      {"engine/run.cc", "#include <vector>", false},
      {"tests/kv/store_test.cc", "#include \"engine/task.h\"", false},
  };
  for (const auto& [path, line, bad] : examples) {
    EXPECT_EQ(!faults_in(path, std::string("// a file\n") + line + "\n").empty(), bad) << path << ": " << line;
  }
}

TEST(LayeringChecker, NamesFileLineAndLayers) {
  const auto faults = faults_in("kv/store.cc", "// a file\n#include \"engine/task.h\"\n");
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0], "kv/store.cc:2: kv may not include engine (\"engine/task.h\")");
}

TEST(LayeringChecker, FindsAHeaderWithoutCommentOrGuard) {
  EXPECT_TRUE(faults_in_header("a.h", "// a.h: what it is\n#pragma once\n").empty());
  EXPECT_EQ(faults_in_header("a.h", "#pragma once\n").size(), 2u);
  EXPECT_EQ(faults_in_header("a.h", "// a.h: what it is\n#include <vector>\n").size(), 1u);
}

}  // namespace
