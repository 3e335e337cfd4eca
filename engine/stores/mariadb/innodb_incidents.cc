// innodb_incidents.cc: see innodb_incidents.h.
#include "engine/stores/mariadb/innodb_incidents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace lockstep::mariadb {
namespace {

constexpr const char* kGeneralLog = "the general log has it (set global general_log = on), with times of whole seconds";
/// What InnoDB writes of a statement, at most (srv_max_query in its sources: 3000 bytes).
constexpr std::size_t kStatementMost = 3000;

bool is_word(char c) noexcept { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$'; }

/// Where the string, the name in backticks or the comment that begins at `at` ends; `at` when none begins there.
std::size_t behind_quoted(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  if (c == '\'' || c == '"' || c == '`') {
    std::size_t end = at + 1;
    while (end < sql.size() && sql[end] != c) end += sql[end] == '\\' && c != '`' ? 2 : 1;
    return std::min(end + 1, sql.size());
  }
  if (sql.substr(at, 2) == "/*") {
    const std::size_t end = sql.find("*/", at + 2);
    return end == std::string_view::npos ? sql.size() : end + 2;
  }
  return at;
}

bool alike(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

/// A piece of a statement outside of quotes and parentheses.
struct SqlPiece {
  std::string_view text;
  std::size_t begin = 0;
};

/// The words, names and parentheses (whole) of a statement. Other signs stand alone.
std::vector<SqlPiece> pieces_of(std::string_view sql) {
  std::vector<SqlPiece> pieces;
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t begin = at;
    if (std::isspace(static_cast<unsigned char>(sql[at])) != 0) {
      ++at;
      continue;
    }
    if (sql[at] == '(') {
      int depth = 0;
      while (at < sql.size()) {
        if (const std::size_t end = behind_quoted(sql, at); end > at) {
          at = end;
          continue;
        }
        depth += sql[at] == '(' ? 1 : sql[at] == ')' ? -1 : 0;
        ++at;
        if (depth == 0) break;
      }
    } else if (const std::size_t end = behind_quoted(sql, at); end > at) {
      at = end;
    } else if (is_word(sql[at])) {
      while (at < sql.size() && is_word(sql[at])) ++at;
    } else {
      ++at;
    }
    // `shop`.`accounts` is one name.
    const bool goes_on = !pieces.empty() && begin > 0 && pieces.back().begin + pieces.back().text.size() == begin &&
                         (sql[begin] == '.' || pieces.back().text.back() == '.');
    if (goes_on) {
      pieces.back().text = sql.substr(pieces.back().begin, at - pieces.back().begin);
    } else {
      pieces.push_back({sql.substr(begin, at - begin), begin});
    }
  }
  return pieces;
}

std::size_t word_at(const std::vector<SqlPiece>& pieces, std::string_view word, std::size_t from = 0) {
  for (std::size_t i = from; i < pieces.size(); ++i) {
    if (alike(pieces[i].text, word)) return i;
  }
  return pieces.size();
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && (std::isspace(static_cast<unsigned char>(text.back())) != 0 || text.back() == ';'))
    text.remove_suffix(1);
  return text;
}

/// The first entry of "(a, b)".
std::string_view first_of_list(std::string_view list) {
  if (list.size() < 2 || list.front() != '(') return {};
  std::string_view inner = list.substr(1, list.size() - 2);
  std::size_t at = 0;
  int depth = 0;
  while (at < inner.size() && (inner[at] != ',' || depth > 0)) {
    const std::size_t end = behind_quoted(inner, at);
    depth += inner[at] == '(' ? 1 : inner[at] == ')' ? -1 : 0;
    at = end > at ? end : at + 1;
  }
  return without_blanks(inner.substr(0, at));
}

}  // namespace

