// text.h: text from anywhere (keys, SQL, messages of servers) made fit to be shown, on a page or a terminal: harmless,
// measured, shortened, wrapped.
//
// Thread-safe: no state. Text is UTF-8; what is not is shown as \xNN. Widths are columns of a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::reports {

/// Columns that `text` takes: wide East Asian characters and emoji take two, combining marks none. `text` is neutral().
std::size_t columns(std::string_view text);

/// One harmless line. Line ends and tabs become spaces. Other control characters, bytes that are not UTF-8, and
/// characters that reorder or hide text (bidirectional controls, zero-width spaces) become \x1b or \u{202e}.
std::string neutral(std::string_view text);

/// ASCII for a terminal that knows no more: arrows, dashes and quotes by their look-alikes, anything else by "?".
/// `text` is neutral().
std::string to_ascii(std::string_view text);

/// At most `width` columns: cut before a character, with `dots` at the end where something was left out.
std::string shortened(std::string_view text, std::size_t width, std::string_view dots = "…");

/// Lines of at most `width` columns, broken at spaces; a longer word is cut. At least one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// `text` and as many spaces as fill `width` columns.
std::string padded(std::string_view text, std::size_t width);

/// "1 retry", "2 retries".
std::string counted(unsigned long long count, std::string_view one, std::string_view many);

}  // namespace lockstep::reports
