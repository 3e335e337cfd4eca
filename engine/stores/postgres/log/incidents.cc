// incidents.cc: puts the sessions of a deadlock or of a wait together, statement by statement.
#include "engine/stores/postgres/log/incidents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <map>
#include <regex>
#include <set>

#include "engine/stores/postgres/log/logged_statements.h"

namespace lockstep::postgres {
namespace {

/// A statement of the log and the entry that it is from.
struct Said {
  std::size_t entry = 0;
  LoggedStatement statement;
};

constexpr std::string_view kLogStatements =
    "log_statement = 'all' would have written it (alter system set log_statement = 'all'; select pg_reload_conf())";

bool is_deadlock(const LogEntry& entry) {
  return entry.severity == "ERROR" &&
         (entry.code == "40P01" || (entry.code.empty() && entry.message == "deadlock detected"));
}

/// The lines of DETAIL: who waits for whom, and what each one does.
std::vector<Party> parties_of_deadlock(const LogEntry& entry, std::vector<std::string>& words) {
  static const std::regex waits(R"(^Process (\d+) waits for .*; blocked by process (\d+)\.$)");
  static const std::regex does(R"(^Process (\d+): ([\s\S]*)$)");
  std::vector<Party> parties;
  std::string* open = nullptr;
  std::string_view rest = entry.detail;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    std::smatch found;
    if (std::regex_match(line, found, waits)) {
      parties.push_back({.process = found[1], .in_hand = {}, .is_victim = found[1] == entry.process});
      words.push_back(line);
      open = nullptr;
    } else if (std::regex_match(line, found, does)) {
      open = nullptr;
      for (Party& party : parties) {
        if (party.process == found[1]) open = &party.in_hand;
      }
      if (open != nullptr) *open = found[2];
    } else if (open != nullptr) {
      *open += "\n" + line;
    }
  }
  return parties;
}

/// A log_lock_waits entry: "process 742 still waiting for ShareLock on transaction 9 after 1000.1 ms".
std::vector<Party> parties_of_wait(const LogEntry& entry, std::vector<std::string>& words) {
  static const std::regex waits(R"(^process (\d+) still waiting for (.*) after ([\d.]+) ms$)");
  static const std::regex holders(R"(Process(?:es)? holding the lock: ([\d, ]+)\.)");
  std::smatch found;
  if (entry.severity != "LOG" || !std::regex_match(entry.message, found, waits)) return {};
  words.push_back(entry.message);
  if (!entry.detail.empty()) words.push_back(entry.detail);
  std::vector<Party> parties = {{.process = found[1], .in_hand = entry.statement}};
  if (std::regex_search(entry.detail, found, holders)) {
    std::string numbers = found[1];
    for (char* at = numbers.data(); *at != '\0';) {
      std::string pid;
      for (; std::isdigit(static_cast<unsigned char>(*at)) != 0; ++at) pid += *at;
      if (pid.empty()) {
        ++at;
      } else {
        parties.insert(parties.begin(), {.process = pid, .in_hand = {}, .waits = false});
      }
    }
  }
  return parties;
}

/// A name that a scenario file can have for a session.
std::string session_name(const Party& party, std::set<std::string>& taken) {
  static const std::set<std::string> words = {"setup",   "teardown", "session",  "step", "permutation", "notices",
                                              "pattern", "expect",   "holds",    "why",  "fix",         "option",
                                              "given",   "repeat",   "schedule", "load", "end",         "on"};
  std::string name;
  for (const char c : party.application) name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ? c : '_';
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0 || words.contains(name)) name = "";
  std::string unique = name.empty() ? "P" + party.process : name;
  if (!taken.insert(unique).second) {
    unique = fmt::format("{}_{}", unique, party.process);
    taken.insert(unique);
  }
  return unique;
}

