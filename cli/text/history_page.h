// history_page.h: what was found in a history, as a page.
#pragma once

#include <string>

#include "cli/text/history_text.h"

namespace lockstep::cli {

/// The whole file. `command` judges the history again; `nonce` is that of the page's script.
std::string history_page(const JudgedFile& file, const std::string& command, const std::string& nonce);

}  // namespace lockstep::cli