bool rows_named_by(const std::string& sql, std::string& table, std::string& condition) {
  const std::vector<SqlPiece> pieces = pieces_of(sql);
  if (pieces.empty()) return false;
  const auto first = pieces.front().text;
  std::size_t at = 0;
  if (alike(first, "update")) {
    at = 1;
    while (at < pieces.size() && (alike(pieces[at].text, "low_priority") || alike(pieces[at].text, "ignore"))) ++at;
    const std::size_t set = word_at(pieces, "set", at);
    // Between the table and SET only a second name of it may stand.
    if (set >= pieces.size() || set > at + 3) return false;
    if (std::any_of(pieces.begin() + static_cast<std::ptrdiff_t>(at), pieces.begin() + static_cast<std::ptrdiff_t>(set),
                    [](const SqlPiece& each) { return each.text == "," || alike(each.text, "join"); }))
      return false;
    const std::string_view names = std::string_view(sql).substr(pieces[at].begin, pieces[set].begin - pieces[at].begin);
    table = without_blanks(names);
  } else if (alike(first, "delete") || alike(first, "select")) {
    const bool reads = alike(first, "select");
    const std::size_t from = word_at(pieces, "from");
    if (from + 1 >= pieces.size() || (!reads && from > 3)) return false;
    table = pieces[from + 1].text;
    // A second table.
    if (from + 2 < pieces.size() && (pieces[from + 2].text == "," || alike(pieces[from + 2].text, "join")))
      return false;
  } else if (alike(first, "insert") || alike(first, "replace")) {
    const std::size_t into = word_at(pieces, "into");
    at = into < pieces.size() ? into + 1 : 1;
    const std::size_t values = std::min(word_at(pieces, "values", at), word_at(pieces, "value", at));
    if (values != at + 2 || values + 1 >= pieces.size()) return false;
    const std::string_view column = first_of_list(pieces[at + 1].text);
    const std::string_view value = first_of_list(pieces[values + 1].text);
    if (column.empty() || value.empty()) return false;
    table = pieces[at].text;
    condition = fmt::format("where {} = {}", column, value);
    return true;
  } else {
    return false;
  }
  const std::size_t where = word_at(pieces, "where");
  const std::size_t end = std::min({word_at(pieces, "for"), word_at(pieces, "lock"), word_at(pieces, "returning")});
  condition.clear();
  if (where < pieces.size()) {
    const std::size_t to = end < pieces.size() && end > where ? pieces[end].begin : sql.size();
    condition = without_blanks(std::string_view(sql).substr(pieces[where].begin, to - pieces[where].begin));
  }
  return !table.empty();
}

namespace {

bool has_placeholder(std::string_view sql) {
  for (std::size_t at = 0; at < sql.size();) {
    const std::size_t end = behind_quoted(sql, at);
    if (end == at && sql[at] == '?') return true;
    at = end > at ? end : at + 1;
  }
  return false;
}

std::string name_of_party(const InnodbParty& party) { return "thread" + party.thread; }

std::string last_part(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(dot == std::string_view::npos ? name : name.substr(dot + 1));
}

}  // namespace

Incident innodb_incident(const std::vector<InnodbParty>& parties, Incident::Kind kind, std::size_t victim) {
  Incident incident;
  incident.kind = kind;
  // Those that wait, in the order of their statements: a wait that began later is the one that closed the cycle.
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < parties.size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&parties](std::size_t a, std::size_t b) {
    return std::pair(!parties[a].waits_for.empty(), parties[a].query) <
           std::pair(!parties[b].waits_for.empty(), parties[b].query);
  });
  const auto place_of = [&](const std::string& transaction) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (parties[order[i]].transaction == transaction) return i;
    }
    return order.size();
  };
  for (const std::size_t i : order) {
    const InnodbParty& party = parties[i];
    incident.sessions.push_back(
        {.name = name_of_party(party),
         .remark = fmt::format("connection {}, transaction {}{}", party.thread, party.transaction,
                               party.account.empty() ? "" : ", " + party.account),
         .is_victim = i == victim});
  }
  for (const std::size_t i : order) {
    const InnodbParty& party = parties[i];
    if (party.waits_for.empty()) continue;
    const std::size_t holder = place_of(party.held_by);
    incident.words.push_back(fmt::format("transaction {} waits for {}{}", party.transaction, party.waits_for,
                                         holder < order.size() ? fmt::format(", where {} has {} lock", party.held_by,
                                                                             party.shared ? "a shared" : "an exclusive")
                                                               : std::string()));
    if (!party.relation.empty() &&
        std::find(incident.relations.begin(), incident.relations.end(), party.relation) == incident.relations.end())
      incident.relations.push_back(party.relation);
  }
  if (!incident.relations.empty()) {
    const std::string& first = incident.relations.front();
    incident.dump_command = "mariadb-dump --no-data --compact " + first.substr(0, first.find('.'));
    for (const std::string& each : incident.relations) incident.dump_command += " " + last_part(each);
  }
  for (std::size_t i = 0; i < order.size(); ++i) incident.statements.push_back({i, "begin", {}});
  for (std::size_t i = 0; i < order.size(); ++i) {
    const InnodbParty& waiter = parties[order[i]];
    const std::size_t holder = place_of(waiter.held_by);
    if (waiter.waits_for.empty() || holder == order.size()) continue;
    std::string table, condition;
    const std::string& waiting = incident.sessions[i].name;
    if (!rows_named_by(waiter.in_hand, table, condition)) {
      incident.missing.push_back(fmt::format("the statement by which {} locked what {} waits for: {}",
                                             incident.sessions[holder].name, waiting, kGeneralLog));
      continue;
    }
    // A second name of the table is of use to the condition alone, where it stands.
    incident.statements.push_back(
        {holder,
         fmt::format("select * from {}{}{} {}", table, condition.empty() ? "" : " ", condition,
                     waiter.shared ? "lock in share mode" : "for update"),
         fmt::format("guessed: it held what {} waits for{}", waiting,
                     has_placeholder(condition) ? "; put the values in the place of ?" : "")});
  }
  bool is_cut = false, has_values_missing = false;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const InnodbParty& party = parties[order[i]];
    if (party.in_hand.empty() || party.waits_for.empty()) continue;
    const bool lacks_values = has_placeholder(party.in_hand);
    has_values_missing = has_values_missing || lacks_values;
    is_cut = is_cut || party.in_hand.size() >= kStatementMost;
    incident.statements.push_back(
        {i, party.in_hand, lacks_values ? "put the values in the place of ?" : std::string()});
  }
  incident.missing.push_back(
      fmt::format("what each did before its last statement, which InnoDB does not keep; {}", kGeneralLog));
  if (has_values_missing)
    incident.missing.push_back("the values of prepared statements; the general log has them in its Execute lines");
  if (is_cut)
    incident.missing.push_back(fmt::format("the end of a statement: InnoDB writes {} bytes of each", kStatementMost));
  return incident;
}