/// Tables that the statement names, as far as its form tells.
void note_relations(const std::string& sql, std::vector<std::string>& relations) {
  static const std::regex named(R"((?:\bupdate|\bfrom|\binto|\bjoin|\btable)\s+(?:only\s+)?([a-z_][\w.]*|"[^"]+"))",
                                std::regex::icase);
  static const std::set<std::string> words = {"select", "set", "only", "lateral", "if", "values"};
  for (std::sregex_iterator at(sql.begin(), sql.end(), named), end; at != end; ++at) {
    const std::string name = (*at)[1];
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (words.contains(lower)) continue;
    if (std::find(relations.begin(), relations.end(), name) == relations.end()) relations.push_back(name);
  }
}

class Reconstruction {
 public:
  Reconstruction(const std::vector<LogEntry>& log, std::size_t at, std::vector<Party> parties, Incident incident)
      : log_(log), at_(at), parties_(std::move(parties)), incident_(std::move(incident)) {}

  Incident made() {
    incident_.when = log_[at_].time;
    std::vector<std::vector<Said>> before, after;
    for (Party& party : parties_) {
      before.push_back(transaction_before(party));
      after.push_back(transaction_after(party));
    }
    name_sessions();
    for (std::size_t i = 0; i < parties_.size(); ++i) complete(i, before[i]);
    // Guesses first: what they stand for was done before anybody waited.
    for (std::size_t i = 0; i < parties_.size(); ++i) {
      if (before[i].size() <= 1 || !was_logged(before[i])) guess(i);
    }
    write_in_order(before);
    write_in_order(after);
    for (std::size_t i = 0; i < parties_.size(); ++i) end(i, after[i]);
    return std::move(incident_);
  }

 private:
  static constexpr std::size_t kInHand = std::numeric_limits<std::size_t>::max();  // not from a line of its own

  bool is_of(const LogEntry& entry, const Party& party) const { return entry.process == party.process; }

  /// What the party did in its transaction up to the incident.
  std::vector<Said> transaction_before(Party& party) {
    std::vector<Said> said;
    for (std::size_t i = at_ + 1; i-- > 0;) {
      const LogEntry& entry = log_[i];
      if (!is_of(entry, party)) continue;
      if (party.application.empty()) party.application = entry.application;
      if (i == at_) continue;
      // What comes before is of another session that had the same pid.
      if (entry.message.starts_with("connection received") || entry.message.starts_with("disconnection")) break;
      std::optional<LoggedStatement> statement = logged_statement(entry);
      if (!statement) continue;
      const TransactionEdge edge = edge_of(statement->sql);
      if (edge == TransactionEdge::commit || edge == TransactionEdge::rollback) break;
      if (!entry.transaction.empty() && !said.empty() && edge != TransactionEdge::begin &&
          entry.transaction != log_[said.back().entry].transaction)
        break;
      // The execution of what was bound, and the end of what was begun, are the same statement. The log is read
      // backwards: what was said last stands behind `statement`.
      const bool is_known = !said.empty() && said.back().statement.without_values == statement->without_values &&
                            !said.back().statement.is_bind &&
                            (statement->is_bind || (said.back().statement.is_at_end && !statement->is_at_end));
      if (is_known) {
        said.back() = {.entry = i, .statement = std::move(*statement)};
      } else {
        said.push_back({.entry = i, .statement = std::move(*statement)});
      }
      if (edge == TransactionEdge::begin) break;
    }
    std::reverse(said.begin(), said.end());
    return said;
  }

  /// What it did afterwards, up to the end of its transaction. Nothing for a victim.
  std::vector<Said> transaction_after(const Party& party) const {
    std::vector<Said> said;
    if (party.is_victim) return said;
    for (std::size_t i = at_ + 1; i < log_.size(); ++i) {
      const LogEntry& entry = log_[i];
      if (!is_of(entry, party)) continue;
      if (entry.severity == "ERROR" || entry.severity == "FATAL") break;
      std::optional<LoggedStatement> statement = logged_statement(entry);
      if (!statement || statement->is_at_end) continue;
      const TransactionEdge edge = edge_of(statement->sql);
      if (edge == TransactionEdge::begin) break;
      said.push_back({.entry = i, .statement = std::move(*statement)});
      if (edge != TransactionEdge::none) return said;
    }
    return {};  // no end of its transaction is on record: it is not known what of this belongs to it
  }

