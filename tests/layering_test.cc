// layering_test.cc: fails when an include points up, so that the rooms stay what ARCHITECTURE.md says they are.
//
// Reads the tree's own text, not the compiler's: a forbidden include fails here even where it would compile and link.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

using Rooms = std::map<std::string, std::vector<std::string>, std::less<>>;

// Every room, and the rooms that it may include beside itself. A file belongs to the longest room that its path begins
// with; "*" stands for one folder, which may not include its neighbours: a store knows no other store. A folder that
// has a line of its own goes by that.
const Rooms rooms = {
    // The store in this process. Its doors (store.h and what goes with it) lie in kv/ itself, below all that implements
    // them.
    {"kv/base", {}},
    {"kv", {"kv/base"}},
    {"kv/memory", {"kv/base"}},
    {"kv/index", {"kv", "kv/base", "kv/memory"}},
    {"kv/log", {"kv", "kv/base"}},
    {"kv/transaction", {"kv", "kv/base", "kv/index", "kv/log", "kv/memory"}},
    {"kv/locking", {"kv", "kv/base", "kv/index", "kv/memory", "kv/transaction"}},
    {"kv/versions", {"kv", "kv/base", "kv/index", "kv/locking", "kv/memory", "kv/transaction"}},
    {"kv/protocols", {"kv", "kv/base", "kv/index", "kv/locking", "kv/memory", "kv/transaction", "kv/versions"}},

    // Plain data.
    {"engine/base", {"kv/base"}},
    {"engine/record", {"kv/base"}},
    {"engine/check", {"kv/base"}},
    {"engine/histories", {"engine/check", "engine/record", "kv/base"}},
    {"engine/spec", {"engine/base", "kv/base"}},
    {"engine/ranks", {}},

    // Coroutines, and the stores.
    {"engine/task", {"kv/base"}},
    {"engine/runtime", {"engine/task", "kv/base"}},
    {"engine/store", {"engine/check", "kv/base"}},
    {"engine/stores", {"engine/store"}},
    {"engine/server", {"engine/record", "kv/base"}},
    {"engine/stores/*",
     {"engine/base", "engine/check", "engine/record", "engine/runtime", "engine/server", "engine/store", "engine/task",
      "kv", "kv/base"}},
    // A cluster is made of another store's servers.
    {"engine/stores/galera", {"engine/check", "engine/server", "engine/store", "engine/stores/*", "kv/base"}},
    // Two of another store's servers.
    {"engine/stores/postgres-2", {"engine/store", "engine/stores/*", "kv/base"}},

    // What actors are, and what they are made to do.
    {"engine/actor", {"engine/base", "engine/record", "engine/store", "engine/task", "kv/base"}},
    {"engine/sync", {"engine/actor", "engine/base", "engine/record", "kv/base"}},
    {"engine/scenario", {"engine/actor", "engine/record", "engine/store", "engine/task", "kv/base"}},
    {"engine/script",
     {"engine/actor", "engine/base", "engine/record", "engine/scenario", "engine/spec", "engine/store", "engine/task",
      "kv/base"}},
    {"engine/schedule", {"engine/actor", "engine/base", "kv/base"}},
    {"engine/executors",
     {"engine/actor", "engine/runtime", "engine/schedule", "engine/store", "engine/task", "kv/base"}},
    {"engine/gdb/layout", {}},
    {"engine/gdb", {"engine/actor", "engine/gdb/layout", "engine/schedule", "engine/sync"}},

    // What is done with a scenario.
    {"engine/run",
     {"engine/actor", "engine/base", "engine/executors", "engine/gdb", "engine/record", "engine/scenario",
      "engine/schedule", "engine/store", "engine/sync"}},
    {"engine/explore/search", {"engine/base", "engine/schedule", "kv/base"}},
    {"engine/explore/model", {"engine/record", "engine/run", "engine/schedule", "engine/store"}},
    {"engine/explore",
     {"engine/actor", "engine/base", "engine/explore/model", "engine/explore/search", "engine/ranks", "engine/record",
      "engine/run", "engine/scenario", "engine/schedule", "engine/store", "engine/sync", "kv/base"}},

    // Programs of their own. What is loaded into them sees the model and nothing else.
    {"engine/foreign/model", {"engine/gdb/layout"}},
    {"engine/foreign/preload", {"engine/foreign/model", "engine/gdb/layout"}},
    {"engine/foreign",
     {"engine/base", "engine/explore", "engine/explore/search", "engine/foreign/model", "engine/gdb/layout",
      "engine/record", "engine/run", "engine/schedule", "kv/base"}},
    {"engine/load",
     {"engine/actor", "engine/base", "engine/check", "engine/executors", "engine/ranks", "engine/record",
      "engine/scenario", "engine/store", "kv/base"}},

    // The doors of the engine lie in engine/ itself: headers that gather what a scenario's author needs.
    {"engine", {"engine/sync"}},
    {"scenarios",
     {"engine", "engine/actor", "engine/record", "engine/runtime", "engine/scenario", "engine/script", "engine/spec",
      "engine/stores/*", "engine/sync", "engine/task", "kv", "kv/base"}},
    {"reports", {"engine/record", "kv/base"}},

    {"cli/args",
     {"engine/base", "engine/gdb", "engine/record", "engine/run", "engine/scenario", "engine/script", "engine/spec",
      "engine/store", "kv/base", "scenarios"}},
    {"cli/text",
     {"cli/args", "engine/check", "engine/explore", "engine/explore/search", "engine/histories", "engine/record",
      "engine/run", "engine/scenario", "engine/script", "engine/store", "kv/log", "reports"}},
    {"cli/commands",
     {"cli/args",       "cli/text",        "engine/actor",     "engine/base", "engine/check", "engine/explore",
      "engine/foreign", "engine/gdb",      "engine/histories", "engine/load", "engine/ranks", "engine/record",
      "engine/run",     "engine/schedule", "engine/script",    "engine/spec", "engine/store", "kv/base",
      "kv/log",         "reports",         "scenarios"}},
    {"cli", {"cli/commands"}},
};

