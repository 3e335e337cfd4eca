// man.h: the manual page, made from the command tree, in roff with the man macros.
#pragma once

#include <string>

namespace lockstep::cli {

std::string man_page();

}  // namespace lockstep::cli
