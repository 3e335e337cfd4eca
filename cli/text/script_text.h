// script_text.h: what a file says must come, and what came.
#pragma once

#include <string>
#include <vector>

#include "cli/text/terminal.h"
#include "engine/script/script.h"

namespace lockstep::cli {

/// One line for each thing that did not come as the file says, with the file and the line; else how many did. Empty
/// when the file says nothing.
std::string checked_text(const std::string& path, const std::vector<script::Checked>& checked,
                         const Terminal& terminal);

/// "two.spec:12: `=> waits T2`: 1 row came", for lists. Empty: all came as the file says.
std::string missed_text(const std::string& path, const std::vector<script::Checked>& checked);

}  // namespace lockstep::cli