// The files that may lie loose in a folder of rooms.
const std::set<std::string, std::less<>> doors = {
    "kv/durability.cc", "kv/durability.h", "kv/store.h", "kv/sync_facade.h", "engine/sync.h", "cli/main.cc",
};

// The folders all of whose files belong to rooms.
const std::vector<std::string> folders_of_rooms = {"kv", "engine", "scenarios", "reports", "cli"};

/// How much of `path` the room covers: all of its folders, "*" one of any name; 0 when it does not cover the path.
std::size_t covered_by(std::string_view room, std::string_view path) {
  if (!room.ends_with("*")) return path.starts_with(std::string(room) + "/") ? room.size() : 0;
  const std::string_view above = room.substr(0, room.size() - 1);
  if (!path.starts_with(above)) return 0;
  const std::size_t end = path.find('/', above.size());
  return end == std::string_view::npos ? 0 : end;
}

/// The room that the file at `path` (from the root of the tree) belongs to, as `rooms` names it; empty: none.
std::string room_of(std::string_view path) {
  std::string longest;
  std::size_t most = 0;
  for (const auto& [room, allowed] : rooms) {
    const std::size_t covered = covered_by(room, path);
    // "*" comes before every name: of two that cover as much it is the other one.
    if (covered > 0 && covered >= most) {
      longest = room;
      most = covered;
    }
  }
  return longest;
}

/// The folder of that room: for "engine/stores/*" the one of the store.
std::string folder_of(const std::string& room, std::string_view path) {
  return std::string(path.substr(0, covered_by(room, path)));
}

