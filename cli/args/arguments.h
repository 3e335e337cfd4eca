// arguments.h: what was typed, sorted by option.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args/tree.h"

namespace lockstep::cli {

class Arguments {
 public:
  /// `name`: of the option without dashes, or of the argument as in its ArgumentSpec.
  void set(const std::string& name, std::vector<std::string> values) { values_[name] = std::move(values); }

  bool has(const std::string& name) const { return values_.count(name) > 0; }
  /// The last value given, or `otherwise`.
  std::string value(const std::string& name, std::string otherwise = {}) const;
  std::vector<std::string> all(const std::string& name) const;
  /// All values of an option whose values are lists: "kv,sqlite" gives two.
  std::vector<std::string> listed(const std::string& name) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

struct Parsed {
  const CommandSpec* command = nullptr;  ///< nullptr: none was typed
  Arguments arguments;
  bool help = false;
  bool version = false;
  std::string error;  ///< one line for people; not empty: nothing else counts
};

/// Reads the command line by the tree. Never throws, never exits.
Parsed parse(int argc, const char* const* argv);

}  // namespace lockstep::cli