  void name_sessions() {
    std::set<std::string> taken;
    for (const Party& party : parties_) {
      std::string remark = "process " + party.process;
      if (!party.application.empty()) remark += fmt::format(", application {}", party.application);
      incident_.sessions.push_back(
          {.name = session_name(party, taken), .remark = std::move(remark), .is_victim = party.is_victim});
    }
  }

  static bool was_logged(const std::vector<Said>& said) {
    return std::any_of(said.begin(), said.end(), [](const Said& each) { return each.entry != kInHand; });
  }

  /// Its last statement is what it had in hand. Says what is missing before it.
  void complete(std::size_t i, std::vector<Said>& said) {
    Party& party = parties_[i];
    const std::string in_hand(without_semicolon(party.in_hand));
    const std::string& name = incident_.sessions[i].name;
    if (!in_hand.empty() && (said.empty() || said.back().statement.without_values.rfind(in_hand, 0) != 0)) {
      Said last{.entry = kInHand, .statement = {}};
      last.statement.without_values = in_hand;
      last.statement.sql = with_parameters(in_hand, parameters_of(party), last.statement.unknown);
      if (!last.statement.unknown.empty()) {
        incident_.missing.push_back(
            fmt::format("the values of {} in {}'s last statement; log_parameter_max_length_on_error = -1 writes those "
                        "of the victim, "
                        "log_statement = 'all' everybody's. Fill them in where :p1, :p2 … stand",
                        last.statement.unknown, name));
      }
      said.push_back(std::move(last));
    }
    party.in_hand = said.empty() ? in_hand : said.back().statement.sql;
    if (said.size() <= 1) incident_.missing.push_back(fmt::format("what {} had done before; {}", name, kLogStatements));
  }

  /// "unnamed portal with parameters: $1 = '2'" in the CONTEXT of the victim's error.
  std::string parameters_of(const Party& party) const {
    constexpr std::string_view kWith = "portal with parameters: ";
    const std::string& context = log_[at_].context;
    const std::size_t at = context.find(kWith);
    if (!party.is_victim || at == std::string::npos) return {};
    return context.substr(at + kWith.size());
  }

  /// The party holds what another one waits for: the rows of the other's statement.
  void guess(std::size_t i) {
    const std::string& name = incident_.sessions[i].name;
    for (std::size_t step = 1; step < parties_.size() + 1; ++step) {
      // In a circle the one before waits for this one.
      const std::size_t other = (i + parties_.size() - step % parties_.size()) % parties_.size();
      if (other == i || !parties_[other].waits) continue;
      std::string table, condition;
      if (!table_and_condition(parties_[other].in_hand, table, condition)) continue;
      incident_.statements.push_back({.session = i, .sql = "begin", .remark = {}});
      incident_.statements.push_back(
          {.session = i,
           .sql = fmt::format("select * from {} where {} for update", table, condition),
           .remark = fmt::format("guessed: {} held the rows that {} waits for", name, incident_.sessions[other].name)});
      begun_.insert(i);
      return;
    }
    incident_.missing.push_back(fmt::format(
        "a step that gives {} what the others wait for: nothing could be guessed from their statements", name));
  }

  void write_in_order(const std::vector<std::vector<Said>>& said) {
    // The log's order; what stands in no line of its own was in hand when the incident was written down, the victim
    // first, who began to wait first.
    std::vector<std::pair<std::size_t, std::size_t>> order;  // (place, party)
    std::vector<std::size_t> next(said.size(), 0);
    for (;;) {
      std::size_t best = said.size();
      const auto place = [&](std::size_t i) { return said[i][next[i]].entry; };
      for (std::size_t i = 0; i < said.size(); ++i) {
        if (next[i] == said[i].size()) continue;
        const bool earlier = best == said.size() || place(i) < place(best) ||
                             (place(i) == place(best) && parties_[i].is_victim && !parties_[best].is_victim);
        if (earlier) best = i;
      }
      if (best == said.size()) return;
      write(best, said[best][next[best]++]);
    }
  }