bool is_in_rooms(std::string_view path) {
  return std::any_of(folders_of_rooms.begin(), folders_of_rooms.end(),
                     [path](const std::string& folder) { return path.starts_with(folder + "/"); });
}

/// Rooms with rooms below them: what lies in such a folder itself is a door.
bool has_doors(std::string_view room) { return room == "kv" || room == "engine" || room == "cli"; }

/// Why the file at `path` may not lie there; empty: it may.
std::string fault_in_place(const std::string& path) {
  const std::string room = room_of(path);
  if (room.empty()) return path + " lies in no room";
  if (has_doors(room) && !doors.contains(path)) {
    return path + " lies in no room: in " + room + "/ itself are only its doors";
  }
  return {};
}

/// The rooms of a circle of arrows, the first one again at the end; empty when there is none.
std::vector<std::string> circle_in(const Rooms& map) {
  std::set<std::string> done;
  std::vector<std::string> way;
  const auto visit = [&](const auto& self, const std::string& room) -> bool {
    if (const auto met = std::find(way.begin(), way.end(), room); met != way.end()) {
      way.erase(way.begin(), met);
      way.push_back(room);
      return true;
    }
    way.push_back(room);
    if (const auto found = map.find(room); found != map.end() && !done.contains(room)) {
      for (const std::string& next : found->second) {
        if (self(self, next)) return true;
      }
    }
    done.insert(room);
    way.pop_back();
    return false;
  };
  for (const auto& [room, allowed] : map) {
    if (visit(visit, room)) return way;
  }
  return {};
}

/// What is wrong with the include of `included` in `path`; `quote` opens it. Empty: nothing.
std::string fault_of(const std::string& path, const std::string& included, char quote) {
  const std::string from = room_of(path);
  const std::string to = room_of(included);
  if (quote == '"' && (included.starts_with(".") || included.find('/') == std::string::npos)) {
    return "\"" + included + "\" is not a path from the root of the tree";
  }
  if (quote == '<') return to.empty() ? "" : "<" + included + "> is ours: write it in quotes";
  if (is_in_rooms(included) && !fault_in_place(included).empty()) return "\"" + included + "\" lies in no room";
  if (from.empty() || to.empty()) return {};
  const std::string here = folder_of(from, path);
  const std::string there = folder_of(to, included);
  if (here == there) return {};
  const auto& allowed = rooms.find(from)->second;
  if (from != to && std::find(allowed.begin(), allowed.end(), to) != allowed.end()) return {};
  return here + " may not include " + there + " (\"" + included + "\")";
}

