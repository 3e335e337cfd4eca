// remedies.h: the usual remedies of a deadlock or an anomaly, made from a file: other ways to ask for the same.
//
// A remedy is a pattern of the same sessions, written as text. What it promises is not said here: whoever has it
// explores it. A remedy that changes what a session reads before it decides is the user's to judge.
#pragma once

#include <string>
#include <vector>

#include "engine/spec/spec_file.h"

namespace lockstep::script {

struct MendingPattern {
  std::string name;     ///< "in-order", "locks-first", …
  std::string meaning;  ///< one line for people
  std::string text;     ///< the pattern, in the words of the format
};

/// Those that can be made of the pattern and differ from it. Empty for a file of permutations, whose steps have names.
///
///   in-order       each session takes the rows that it locks in one order, as far as what it read allows
///   locks-first    each session locks all rows that it will change, in one order, before it reads
///   lock-on-read   rows that are read and then changed are locked when they are read
///   no-key         `for no key update` in place of `for update`: does not keep out who only refers to the row
///   retry          what gave up is run again, up to ten times
///   try-again      a wait for a lock ends after 50 ms, and the transaction is run again
std::vector<MendingPattern> remedies(const spec::SpecFile& file, const spec::SpecPattern& pattern);

/// The script lines of a pattern, one a line, without what must come of them.
std::string script_lines(const spec::SpecPattern& pattern);

/// The lines that differ: "- " those of `before`, "+ " those of `after`, "  " both, in order.
std::vector<std::string> difference(const std::string& before, const std::string& after);

}  // namespace lockstep::script
