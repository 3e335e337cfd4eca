// answers.h: what a person types, line by line, while a command asks.
#pragma once

#include <optional>
#include <string>

#include "cli/commands/program.h"

namespace lockstep::cli {

/// Lines of standard input. Not thread-safe.
class Answers {
 public:
  explicit Answers(Program& program) : program_(program) {}

  /// Shows the prompt and waits for a line, which comes without blanks at its ends. nullopt: the person has left, by
  /// `q`, by ^C, or because the input has ended (^D); what is asked after that is answered so at once.
  /// Without a terminal the line is written too, so that the text reads as a dialogue.
  std::optional<std::string> ask();
  bool has_left() const noexcept { return left_; }

 private:
  /// False: the input has ended, or the program is to stop.
  bool read_line(std::string& line);

  Program& program_;
  std::string rest_;  ///< what was read beyond the last line
  bool left_ = false;
};

}  // namespace lockstep::cli
