// nonce.h: letters and digits that nobody can guess, for the one script of a page that may run.
#pragma once

#include <string>

namespace lockstep::cli {

std::string chance_letters();

}  // namespace lockstep::cli
