// script_text.cc: see script_text.h.
#include "cli/text/script_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text/run_text.h"
#include "cli/text/text.h"

namespace lockstep::cli {
namespace {

std::string missed_line(const std::string& path, const script::Checked& checked) {
  const bool is_query = checked.said.starts_with("holds ");
  return fmt::format("{}:{}: {}{}: {}{}", path, checked.line, is_query ? "" : "=> ", checked.said, checked.came,
                     is_query || checked.came.ends_with("reached") ? "" : " came");
}

}  // namespace

std::string checked_text(const std::string& path, const std::vector<script::Checked>& checked,
                         const Terminal& terminal) {
  if (checked.empty()) return {};
  std::vector<Line> lines;
  const auto held = static_cast<std::size_t>(
      std::count_if(checked.begin(), checked.end(), [](const script::Checked& each) { return each.held; }));
  for (const script::Checked& each : checked) {
    if (!each.held) add_paragraph(lines, terminal, Style::fault, "not so", missed_line(path, each));
  }
  if (held == checked.size())
    add_paragraph(lines, terminal, Style::dim, "came",
                  counted(checked.size(), "line", "lines") + " => as the file says");
  return str(lines, terminal);
}

std::string missed_text(const std::string& path, const std::vector<script::Checked>& checked) {
  std::string text;
  for (const script::Checked& each : checked) {
    if (!each.held) text += (text.empty() ? "" : "; ") + missed_line(path, each);
  }
  return text;
}

}  // namespace lockstep::cli
