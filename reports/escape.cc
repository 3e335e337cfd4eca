// escape.cc: one character after the other.
#include "reports/escape.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "reports/text.h"

namespace lockstep::reports {
namespace {

using Json = nlohmann::ordered_json;

/// `json` with every text in it made neutral().
Json neutral_texts(const Json& json) {
  if (json.is_string()) return neutral(json.get_ref<const std::string&>());
  if (!json.is_structured()) return json;
  Json copy = json.is_array() ? Json::array() : Json::object();
  for (const auto& [key, value] : json.items()) {
    if (json.is_array()) {
      copy.push_back(neutral_texts(value));
    } else {
      copy[neutral(key)] = neutral_texts(value);
    }
  }
  return copy;
}

}  // namespace

std::string html(std::string_view text) {
  std::string safe;
  for (const char c : neutral(text)) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string harmless(const Json& json) {
  return json_in_script(neutral_texts(json).dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string json_in_script(std::string text) {
  // These stand in strings only, where every character may be written as its number.
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      safe += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string csv(std::string_view text) {
  std::string safe = neutral(text);
  const std::size_t first = safe.find_first_not_of(' ');
  if (first != std::string::npos && std::string_view("=+-@").find(safe[first]) != std::string_view::npos) {
    safe.insert(safe.begin(), '\'');
  }
  if (safe.find_first_of("\",;") == std::string::npos && safe.find_first_of(" \t") != 0) return safe;
  std::string quoted = "\"";
  for (const char c : safe) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string markdown(std::string_view text) {
  std::string safe;
  for (const char c : neutral(text)) {
    if (std::string_view("\\`*_{}[]()#+!|~-.").find(c) != std::string_view::npos) {
      // A full stop or a dash is markup at the start of a line only.
      const bool harmless = (c == '.' || c == '-' || c == '+' || c == '(' || c == ')' || c == '!') && !safe.empty();
      if (!harmless) safe += '\\';
      safe += c;
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else if (c == '&') {
      safe += "&amp;";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string markdown_code(std::string_view text) {
  const std::string safe = neutral(text);
  std::size_t longest = 0, run = 0;
  for (const char c : safe) longest = std::max(longest, run = c == '`' ? run + 1 : 0);
  const std::string fence(longest + 1, '`');
  const bool padded = !safe.empty() && (safe.front() == '`' || safe.back() == '`');
  return fence + (padded ? " " : "") + safe + (padded ? " " : "") + fence;
}

}  // namespace lockstep::reports
