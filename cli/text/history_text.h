// history_text.h: verdicts on histories of files, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "cli/text/terminal.h"
#include "engine/histories/judge.h"

namespace lockstep::cli {

struct JudgedFile {
  std::string path;
  histories::Judged judged;
  std::string error = {};  ///< "LINE: what is wrong", or why it cannot be read; not empty: it was not judged
  std::string page = {};   ///< where its page was written; empty: nowhere
};

/// "5 transactions: 3 committed, 2 failed".
std::string counts_of(const histories::Judged& judged);
/// "FILE  false  serializable", a line for each claim.
std::string history_lines(const JudgedFile& file, const Terminal& terminal);
/// What was found: the weakest level that is broken, the strongest that holds, anomalies with proof and picture.
std::string history_text(const JudgedFile& file, const Terminal& terminal);
std::string histories_json(const std::vector<JudgedFile>& files);

}  // namespace lockstep::cli
