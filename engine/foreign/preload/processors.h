// processors.h: the one processor that a program under control runs on.
#pragma once

namespace lockstep::foreign {

/// In the server: it and its runs keep to this one. One thread runs at a time, and a turn that is handed to another
/// processor takes twice as long.
void keep_to_processor(int processor) noexcept;

}  // namespace lockstep::foreign
