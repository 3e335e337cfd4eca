// statement_text.h: what stores of SQL alike read out of a statement, and say of a request.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/backend.h"

namespace lockstep {

/// The first three words of a text in lower case, behind blanks and comments. `line_comments`: what begins a comment
/// that ends with its line.
std::vector<std::string> first_words(std::string_view sql, std::initializer_list<std::string_view> line_comments);

/// True for a statement of which even "0 rows" says something: one that looks for rows, not `begin` or `create`.
bool tells_rows(std::string_view sql);

/// True when `lower_case` stands in the text, in letters of either case.
bool contains_text(std::string_view sql, std::string_view lower_case);

/// "add account/3": what a request does, for messages. A statement is cut after 60 characters.
std::string text_of(const Request& request);

/// Several lines of a server or its library as one: trimmed, joined by "; ".
std::string one_line(std::string_view text);

/// An error of `request`; `said` is the server's own message.
Error request_error(Fault fault, std::string_view code, const Request& request, std::string_view said);

}  // namespace lockstep
