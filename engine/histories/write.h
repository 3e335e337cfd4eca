// write.h: a history of our own in the forms that Jepsen and Elle read.
//
// Keys are texts, elements numbers. Every session is a process. The lists at the end are read by a last transaction, of
// a process of its own, so that a reader of the file knows them too.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/check/history.h"
#include "engine/histories/forms.h"

namespace lockstep::histories {

/// The operations of `history` in the order of time, one a line (EDN), or as an array, one a line (JSON). The process
/// of a transaction is what `process_of` makes of its name. Writes that were undone, and erases, are no list-append: a
/// history that has any gives nothing.
std::string text_of(const check::History& history, Syntax syntax,
                    const std::function<int(std::string_view name)>& process_of);

}  // namespace lockstep::histories