namespace {

/// What begins a deadlock in either text, "(1)"; 0: it is not that line.
std::size_t number_in_heading(std::string_view line, std::string_view word) {
  if (!line.starts_with("*** (") || !line.ends_with(word)) return 0;
  std::size_t number = 0;
  (void)std::from_chars(line.data() + 5, line.data() + line.size(), number);
  return number;
}

/// The text behind `mark` up to a sign of `ends`.
std::string after(std::string_view line, std::string_view mark, std::string_view ends) {
  const std::size_t at = line.find(mark);
  if (at == std::string_view::npos) return {};
  line.remove_prefix(at + mark.size());
  return std::string(line.substr(0, line.find_first_of(ends)));
}

/// "shop.accounts" out of "`shop`.`accounts`".
std::string table_in(std::string_view line) {
  std::string name = after(line, "table `", " ");
  std::erase(name, '`');
  return name;
}

/// The value of the first column: its text where every byte is a letter or the like, else a number of four or eight
/// bytes, else its bytes. InnoDB stores whole numbers with the highest bit turned over.
std::string value_of_field(std::string_view line) {
  const std::string hex = after(line, "hex ", ";");
  if (hex.empty()) return {};
  std::string text;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    (void)std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (byte >= 0x20 && byte <= 0x7e) text += static_cast<char>(byte);
  }
  if (2 * text.size() == hex.size()) return text;
  const bool is_number = (hex.size() == 8 || hex.size() == 16) && (hex[0] == '8' || hex[0] == '7');
  std::uint64_t bits = 0;
  const bool is_read = std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16).ec == std::errc();
  if (!is_number || !is_read) return "0x" + hex;
  const std::uint64_t top = std::uint64_t{1} << (hex.size() * 4 - 1);
  return (bits & top) != 0 ? std::to_string(bits - top) : fmt::format("-{}", top - bits);
}

/// One deadlock while it is read.
class Reading {
 public:
  explicit Reading(std::string when) : when_(std::move(when)) {}

  void read(std::string_view line) {
    if (number_in_heading(line, "TRANSACTION:") > 0) {
      parties_.push_back({});
      part_ = Part::transaction;
    } else if (line.starts_with("*** ") && line.ends_with("WAITING FOR THIS LOCK TO BE GRANTED:")) {
      // The older form has these apart from their transactions: "*** (1) WAITING FOR …".
      part_ = Part::waits;
      has_row_ = false;
    } else if (line.starts_with("*** CONFLICTING WITH:")) {
      part_ = Part::in_the_way;
    } else if (line.starts_with("*** (")) {
      part_ = Part::other;
    } else if (!parties_.empty()) {
      read_in_part(line, parties_.back());
    }
  }

  Incident taken(std::size_t victim) {
    for (InnodbParty& each : parties_) {
      each.in_hand = without_blanks(each.in_hand);
      // Without "CONFLICTING WITH" the cycle itself tells of two who is in whose way.
      if (each.held_by.empty() && parties_.size() == 2)
        each.held_by = (&each == &parties_.front() ? parties_.back() : parties_.front()).transaction;
    }
    Incident incident = innodb_incident(parties_, Incident::Kind::deadlock, victim - 1);
    incident.when = when_;
    return incident;
  }

  bool is_whole() const noexcept { return parties_.size() >= 2; }

