// names.h: what people call the threads and the things of a program under control.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foreign/model/board.h"

namespace lockstep::foreign {

/// "main", "T1" for the first thread that main makes, "T1.2" for the second that T1 makes: the same in every run,
/// whatever the order.
std::string thread_name(const SharedBoard& board, int index);
/// Gives the threads with these names the indexes 0, 1, …, as a schedule from another time has them. False: there are
/// no such names.
bool know_threads(SharedBoard& board, const std::vector<std::string>& names);

/// The symbols of the files that a process has mapped, read when they are first asked for. Not thread-safe.
class Symbols {
 public:
  /// As the process `pid` has them mapped now.
  explicit Symbols(int pid);
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  /// Of a variable, "A" or "forks+80"; nullopt: none is there.
  std::optional<std::string> variable(std::uint64_t address);
  /// Of code, "transfer()"; empty: not known.
  std::string function(std::uint64_t address);
  /// The file that is mapped there, and the address that the file itself gives to the place.
  std::optional<std::pair<std::string, std::uint64_t>> place_in_file(std::uint64_t address);

 private:
  struct Mapped;
  struct Table;
  const Mapped* mapped(std::uint64_t address) const;
  Table& table(const Mapped& file);

  std::vector<Mapped> files_;
  std::map<std::string, Table> tables_;
};

/// "FILE:LINE" for each of the places, where addr2line is installed and the file has debug information; else empty.
std::vector<std::string> lines_of(Symbols& symbols, const std::vector<std::uint64_t>& callers);

/// What the program prints, when it is installed and ends well; else empty. Its standard input is empty.
std::string answer_of(const std::vector<std::string>& words);

}  // namespace lockstep::foreign
