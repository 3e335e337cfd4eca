// spec_file.h: a scenario in a text file, as a value: what `lockstep run my-case.spec` reads. docs/files.md is its
// manual.
//
// Two ways of writing meet in one format. PostgreSQL's isolation specs (src/test/isolation/README in its sources) mean
// here what they mean there: setup, teardown, sessions with named steps, permutations with markers. What is added is a
// syntax error in a spec of PostgreSQL, so that no file can be misread by either program:
//
//   T1: begin                                      a script line: one statement of a session, in the order of the lines
//   T1: update a set n = n - 1 where id = 1
//   => waits T2, then 1 row                        what must come of it
//   session W1, W2                                 sessions with the same steps; steps without names
//     repeat 2
//       step { select … } -> job                   the first row's columns get names: `:job`, `:'job'` in later SQL
//     end
//   given A = 100                                  portable: rows of the store's own table, and steps in its verbs
//   load transfer                                  what many sessions do, again and again, for `compare`
//     rows 1000   choose a, b   step { … :a … }
//   pattern ordered "in one order"                 another way of asking
//   expect …   holds …   why …   fix …   option …   schedule …   on …
//
// Thread-safe: values. Nothing waits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/spec/expression.h"

namespace lockstep::spec {

// Lines are counted from 1; 0: none.

/// SQL in braces, byte for byte but for the blanks at both ends. May be empty, and may hold newlines.
struct SqlBlock {
  std::string text;
  int line = 0;
};

/// What must come of a step: all that stands in its `=>` lines for one list of protocols. Only what is said is checked.
struct Expected {
  std::vector<int> lines = {};              ///< of its `=>`
  std::vector<std::string> protocols = {};  ///< `[serializable]`; empty: where nothing else is said
  bool waits = false;
  std::vector<std::string> waits_for = {};  ///< sessions, in any order; empty: it does not matter which
  std::optional<std::int64_t> count = {};   ///< `2 rows`
  /// The rows in their order, columns by `|`; or, alone, the name or the code of a fault: `deadlock`, `40P01`.
  std::vector<std::string> rows = {};
};

/// The verbs of portable steps: those of the store (engine/store/backend.h), and two of the file.
enum class PortableVerb : std::uint8_t {
  begin,            ///< claims
  read,             ///< key -> value
  read_for_update,  ///< key -> value
  write,            ///< key = value
  insert,           ///< key = value
  write_if,         ///< key = value if compared -> rows
  add,              ///< key value -> the sum
  add_if,           ///< key value >= compared -> rows
  erase,            ///< key -> rows
  scan,             ///< key .. upper [limit N] -> rows, the first key, the sum of the values
  scan_for_update,  ///< likewise
  savepoint,        ///< key
  rollback_to,      ///< key
  release,          ///< key
  commit,
  abort,
  require,  ///< value, text: the body ends well, and is rolled back, unless the condition holds
  sql,      ///< text, in the store's own words
};

std::string_view name_of(PortableVerb verb) noexcept;

/// A portable step. In keys `:name` stands for what that name has.
struct Operation {
  PortableVerb verb = PortableVerb::begin;
  std::string key = {};
  std::string upper = {};  ///< end of a scan, exclusive; empty: no end
  std::optional<std::size_t> limit = {};
  std::vector<std::string> claims = {};
  Expression value = {};
  Expression compared = {};
  std::string text = {};
};

struct Step {
  std::string name = {};  ///< `step NAME { … }`; empty: it has none
  std::string text = {};  ///< the statement, or the portable step as written
  int line = 0;           ///< where it begins
  std::vector<std::string> captures = {};
  std::vector<Expected> expected = {};
  std::optional<Operation> operation = {};  ///< of a portable file
  int last_line = 0;                        ///< where its text ends; below it come its `=>`
  bool has_arrow = false;                   ///< `-> name` stands before its semicolon: an operator of SQL, or a mistake
};

struct SpecSession {
  std::string name;
  int line = 0;
  std::optional<SqlBlock> setup = {};     ///< run on its connection before every run
  std::vector<Step> steps = {};           ///< `repeat` is written out
  std::optional<SqlBlock> teardown = {};  ///< run on its connection after every run
  bool is_copy = false;                   ///< `session W1, W2`: has the steps of the one before it
};

/// What a step of a permutation waits for before it is reported.
struct Marker {
  enum class Kind : std::uint8_t {
    once,     ///< `*`: it counts as waiting at its first try
    step,     ///< until that step is reported
    notices,  ///< until that step's session has given so many notices more
  };
  Kind kind = Kind::once;
  std::string step = {};
  int notices = 0;
};

struct PermutationStep {
  std::string step;
  std::vector<Marker> markers = {};
};

struct Permutation {
  std::vector<PermutationStep> steps;
  int line = 0;
};

/// `load NAME 90%`: what a session under load does, again and again.
struct SpecLoad {
  std::string name;
  int line = 0;
  int percent = 0;  ///< of the transactions of its pattern; 0: what the others leave, in equal parts
  /// `choose a, b`: names of rows, numbers from 1 to `:rows`, all different, drawn anew for each transaction.
  std::vector<std::string> chosen = {};
  bool ascending = false;    ///< `choose a < b`
  SpecSession session = {};  ///< its steps; no step has a name or expects anything
};

/// `expect STORE PROTOCOL: VERDICT`. Names are as written; whether they exist is looked up by whoever runs the file.
struct VerdictExpected {
  std::string store, protocol, verdict;
  int line = 0;
};

struct Sentence {
  std::string text;
  std::string outcomes = {};  ///< of `why`: "deadlock, postgres abort"; empty: what the pattern is about
  int line = 0;
};

struct Fix {
  std::string text;
  std::string pattern;
  int line = 0;
};

/// `option NAME VALUE`: lock-timeout, deadlock-timeout and statement-timeout in ms, retries in times.
struct Option {
  std::string name;
  std::int64_t value = 0;
  int line = 0;
};

/// One way of asking. A file without `pattern` has one, called "plain".
struct SpecPattern {
  std::string name = "plain";
  std::string summary = {};
  int line = 1;
  std::vector<SqlBlock> setups = {};  ///< of its own, after those of the file
  std::vector<SpecSession> sessions = {};
  std::vector<SpecLoad> loads = {};  ///< of a file with `load`, which has no sessions; at least one then
  /// The order of steps: indices of sessions. That of the script lines, or of `schedule`.
  std::vector<int> order = {};
  std::vector<Permutation> permutations = {};
  std::vector<VerdictExpected> expectations = {};
  std::vector<Sentence> whys = {};
  std::optional<Fix> fix = {};
  std::vector<Option> options = {};  ///< with those of the file before them: the last of a name counts

