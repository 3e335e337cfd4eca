// page.h: the parts that every page is made of: its shell, tables, figures. Text goes in as it is and comes out
// escaped; what is HTML already says so by its type.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::reports {

/// HTML that one of our functions made.
struct Html {
  std::string text;
};

/// One cell of a table.
struct Cell {
  Cell(const char* words);  // implicit: a table reads as a table
  Cell(const std::string& words);
  Cell(Html markup) : inner(std::move(markup.text)) {}
  /// A number with a fixed count of digits after the point.
  static Cell number(double value, int digits);
  static Cell number(std::uint64_t value);

  std::string inner;
  std::string look = {};  ///< class
  std::string sorts_as = {};
  std::size_t spans = 1;  ///< columns
};

struct Column {
  std::string name;
  bool numeric = false;
};

struct Table {
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  bool sortable = true;
  bool tall = false;      ///< scrolls in a window of its own
  std::string look = {};  ///< classes; "stack": on a narrow page a row is a card, not a line
  std::string id = {};
  int least_width = 0;  ///< pixels; 0: what the cells ask for
};

/// In a container that scrolls sideways by itself, so that the page never does.
std::string table(const Table& table);

/// A picture with its key below and the table beside it (folded in `details` when it is long).
std::string figure(const std::string& svg, const std::string& key);

/// "<h2 id=…>TITLE</h2>" and what follows, as a section.
std::string section(const std::string& id, const std::string& title, const std::string& inner, int level = 2);

/// Names and values side by side.
std::string facts(const std::vector<std::pair<std::string, std::string>>& all);
std::string tiles(const std::vector<std::pair<std::string, std::string>>& all);

/// A command to copy.
std::string command(const std::string& line);

/// 1234567 -> "1,234,567".
std::string grouped(std::uint64_t number);

struct PageHead {
  std::string title;  ///< of the document
  std::string kind;   ///< "run", "comparison": above the headline
  std::string headline;
  std::string subtitle;
  std::string version;  ///< of the program
  std::string nonce;    ///< of the one script that may run; letters and digits
};

/// The whole file around `body`.
std::string page(const PageHead& head, const std::string& body);

}  // namespace lockstep::reports
