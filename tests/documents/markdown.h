// markdown.h: what the tests of the documents read out of a Markdown file: its code, its links, its headings.
//
// Not a parser of Markdown: it knows fenced blocks, code spans, inline links and headings, as this project writes them.
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <regex>
#include <string>
#include <vector>

namespace lockstep::documents {

namespace fs = std::filesystem;

/// A piece of a document: a code span, a line of a fenced block, the target of a link.
struct Piece {
  std::string text;
  int line = 0;           ///< counted from 1; of a command that goes on, its last
  bool in_block = false;  ///< a line of a fenced block
};

inline void PrintTo(const Piece& piece, std::ostream* out) { *out << piece.line << ": " << piece.text; }

inline fs::path root() { return LOCKSTEP_SOURCE_DIR; }

/// Each pattern is compiled once: the tests apply a few dozen to thousands of short texts.
inline const std::regex& compiled(const std::string& pattern) {
  static std::map<std::string, std::regex> known;
  const auto found = known.find(pattern);
  return found != known.end() ? found->second : known.emplace(pattern, std::regex(pattern)).first->second;
}

/// Every document, as a path from the root of the tree. CHANGELOG.md is left out: it tells of what was.
inline std::vector<std::string> all_documents() {
  std::vector<std::string> all;
  for (auto entry = fs::recursive_directory_iterator(root()); entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename().string();
    if (entry->is_directory() && (name.starts_with(".") || name == "build")) entry.disable_recursion_pending();
    if (entry->is_regular_file() && name.ends_with(".md") && name != "CHANGELOG.md") {
      all.push_back(fs::relative(entry->path(), root()).generic_string());
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

/// "docs/running.md" as the name of a test: docs_running.
inline std::string test_name_of(const std::string& document) {
  return std::regex_replace(document.substr(0, document.size() - 3), compiled("[^A-Za-z0-9]"), "_");
}

inline std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? std::string() : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

inline std::vector<std::string> lines_of(const std::string& document) {
  std::ifstream file(root() / document);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// A document taken apart.
struct Markdown {
  std::vector<Piece> code;   ///< spans, and lines of blocks, in the order of the document
  std::vector<Piece> links;  ///< targets of inline links
  std::vector<std::string> anchors;
  std::vector<std::vector<std::string>> blocks;  ///< the fenced ones, line by line
};

/// The anchor that GitHub gives to a heading: lower case, words joined by "-", punctuation left out.
inline std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_') anchor += static_cast<char>(std::tolower(byte));
    if (c == ' ') anchor += '-';
  }
  return anchor;
}

/// Takes the code spans and links out of one paragraph, which begins at `line`. A span may go on in the next line.
inline void take_paragraph(const std::string& paragraph, int line, Markdown& into) {
  const std::regex &span = compiled("`([^`]+)`"), &link = compiled(R"(\]\(([^)\s]+)\))");
  const auto line_at = [&](std::ptrdiff_t offset) {
    return line + static_cast<int>(std::count(paragraph.begin(), paragraph.begin() + offset, '\n'));
  };
  for (std::sregex_iterator at(paragraph.begin(), paragraph.end(), span), end; at != end; ++at) {
    std::string text = std::regex_replace(at->str(1), compiled("\\s*\n\\s*"), " ");
    text = std::regex_replace(text, compiled(R"(\\\|)"), "|");  // in a table
    into.code.push_back({.text = trimmed(text), .line = line_at(at->position())});
  }
  const std::string prose = std::regex_replace(paragraph, span, "");
  for (std::sregex_iterator at(prose.begin(), prose.end(), link), end; at != end; ++at) {
    into.links.push_back({.text = at->str(1), .line = line_at(at->position())});
  }
}

/// Reads the document; taken_apart() does so once.
inline Markdown read_apart(const std::string& document) {
  Markdown result;
  std::string paragraph, continued;
  int number = 0, begin = 1;
  bool in_block = false;
  const auto end_paragraph = [&] {
    take_paragraph(paragraph, begin, result);
    paragraph.clear();
    begin = number + 1;
  };
  for (const std::string& line : lines_of(document)) {
    ++number;
    if (trimmed(line).starts_with("```")) {
      if (!in_block) result.blocks.emplace_back();
      in_block = !in_block;
      end_paragraph();
    } else if (in_block) {
      result.blocks.back().push_back(line);
      continued += trimmed(line);
      if (continued.ends_with("\\")) {
        continued.pop_back();
        continue;
      }
      result.code.push_back({.text = continued, .line = number, .in_block = true});
      continued.clear();
    } else if (trimmed(line).empty()) {
      end_paragraph();
    } else {
      if (line.starts_with("#")) result.anchors.push_back(anchor_of(trimmed(line.substr(line.find_first_not_of('#')))));
      paragraph += line + "\n";
    }
  }
  end_paragraph();
  return result;
}

inline const Markdown& taken_apart(const std::string& document) {
  static std::map<std::string, Markdown> known;
  const auto found = known.find(document);
  return found != known.end() ? found->second : known.emplace(document, read_apart(document)).first->second;
}

}  // namespace lockstep::documents
