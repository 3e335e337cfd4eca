// incident.cc: an incident, written as a scenario file.
#include "engine/store/incident.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace lockstep {
namespace {

/// One comment, however many lines the text has.
std::string comment(std::string_view text, std::string_view margin = "") {
  std::string out;
  while (true) {
    const std::size_t end = text.find('\n');
    out += fmt::format("{}# {}\n", margin, text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

/// A block ends at its first `}`. In a literal of SQL the character can be written by its number.
std::string without_closing_braces(const std::string& sql, bool& possible) {
  std::string out;
  std::size_t at = 0;
  while (at < sql.size()) {
    if (sql[at] == '}') possible = false;
    if (sql[at] != '\'') {
      out += sql[at++];
      continue;
    }
    std::string literal;
    std::size_t end = at + 1;
    for (; end < sql.size(); ++end) {
      if (sql[end] == '\'') {
        if (end + 1 >= sql.size() || sql[end + 1] != '\'') break;
        literal += sql[end++];
      }
      literal += sql[end];
    }
    const bool is_plain = out.empty() || (out.back() != 'E' && out.back() != 'e' && out.back() != '&');
    if (literal.find('}') == std::string::npos || !is_plain || literal.find('\\') != std::string::npos) {
      possible = possible && literal.find('}') == std::string::npos;
      out += fmt::format("'{}'", literal);
    } else {
      std::string coded;
      for (const char c : literal) coded += c == '}' ? std::string("\\007D") : std::string(1, c);
      out += fmt::format("U&'{}'", coded);
    }
    at = std::min(end + 1, sql.size());
  }
  return out;
}

std::string setup_of(const Incident& incident) {
  std::string out;
  if (incident.setup.empty()) {
    const std::string tables =
        incident.relations.empty() ? "the tables" : fmt::format("{}", fmt::join(incident.relations, ", "));
    out += comment(fmt::format("Put here what makes {} and the rows concerned:", tables));
    std::string command = incident.dump_command;
    if (command.empty()) {
      command = "pg_dump --schema-only --no-owner";
      for (const std::string& relation : incident.relations) command += " -t " + relation;
    }
    out += comment("  " + command);
    return out + "setup {\n}\n";
  }
  for (const std::string& sql : incident.setup) {
    bool possible = true;
    const std::string safe = without_closing_braces(sql, possible);
    if (possible) {
      out += fmt::format("setup {{ {} }}\n", safe);
    } else {
      out += comment("A closing brace outside of a literal cannot stand in a block. This is left out:\n" + sql);
    }
  }
  return out;
}

std::string script_of(const Incident& incident) {
  std::size_t widest = 0;
  for (const Incident::Participant& session : incident.sessions) widest = std::max(widest, session.name.size());
  std::string out;
  for (const Incident::SessionStep& each : incident.statements) {
    if (!each.remark.empty()) out += comment(each.remark);
    std::string sql;
    for (const char c : each.sql) sql += c == '\n' ? std::string("\n    ") : std::string(1, c);
    out += fmt::format("{:<{}} {}\n", incident.sessions[each.session].name + ":", widest + 1, sql);
  }
  return out;
}

}  // namespace

std::string scenario_file(const Incident& incident, const std::string& store) {
  std::vector<std::string> names;
  for (const Incident::Participant& session : incident.sessions) names.push_back(session.name);
  const bool is_deadlock = incident.kind == Incident::Kind::deadlock;
  std::string out = comment(fmt::format("{} of {}{}", is_deadlock ? "A deadlock" : "A wait for a lock",
                                        fmt::join(names, " and "), incident.when.empty() ? "" : ", " + incident.when));
  out += "#\n";
  for (const std::string& line : incident.words) out += comment(line);
  out += "#\n";
  for (const Incident::Participant& session : incident.sessions) {
    out += comment(fmt::format("{}: {}{}", session.name, session.remark, session.is_victim ? ", the victim" : ""));
  }
  for (const std::string& sentence : incident.missing) out += "#\n" + comment("Missing: " + sentence);
  out += "\n" + setup_of(incident) + "\n" + script_of(incident) + "\n";
  // How a wait ended is not what such a log tells.
  out += is_deadlock ? fmt::format("expect {} *: deadlock\n", store) : fmt::format("on {}\n", store);
  return out;
}

}  // namespace lockstep