 private:
  enum class Part { transaction, statement, waits, in_the_way, other };

  void read_in_part(std::string_view line, InnodbParty& party) {
    const bool is_lock = line.starts_with("RECORD LOCKS") || line.starts_with("TABLE LOCK");
    switch (part_) {
      case Part::transaction:
        if (line.starts_with("TRANSACTION ")) party.transaction = after(line, "TRANSACTION ", ", ");
        if (line.find(" thread id ") != std::string_view::npos && line.find("query id ") != std::string_view::npos)
          read_connection(line, party);
        break;
      case Part::statement:
        party.in_hand += fmt::format("{}\n", line);
        break;
      case Part::waits:
        if (is_lock) {
          party.relation = table_in(line);
          party.waits_for = words_of(line);
        } else if (line.starts_with(" 0: ") && !has_row_) {
          has_row_ = true;
          if (const std::string value = value_of_field(line); !value.empty()) party.waits_for += ", row " + value;
        }
        break;
      case Part::in_the_way:
        if (is_lock && party.held_by.empty() && after(line, "trx id ", " ") != party.transaction) {
          party.held_by = after(line, "trx id ", " ");
          party.shared = is_shared(line);
        }
        break;
      case Part::other:
        break;
    }
  }

  /// "MariaDB thread id 5, OS thread handle 1, query id 37 localhost root Updating"; the statement comes below.
  void read_connection(std::string_view line, InnodbParty& party) {
    party.thread = after(line, " thread id ", ", ");
    const std::string query = after(line, "query id ", " ");
    (void)std::from_chars(query.data(), query.data() + query.size(), party.query);
    part_ = Part::statement;
  }

  static bool is_shared(std::string_view line) {
    const std::string mode = line.find("lock_mode ") != std::string_view::npos ? after(line, "lock_mode ", " ")
                                                                               : after(line, "lock mode ", " ");
    return mode == "S" || mode == "IS";
  }

  static std::string words_of(std::string_view line) {
    const bool is_gap = line.find("locks gap before rec") != std::string_view::npos;
    const bool inserts = line.find("insert intention") != std::string_view::npos;
    const std::string index = after(line, "index ", " ");
    const std::string what = inserts           ? "a place for an insert"
                             : is_gap          ? "a gap"
                             : is_shared(line) ? "S lock"
                                               : "X lock";
    return fmt::format("{}{} of {}", what, index.empty() ? "" : ", index " + index, last_part(table_in(line)));
  }

  std::string when_;
  std::vector<InnodbParty> parties_;
  Part part_ = Part::other;
  bool has_row_ = false;
};

/// Takes "2026-12-01  1:32:20 5 [Note] InnoDB: " off the line. Gives the time; empty: the line has no such beginning.
std::string take_heading(std::string_view& line) {
  constexpr std::string_view kMark = "[Note] InnoDB: ";
  const std::size_t at = line.find(kMark);
  if (at == std::string_view::npos || line.empty() || std::isdigit(static_cast<unsigned char>(line.front())) == 0)
    return {};
  // Date, time, and the number of the thread.
  std::string when(line.substr(0, std::min<std::size_t>(at, 19)));
  line.remove_prefix(at + kMark.size());
  while (!when.empty() && when.back() == ' ') when.pop_back();
  return when;
}

}  // namespace

Result<std::vector<Incident>> innodb_incidents_in(std::string_view text) {
  std::vector<Incident> incidents;
  std::optional<Reading> open;
  std::string when;
  bool is_known = text.find("INNODB MONITOR OUTPUT") != std::string_view::npos;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool is_date = line.size() > 19 && std::isdigit(static_cast<unsigned char>(line[0])) != 0 && line[4] == '-';
    if (std::string time = take_heading(line); !time.empty()) {
      is_known = true;
      when = std::move(time);
    } else if (is_date && !open) {
      when = line.substr(0, 19);
    }
    if (number_in_heading(line, "TRANSACTION:") == 1) open.emplace(when);
    if (!open) continue;
    constexpr std::string_view kVictim = "*** WE ROLL BACK TRANSACTION (";
    if (line.starts_with(kVictim)) {
      std::size_t victim = 0;
      (void)std::from_chars(line.data() + kVictim.size(), line.data() + line.size(), victim);
      if (open->is_whole()) incidents.push_back(open->taken(victim));
      open.reset();
    } else {
      open->read(line);
    }
  }
  if (!incidents.empty() || is_known) return incidents;
  return Error{
      Fault::invalid,
      {},
      "it is neither an error log of MariaDB nor what SHOW ENGINE INNODB STATUS gives; the log has each deadlock "
      "with innodb_print_all_deadlocks = on"};
}

}  // namespace lockstep::mariadb
