// completion.h: shell completion. The scripts are thin: they ask the program, which answers from the command tree and
// the catalogues. So `--pattern <TAB>` knows the scenario that was typed.
#pragma once

#include <string>
#include <vector>

namespace lockstep::cli {

struct Suggestion {
  std::string word;
  std::string what;  ///< one line; may be empty
};

/// What can stand in place of the last of `words` (those after "lockstep"; the last may be empty).
std::vector<Suggestion> suggestions(const std::vector<std::string>& words);

/// The script for "bash", "zsh" or "fish".
std::string completion_script(const std::string& shell);

}  // namespace lockstep::cli