  void write(std::size_t i, const Said& said) {
    const bool begins = edge_of(said.statement.sql) == TransactionEdge::begin;
    if (begins && begun_.contains(i)) return;
    if (!begins && !begun_.contains(i)) incident_.statements.push_back({.session = i, .sql = "begin", .remark = {}});
    begun_.insert(i);
    note_relations(said.statement.sql, incident_.relations);
    incident_.statements.push_back({.session = i,
                                    .sql = said.statement.sql,
                                    .remark = said.statement.unknown.empty()
                                                  ? std::string()
                                                  : fmt::format("fill in the values of {}", said.statement.unknown)});
  }

  void end(std::size_t i, const std::vector<Said>& after) {
    if (!after.empty()) return;
    incident_.statements.push_back({.session = i, .sql = parties_[i].is_victim ? "rollback" : "commit", .remark = {}});
  }

  const std::vector<LogEntry>& log_;
  const std::size_t at_;
  std::vector<Party> parties_;
  Incident incident_;
  std::set<std::size_t> begun_;
};

}  // namespace

bool table_and_condition(const std::string& sql, std::string& table, std::string& condition) {
  static const std::regex update(
      R"(^\s*update\s+(?:only\s+)?([\w."]+)(?:\s+(?:as\s+)?\w+)?\s+set\s[\s\S]*?\swhere\s([\s\S]*)$)",
      std::regex::icase);
  static const std::regex erase(R"(^\s*delete\s+from\s+(?:only\s+)?([\w."]+)\s+where\s([\s\S]*)$)", std::regex::icase);
  static const std::regex select(
      R"(^\s*select\s[\s\S]*?\sfrom\s+(?:only\s+)?([\w."]+)\s+where\s([\s\S]*?)\sfor\s[\s\S]*$)", std::regex::icase);
  static const std::regex returning(R"(\sreturning\s[\s\S]*$)", std::regex::icase);
  std::smatch found;
  if (!std::regex_match(sql, found, update) && !std::regex_match(sql, found, erase) &&
      !std::regex_match(sql, found, select))
    return false;
  table = found[1];
  condition = std::regex_replace(std::string(found[2]), returning, "");
  return true;
}

Incident incident_of(std::vector<Party> parties, Incident::Kind kind, std::vector<std::string> words) {
  const std::vector<LogEntry> nothing(1);
  Incident incident;
  incident.kind = kind;
  incident.words = std::move(words);
  return Reconstruction(nothing, 0, std::move(parties), std::move(incident)).made();
}

std::vector<Incident> incidents_in(const std::vector<LogEntry>& log, bool waits) {
  std::vector<Incident> incidents;
  for (std::size_t i = 0; i < log.size(); ++i) {
    Incident incident;
    std::vector<Party> parties;
    if (is_deadlock(log[i])) {
      incident.words.push_back(fmt::format("{}: {}", log[i].severity, log[i].message));
      parties = parties_of_deadlock(log[i], incident.words);
    } else if (waits) {
      incident.kind = Incident::Kind::wait;
      parties = parties_of_wait(log[i], incident.words);
      // One that became a deadlock is told as that.
      const bool is_told =
          std::any_of(log.begin() + static_cast<std::ptrdiff_t>(i), log.end(), [&](const LogEntry& later) {
            return is_deadlock(later) && !parties.empty() &&
                   later.detail.find(fmt::format("Process {} waits", parties.back().process)) != std::string::npos;
          });
      if (is_told) continue;
    }
    if (parties.size() < 2) continue;
    if (!log[i].context.empty()) incident.words.push_back(log[i].context);
    incidents.push_back(Reconstruction(log, i, std::move(parties), std::move(incident)).made());
  }
  return incidents;
}

}  // namespace lockstep::postgres