/// One sentence for each fault in the `text` of the file at `path`.
std::vector<std::string> faults_in(const std::string& path, const std::string& text) {
  std::vector<std::string> faults;
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
    const std::string fault = fault_of(path, line.substr(open + 1, close - open - 1), line[open]);
    if (!fault.empty()) faults.push_back(path + ":" + std::to_string(number) + ": " + fault);
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

TEST(Layering, TheArrowsBetweenRoomsMakeNoCircle) {
  std::string circle;
  for (const std::string& room : circle_in(rooms)) circle += room + " ";
  EXPECT_EQ(circle, "");
}

TEST(Layering, EveryFileLiesInARoom) {
  std::set<std::string> used;
  for (const auto& path : cpp_files(folders_of_rooms)) {
    EXPECT_EQ(fault_in_place(path), "");
    used.insert(room_of(path));
  }
  for (const auto& [room, allowed] : rooms) {
    EXPECT_TRUE(used.contains(room)) << "no file lies in " << room;
    for (const std::string& to : allowed) EXPECT_TRUE(rooms.contains(to)) << room << " may include " << to;
  }
  for (const std::string& door : doors) EXPECT_TRUE(fs::exists(fs::path(LOCKSTEP_SOURCE_DIR) / door)) << door;
}

/// Whether a test at `path` lies in the room of its subject, or in a folder of its own below; tests of kv or cli as a
/// whole lie in tests/kv and tests/cli.
bool mirrors_a_room(std::string_view path) {
  const std::string_view subject = path.substr(std::string_view("tests/").size());
  const std::string room = room_of(subject);
  if (room == "engine") return false;  // its doors only gather what is tested in the rooms
  return has_doors(room) ? subject.find('/', room.size() + 1) == std::string_view::npos : !room.empty();
}

TEST(Layering, TestsLieWhereTheirSubjectsDo) {
  for (const auto& path : cpp_files({"tests/kv", "tests/engine", "tests/cli"})) {
    if (!path.ends_with("_test.cc")) continue;
    EXPECT_TRUE(mirrors_a_room(path)) << path << " mirrors no room";
  }
}

TEST(Layering, EveryHeaderSaysWhatItIsAndIsGuarded) {
  for (const auto& path : cpp_files({"kv", "engine", "scenarios", "reports", "cli", "tests"})) {
    if (!path.ends_with(".h")) continue;
    for (const auto& fault : faults_in_header(path, read(fs::path(LOCKSTEP_SOURCE_DIR) / path))) ADD_FAILURE() << fault;
  }
}

TEST(LayeringChecker, KnowsWhichRoomAFileBelongsTo) {
  EXPECT_EQ(room_of("kv/base/clock.h"), "kv/base");
  EXPECT_EQ(room_of("kv/store.h"), "kv");
  EXPECT_EQ(room_of("engine/record/run.h"), "engine/record");
  EXPECT_EQ(room_of("engine/recorder.h"), "engine");
  EXPECT_EQ(room_of("engine/stores/catalogue.cc.in"), "engine/stores");
  EXPECT_EQ(room_of("engine/stores/toy/backend.cc"), "engine/stores/*");
  EXPECT_EQ(room_of("engine/stores/toy/tasks/pool.h"), "engine/stores/*");
  EXPECT_EQ(room_of("engine/stores/galera/cluster.h"), "engine/stores/galera");
  EXPECT_EQ(room_of("engine/explore/tally.h"), "engine/explore");
  EXPECT_EQ(room_of("engine/explore/search/trace.h"), "engine/explore/search");
  EXPECT_EQ(room_of("tests/kv/store_test.cc"), "");
  EXPECT_EQ(room_of("vector"), "");
}

TEST(LayeringChecker, FindsFilesThatLieInNoRoom) {
  EXPECT_EQ(fault_in_place("engine/run.h"), "engine/run.h lies in no room: in engine/ itself are only its doors");
  EXPECT_EQ(fault_in_place("engine/attic/run.h"),
            "engine/attic/run.h lies in no room: in engine/ itself are only its doors");
  EXPECT_EQ(fault_in_place("engine/sync.h"), "");
  EXPECT_EQ(fault_in_place("kv/locks.h"), "kv/locks.h lies in no room: in kv/ itself are only its doors");
  EXPECT_EQ(fault_in_place("kv/attic/locks.h"), "kv/attic/locks.h lies in no room: in kv/ itself are only its doors");
  EXPECT_EQ(fault_in_place("kv/store.h"), "");
  EXPECT_EQ(fault_in_place("engine/stores/toy/backend.cc"), "");
}

TEST(LayeringChecker, FindsTestsThatMirrorNoRoom) {
  EXPECT_TRUE(mirrors_a_room("tests/kv/log/durable_test.cc"));
  EXPECT_TRUE(mirrors_a_room("tests/kv/threads_test.cc"));
  EXPECT_TRUE(mirrors_a_room("tests/engine/explore/random/programs_test.cc"));
  EXPECT_FALSE(mirrors_a_room("tests/kv/attic/locks_test.cc"));
  EXPECT_FALSE(mirrors_a_room("tests/engine/run_test.cc"));
  EXPECT_FALSE(mirrors_a_room("tests/engine/backends/conformance_test.cc"));
}

TEST(LayeringChecker, FindsACircleOfArrows) {
  using Way = std::vector<std::string>;
  EXPECT_EQ(circle_in({{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {}}}), Way());
  EXPECT_EQ(circle_in({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}), (Way{"b", "c", "b"}));
  EXPECT_EQ(circle_in({{"a", {"a"}}}), (Way{"a", "a"}));
}

TEST(LayeringChecker, FindsEveryKindOfBadInclude) {
  const struct {
    const char* path;
    const char* line;
    bool bad;
  } examples[] = {
      {"kv/store.h", "#include \"engine/task/task.h\"", true},
      {"kv/store.h", "#include \"kv/base/clock.h\"", false},
      {"kv/store.h", "#include \"kv/log/log.h\"", true},
      {"kv/log/log.cc", "#include \"kv/store.h\"", false},
      {"kv/base/clock.h", "#include \"kv/store.h\"", true},
      {"kv/locking/locks.h", "#include \"kv/protocols/ssi.h\"", true},
      {"engine/run/run.cc", "#include \"scenarios/catalogue.h\"", true},
      {"engine/run/run.cc", "#include \"engine/record/run.h\"", false},
      {"engine/run/run.cc", "#include \"engine/explore/explore.h\"", true},
      {"engine/record/save.cc", "#include \"engine/task/task.h\"", true},
      {"engine/record/save.cc", "#include \"kv/store.h\"", true},
      {"engine/stores/toy/backend.cc", "#include \"engine/stores/toy/session.h\"", false},
      {"engine/stores/toy/backend.cc", "#include \"engine/stores/sqlite/session.h\"", true},
      {"engine/stores/toy/backend.cc", "#include \"engine/executors/thread_pool.h\"", true},
      {"scenarios/deadlock/two_lock.cc", "#include \"cli/commands/program.h\"", true},
      {"scenarios/deadlock/two_lock.cc", "#include \"reports/html.h\"", true},
      {"reports/html.cc", "#include \"engine/run/run.h\"", true},
      {"reports/html.cc", "#include \"engine/record/run.h\"", false},
      {"cli/commands/report.cc", "#include \"reports/html.h\"", false},
      {"cli/args/tree.h", "#include \"cli/commands/program.h\"", true},
      {"engine/run/run.cc", "#include \"../kv/store.h\"", true},
      {"engine/run/run.cc", "#include \"verdict.h\"", true},
      {"engine/run/run.cc", "#include <engine/task/task.h>", true},
      {"engine/run/run.cc", "#include \"engine/attic/task.h\"", true},
      {"engine/run/run.cc", "  #  include \"cli/args/tree.h\"  // why", true},
      {"engine/run/run.cc", "// #include \"cli/args/tree.h\"", false},
      {"engine/run/run.cc", "#include <vector>", false},
      {"tests/kv/store_test.cc", "#include \"engine/task/task.h\"", false},
      {"tests/kv/store_test.cc", "#include \"engine/task.h\"", true},
  };
  for (const auto& [path, line, bad] : examples) {
    EXPECT_EQ(!faults_in(path, std::string("// a file\n") + line + "\n").empty(), bad) << path << ": " << line;
  }
}

TEST(LayeringChecker, NamesFileLineAndRooms) {
  const auto faults = faults_in("kv/store.h", "// a file\n#include \"engine/task/task.h\"\n");
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0], "kv/store.h:2: kv may not include engine/task (\"engine/task/task.h\")");
}

TEST(LayeringChecker, FindsAHeaderWithoutCommentOrGuard) {
  EXPECT_TRUE(faults_in_header("a.h", "// a.h: what it is\n#pragma once\n").empty());
  EXPECT_EQ(faults_in_header("a.h", "#pragma once\n").size(), 2u);
  EXPECT_EQ(faults_in_header("a.h", "// a.h: what it is\n#include <vector>\n").size(), 1u);
}

}  // namespace
