// page.cc: HTML in as few bytes as stay readable; end tags that HTML does not ask for are left out in tables.
#include "reports/page.h"

#include <fmt/format.h>

#include "reports/assets.h"
#include "reports/escape.h"

namespace lockstep::reports {

Cell::Cell(const char* words) : inner(html(words)) {}
Cell::Cell(const std::string& words) : inner(html(words)) {}

Cell Cell::number(double value, int digits) {
  Cell cell(Html{fmt::format("{:.{}f}", value, digits)});
  return cell;
}

Cell Cell::number(std::uint64_t value) {
  Cell cell(Html{grouped(value)});
  return cell;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string table(const Table& table) {
  const std::string label = html(table.caption);
  std::string text =
      fmt::format("<div class=\"scroll{}\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"{}><table class=\"{}{}\"{}>",
                  table.tall ? " tall" : "", label, table.id.empty() ? "" : fmt::format(" id=\"{}\"", table.id),
                  table.sortable ? "sort " : "", table.look,
                  table.least_width == 0 ? "" : fmt::format(" style=\"min-width:max({}px,100%)\"", table.least_width));
  text += "<caption>" + label + "</caption><thead><tr>";
  for (const Column& column : table.columns) {
    text += fmt::format("<th scope=\"col\"{}>{}</th>", column.numeric ? " class=\"n\"" : "", html(column.name));
  }
  text += "</tr></thead><tbody>\n";
  // Where columns do not stand side by side, each cell says which it is of.
  const bool stacks = table.look.find("stack") != std::string::npos;
  for (const std::vector<Cell>& row : table.rows) {
    text += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string look = row[i].look;
      if (table.columns[i].numeric) look += look.empty() ? "n" : " n";
      text += look.empty() ? "<td" : fmt::format("<td class=\"{}\"", look);
      if (row[i].spans > 1) text += fmt::format(" colspan=\"{}\"", row[i].spans);
      if (stacks) text += fmt::format(" data-c=\"{}\"", html(table.columns[i].name));
      if (!row[i].sorts_as.empty()) text += fmt::format(" data-v=\"{}\"", html(row[i].sorts_as));
      text += stacks ? "><div>" + row[i].inner + "</div>" : ">" + row[i].inner;
    }
    text += "\n";
  }
  return text + "</tbody></table></div>\n";
}

std::string figure(const std::string& svg, const std::string& key) {
  return "<figure><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"picture, scrolls sideways\">" +
         svg + "</div>" + (key.empty() ? "" : "<figcaption>" + key + "</figcaption>") + "</figure>\n";
}

std::string section(const std::string& id, const std::string& title, const std::string& inner, int level) {
  return fmt::format("<section aria-labelledby=\"{0}-h\" id=\"{0}\"><h{1} id=\"{0}-h\">{2}</h{1}>\n{3}</section>\n", id,
                     level, html(title), inner);
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string text = "<dl class=\"facts\">";
  for (const auto& [name, value] : all) {
    if (!value.empty()) text += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", html(name), html(value));
  }
  return text + "</dl>\n";
}

std::string tiles(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string text = "<dl class=\"tiles\">";
  for (const auto& [name, value] : all)
    text += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", html(name), html(value));
  return text + "</dl>\n";
}

std::string command(const std::string& line) { return "<pre><code>" + html(line) + "</code></pre>\n"; }

std::string page(const PageHead& head, const std::string& body) {
  std::string text = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
  text += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";
  // Nothing is fetched from anywhere, and no script but ours runs, whatever a recording holds.
  text += fmt::format(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
      "data:; script-src 'nonce-{}'; base-uri 'none'; form-action 'none'\">",
      head.nonce);
  text += fmt::format("<link rel=\"icon\" href=\"data:,\"><title>{}</title>\n<style>{}</style></head>\n<body>\n",
                      html(head.title), kStyleSheet);
  text +=
      "<a class=\"skip\" href=\"#main\">to the content</a>\n"
      "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\" style=\"position:absolute\"><defs>"
      "<pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
      "<rect class=\"hatch-back\" width=\"7\" height=\"7\"/><path class=\"hatch-line\" d=\"M1 0V7\"/></pattern>"
      "<marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"8\" refY=\"5\" markerWidth=\"13\" markerHeight=\"13\" "
      "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"arrow\" d=\"M0 0L10 5L0 "
      "10z\"/></marker></defs></svg>\n";
  text += fmt::format("<header class=\"top\"><p class=\"kind\">Lockstep · {}</p><h1>{}</h1>", html(head.kind),
                      html(head.headline));
  if (!head.subtitle.empty()) text += fmt::format("<p class=\"title\">{}</p>", html(head.subtitle));
  text += "</header>\n<main id=\"main\">\n" + body + "</main>\n";
  text += fmt::format("<footer class=\"foot\">lockstep {}. One file: nothing is loaded from anywhere.</footer>\n",
                      html(head.version));
  text += fmt::format("<script nonce=\"{}\">{}</script>\n</body></html>\n", head.nonce, kScript);
  return text;
}

}  // namespace lockstep::reports
