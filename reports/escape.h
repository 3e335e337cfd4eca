// escape.h: text from anywhere (keys, SQL, messages of servers, names in a stranger's recording), made harmless for
// each place where a report puts it. Every text that does not come from the report's own code goes through one of
// these.
//
// Thread-safe: no state. Control characters, bytes that are not UTF-8 and characters that hide or reorder text become
// visible (\x1b, \u{202e}), as reports::neutral() does.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace lockstep::reports {

/// Between tags and in quoted attributes of HTML, SVG and XML.
std::string html(std::string_view text);

/// `json` in one line, every text in it (keys too) harmless. Holds no <, >, & and no line separator, so it can stand in
/// a <script> too.
std::string harmless(const nlohmann::ordered_json& json);

/// JSON that a library wrote, fit to stand in a <script>.
std::string json_in_script(std::string text);

/// A field of CSV (RFC 4180), in quotes where need be. What a spreadsheet would take for a formula (= + - @ at the
/// start) gets an apostrophe before it.
std::string csv(std::string_view text);

/// Plain text in Markdown, also in a cell of a table: nothing in it is markup or HTML.
std::string markdown(std::string_view text);

/// In backquotes in Markdown, as many as the text asks for.
std::string markdown_code(std::string_view text);

}  // namespace lockstep::reports
