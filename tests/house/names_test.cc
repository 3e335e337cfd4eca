// names_test.cc: fails on the name of a store or of a protocol outside its own folder: what a store is, is asked of its
// traits (engine/store/traits.h). The names are those of the build's catalogue, so a new store is covered at once.
//
// Looked at are the string literals of the program's sources; comments, scenarios, tests and documents may name whom
// they speak of. So may the help of the command line and raw strings (the schema of a recording), which are documents.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/backend.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

struct Literal {
  int line = 0;
  std::string text;
};

/// The string literals of a C++ source, without comments, character literals and included paths.
std::vector<Literal> literals_of(std::string_view source) {
  std::vector<Literal> found;
  int line = 1;
  bool in_directive = false;
  for (std::size_t i = 0; i < source.size(); ++i) {
    const std::string_view rest = source.substr(i);
    if (source[i] == '\n') {
      ++line;
      in_directive = source.substr(i + 1, 8) == "#include";
    } else if (rest.starts_with("//")) {
      while (i + 1 < source.size() && source[i + 1] != '\n') ++i;
    } else if (rest.starts_with("/*")) {
      const std::size_t end = std::min(rest.find("*/"), rest.size());
      line += static_cast<int>(std::count(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
      i += end;
    } else if (source[i] == '\'' && i > 0 && std::isalnum(static_cast<unsigned char>(source[i - 1])) == 0) {
      for (++i; i < source.size() && source[i] != '\''; ++i) i += source[i] == '\\' ? 1 : 0;
    } else if (rest.starts_with("R\"")) {
      const std::size_t open = std::min(rest.find('('), rest.size() - 1);
      const std::string close = ")" + std::string(rest.substr(2, open - 2)) + "\"";
      const std::size_t end = std::min(rest.find(close), rest.size() - 1);
      line += static_cast<int>(std::count(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
      i += end + close.size() - 1;
    } else if (source[i] == '"') {
      Literal literal{.line = line, .text = {}};
      for (++i; i < source.size() && source[i] != '"'; ++i) {
        if (source[i] == '\\') ++i;
        literal.text += source[i];
      }
      if (!in_directive) found.push_back(std::move(literal));
    }
  }
  return found;
}

/// "postgres" in "postgres/serializable", and not in "postgres_client" nor in "postgres-2", which is another store.
bool has_word(std::string_view text, std::string_view word) {
  const auto is_digit = [&text](std::size_t i) {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0;
  };
  const auto is_letter = [&text, &is_digit](std::size_t i) {
    if (i < text.size() && text[i] == '-' && is_digit(i + 1)) return true;
    return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
  };
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + word.size())) return true;
  }
  return false;
}

struct Exception {
  std::string_view path, literal;
};

/// Words that mean something else where they stand, or have a reason to stand there.
constexpr Exception kExceptions[] = {
    // The level of isolation, as histories are held against it.
    {"engine/load/history_probe.cc", "read-uncommitted"},
    {"engine/load/history_probe.cc", "read-committed"},
    {"engine/load/history_probe.cc", "snapshot"},
    {"engine/load/history_probe.cc", "serializable"},
    {"cli/commands/compare.cc", "read-committed"},
    {"cli/commands/compare.cc", "snapshot"},
    {"cli/commands/compare.cc", "serializable"},
    {"engine/check/level.cc", "read-uncommitted"},
    {"engine/check/level.cc", "read-committed"},
    {"engine/check/level.cc", "repeatable-read"},
    {"engine/check/level.cc", "snapshot"},
    {"engine/check/level.cc", "serializable"},
    // A model of Jepsen's, a map of registers.
    {"engine/histories/judge.cc", "kv"},
    // How soon an aborted transaction is run again.
    {"engine/load/round.cc", "immediate"},
    {"cli/commands/compare.cc", "immediate"},
    // In a cell of a matrix: what keeps an anomaly out.
    {"engine/record/matrix.cc", "snapshot"},
    // How a lock is held.
    {"kv/locking/locks.cc", "exclusive"},
    {"engine/sync/real_lock.cc", "exclusive"},
    {"engine/foreign/debugged.cc", "exclusive"},
    {"engine/stores/sqlite/lock_registry.cc", "snapshot"},
    {"reports/lane_rows.cc", "exclusive"},
    {"reports/lane_rows.cc", "snapshot"},
    // What a plain read sees, and the word for it in a cell of a matrix.
    {"engine/record/moments.cc", "snapshot"},
    {"reports/matrix_html.cc", "snapshot"},
    // The table of rows has this name in every database.
    {"engine/stores/postgres/monitor.cc", "kv"},
    {"engine/stores/postgres/backend.cc", "kv"},
    // A recording is an SQLite file.
    {"engine/record/files.h", "/run.sqlite"},
    {"engine/record/archive.cc", "/run.sqlite"},
    // The command that looks into a data folder of kv.
    {"cli/commands/kv.cc", "kv"},
    // kv's default, as programs that use it as a library see it.
    {"kv/store.h", "2pl-detect"},
};

bool is_excepted(std::string_view path, std::string_view literal) {
  return std::any_of(std::begin(kExceptions), std::end(kExceptions),
                     [&](const Exception& each) { return each.path == path && each.literal == literal; });
}

/// The folders of the store: its room, and what it is made of when that lies in this tree.
bool is_own_folder(std::string_view path, std::string_view store) {
  return path.starts_with("engine/stores/" + std::string(store) + "/") || path.starts_with(std::string(store) + "/");
}

/// The file is one protocol of the store: kv/protocols/2pl_detect.cc.
bool is_file_of(std::string_view path, std::string_view store, std::string protocol) {
  std::replace(protocol.begin(), protocol.end(), '-', '_');
  return path == std::string(store) + "/protocols/" + protocol + ".cc";
}

/// Where a store has a file a protocol, these are the only ones that may name them.
bool may_name_protocol(std::string_view path, const BackendKind& kind, const ProtocolTraits& protocol) {
  if (is_file_of(path, kind.name, protocol.name)) return true;
  const bool has_files = fs::exists(fs::path(LOCKSTEP_SOURCE_DIR) / kind.name / "protocols");
  return !has_files && is_own_folder(path, kind.name);
}

/// What stands for a protocol of another store is named by that one.
bool names_its_model(std::string_view path, std::string_view literal) {
  for (const BackendKind& kind : backends()) {
    if (!is_own_folder(path, kind.name)) continue;
    for (const ProtocolTraits& each : kind.protocols) {
      if (each.model && each.model->protocol == literal) return true;
    }
  }
  return false;
}

/// What is named in the literal that may not be named there; empty: nothing.
std::string named_in(std::string_view path, std::string_view literal) {
  if (is_excepted(path, literal)) return {};
  // Sentences of the command line are help; those of a store are SQL, where `kv` is the table of rows.
  const bool is_sentence = literal.find(' ') != std::string_view::npos;
  const bool is_document = is_sentence && (path.starts_with("cli/") || path.starts_with("engine/stores/"));
  for (const BackendKind& kind : backends()) {
    if (!is_document && has_word(literal, kind.name) && !is_own_folder(path, kind.name)) return std::string(kind.name);
    for (const ProtocolTraits& each : kind.protocols) {
      if (literal == each.name && !may_name_protocol(path, kind, each)) {
        // Two stores may call different things alike.
        const auto kinds = backends();
        const bool is_own = std::any_of(kinds.begin(), kinds.end(), [&](const BackendKind& other) {
          const ProtocolTraits* const own = other.protocol_named(literal);
          return own != nullptr && may_name_protocol(path, other, *own);
        });
        if (!is_own && !names_its_model(path, literal)) return std::string(kind.name) + "'s " + each.name;
      }
    }
  }
  return {};
}

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Names, StandInTheFolderOfTheirStoreAlone) {
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  std::size_t seen = 0;
  for (const char* folder : {"kv", "engine", "reports", "cli"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cc" && extension != ".h") continue;
      const std::string path = entry.path().lexically_relative(root).generic_string();
      for (const Literal& literal : literals_of(text_of(entry.path()))) {
        ++seen;
        const std::string named = named_in(path, literal.text);
        EXPECT_TRUE(named.empty()) << path << ":" << literal.line << ": \"" << literal.text << "\" names " << named
                                   << "; ask its traits (engine/store/traits.h)";
      }
    }
  }
  EXPECT_GT(seen, 3000U) << "the sources were not read";
}

