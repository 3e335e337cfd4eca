// kv_text.cc: data folders, rows and logs for people.
#include "cli/text/kv_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

/// Bytes on one line, without loss: a backslash is doubled, what is no text becomes \xNN.
std::string shown(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c == '\\')
      text += "\\\\";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  return text;
}

std::string shown_value(std::string_view value, const Terminal& terminal, bool full) {
  constexpr std::size_t kMost = 200;
  if (full || value.size() <= kMost) return terminal.clean(shown(value));
  return terminal.clean(shown(value.substr(0, kMost))) + terminal.clean(fmt::format("… ({} bytes)", value.size()));
}

std::string positions_of(const kv::FileReport& file) {
  if (file.is_checkpoint) return fmt::format("to {}", file.last);
  if (file.items == 0) return fmt::format("from {}", file.first);
  return fmt::format("{} to {}", file.first, file.last);
}

void add_wrapped(std::vector<Line>& lines, const Terminal& terminal, const std::string& text) {
  for (const std::string& part : wrapped(terminal.clean(text), std::max<std::size_t>(terminal.width, 40) - 3))
    lines.push_back(Line("   " + part));
}

void add_file(std::vector<Line>& lines, const Terminal& terminal, const kv::FileReport& file) {
  Line line;
  const bool bad = file.damage && file.is_needed;
  line.add(" ").add(bad ? Style::fault : Style::good, bad ? terminal.glyphs().fault : terminal.glyphs().good);
  line.add(" " + terminal.clean(file.name)).to(36).add(positions_of(file)).to(54);
  line.add(file.is_checkpoint ? counted(file.items, "row", "rows") : counted(file.items, "commit", "commits"));
  line.to(68).add(fmt::format("{} B", file.bytes));
  lines.push_back(std::move(line));
  if (file.damage) add_wrapped(lines, terminal, file.damage->message);
  if (!file.is_needed) add_wrapped(lines, terminal, "not needed any more: a checkpoint holds all of it");
  if (file.torn_bytes > 0)
    add_wrapped(lines, terminal,
                fmt::format("{} at its end: of a commit that was never complete, or is just being written",
                            counted(file.torn_bytes, "byte", "bytes")));
}

}  // namespace

std::string kv_verify_text(const kv::FolderReport& report, const Terminal& terminal, bool quiet) {
  std::vector<Line> lines;
  kv::Position last = 0;
  for (const kv::FileReport& file : report.files) last = std::max(last, file.last);
  if (!quiet) {
    lines.push_back(Line()
                        .add(Style::heading, terminal.clean(report.folder))
                        .add(fmt::format("   kv store {:016x}, format {}", report.store_id, report.format)));
    lines.emplace_back();
    for (const kv::FileReport& file : report.files) add_file(lines, terminal, file);
    for (const std::string& name : report.unfinished)
      lines.push_back(Line("   " + terminal.clean(name) + "   unfinished; opening the store removes it"));
    for (const std::string& name : report.foreign)
      lines.push_back(Line("   " + terminal.clean(name) + "   no file of a store; it is left alone"));
    lines.emplace_back();
  }
  if (const Error* problem = report.first_problem()) {
    lines.push_back(Line().add(" ").add(Style::fault, "DAMAGED"));
    if (quiet || report.problem) add_wrapped(lines, terminal, problem->message);
  } else {
    Line line;
    line.add(" ").add(Style::good, "INTACT").add("  " + counted(last, "commit", "commits"));
    line.add(report.settled == last ? ", closed in order" : ", in use or not closed in order");
    lines.push_back(std::move(line));
  }
  return str(lines, terminal);
}

std::string kv_rows_text(const kv::Contents& contents, const Terminal& terminal, bool full) {
  std::string text;
  for (const auto& [key, value] : contents.rows)
    text += terminal.clean(shown(key)) + " = " + shown_value(value, terminal, full) + "\n";
  return text;
}

std::string kv_transaction_text(const LoggedTransaction& transaction, const Terminal& terminal, bool full) {
  std::string text =
      Line()
          .add(Style::bold, fmt::format("{}", transaction.position))
          .add(Style::dim, terminal.clean(fmt::format("   {} at {}", transaction.file, transaction.offset)))
          .str(terminal);
  for (const auto& [key, value] : transaction.writes)
    text +=
        "  " + terminal.clean(shown(key)) + (value ? " = " + shown_value(*value, terminal, full) : " erased") + "\n";
  return text;
}

}  // namespace lockstep::cli