  /// The session and the index of the step of that name; nullopt: there is none.
  std::optional<std::pair<int, int>> step_named(std::string_view step) const noexcept;
  /// Steps that no permutation has, in the order of their bytes, as isolationtester warns of them. Empty without
  /// permutations.
  std::vector<std::string> unused_steps() const;
};

/// `holds "text" { select … }`, or `holds "text" A + B = 200` in a portable file.
struct SpecInvariant {
  std::string text;
  int line = 0;
  std::string sql = {};
  Expression expression = {};
};

struct NamedStore {
  std::string name;
  int line = 0;
};

struct SpecFile {
  std::string path;  ///< as given: it stands in front of every complaint
  std::string text;  ///< whole
  std::string title;
  std::string story = {};
  std::vector<SqlBlock> setups = {};
  std::optional<SqlBlock> teardown = {};
  bool portable = false;  ///< has `given`
  std::int64_t rows = 0;  ///< `rows N`: among which a load chooses
  std::vector<std::pair<std::string, std::string>> given = {};
  std::vector<NamedStore> stores = {};  ///< `on sqlite, postgres`: where it runs besides where something is expected
  std::vector<SpecInvariant> invariants = {};
  std::vector<SpecPattern> patterns = {};  ///< at least one

  bool is_load() const noexcept { return !patterns.front().loads.empty(); }
};

/// Why a text is no file of this format.
struct Complaint {
  int line = 0;
  std::string what = {};  ///< what is wrong, and what would be right
  /// What isolationtester writes to stderr, without the newline; empty where it would write nothing of its own.
  std::string original = {};

  /// "my-case.spec:12: …"
  std::string text(std::string_view path) const;
};

/// The one or the other.
struct ParsedSpec {
  std::optional<SpecFile> file = {};
  Complaint complaint = {};
};

/// The largest text that is read.
inline constexpr std::size_t kTextMost = std::size_t{16} << 20;
/// The most steps of a file, with `repeat` written out and for each session of `session W1, W2`.
inline constexpr std::size_t kStepsMost = 100'000;

/// Reads the text of a file. `path`: its name, for people.
ParsedSpec parse(std::string path, std::string text);

/// Reads a file. Fault::io with the system's words, or Fault::invalid with Complaint::text().
Result<SpecFile> read_file(const std::string& path);

}  // namespace lockstep::spec