TEST(Names, ExceptionsAreNeeded) {
  const fs::path root = LOCKSTEP_SOURCE_DIR;
  for (const Exception& each : kExceptions) {
    const std::vector<Literal> literals = literals_of(text_of(root / each.path));
    EXPECT_TRUE(std::any_of(literals.begin(), literals.end(),
                            [&each](const Literal& literal) { return literal.text == each.literal; }))
        << each.path << " does not say \"" << each.literal << "\" any more";
  }
}

TEST(Names, AreFoundInLiteralsAndNotInComments) {
  const auto literals = literals_of(
      "\n#include \"kv/store.h\"\n// \"kv\"\nf('\"', \"kv\"); /* \"x\n\" */ R\"sql(\"y\"\n)sql\" g(\"a\\\"b\");\n");
  ASSERT_EQ(literals.size(), 2U);
  EXPECT_EQ(literals[0].text, "kv");
  EXPECT_EQ(literals[0].line, 4);
  EXPECT_EQ(literals[1].text, "a\"b");
  EXPECT_EQ(literals[1].line, 6);
}

TEST(Names, AreRefusedOutsideTheirFolder) {
  const struct {
    const char* path;
    const char* literal;
    bool refused;
  } examples[] = {
      {"engine/run/stage.cc", "postgres", true},
      {"engine/run/stage.cc", "postgres/serializable", true},
      {"engine/run/stage.cc", "postgres-2", true},
      {"engine/stores/postgres-2/backend.cc", "postgres-2", false},
      {"engine/stores/postgres-2/backend.cc", "postgres", true},
      {"engine/run/stage.cc", "on kv alone", true},
      {"engine/run/stage.cc", "kvasir", false},
      {"engine/run/stage.cc", "2pl-detect", true},
      {"engine/stores/sqlite/backend.cc", "sqlite", false},
      {"engine/stores/sqlite/backend.cc", "postgres", true},
      {"engine/stores/sqlite/protocol.cc", "immediate-wal", false},
      {"engine/stores/sqlite/protocol.cc", "serial", false},
      {"engine/stores/sqlite/protocol.cc", "occ", true},
      {"engine/stores/kv/backend.cc", "2pl-detect", true},
      {"engine/stores/kv/backend.cc", "kv has no SQL", false},
      {"kv/transaction/store.cc", "occ", true},
      {"kv/protocols/occ.cc", "occ", false},
      {"kv/protocols/occ.cc", "ssi", true},
      {"cli/commands/run.cc", "run it on postgres", false},
      {"cli/commands/run.cc", "postgres", true},
  };
  for (const auto& [path, literal, refused] : examples)
    EXPECT_EQ(!named_in(path, literal).empty(), refused) << path << ": " << literal;
}

}  // namespace
}  // namespace lockstep
