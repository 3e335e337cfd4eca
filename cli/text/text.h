// text.h: the text tools of reports/text.h, by their own names here.
#pragma once

#include "reports/text.h"

namespace lockstep::cli {

using reports::columns;
using reports::counted;
using reports::neutral;
using reports::padded;
using reports::shortened;
using reports::to_ascii;
using reports::wrapped;

}  // namespace lockstep::cli
