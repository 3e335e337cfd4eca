// assets.h: the style sheet and the script of a report (page.css, page.js), as they stand in the program.
#pragma once

#include <string_view>

namespace lockstep::reports {

extern const std::string_view kStyleSheet;
extern const std::string_view kScript;

}  // namespace lockstep::reports
