// ending.h: how a run of a program came to its end, read from the board once it stands still or has ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/foreign/model/board.h"
#include "engine/record/run.h"

namespace lockstep::foreign {

/// How people call the thing at an address.
using NameOf = std::function<std::string(std::uint64_t)>;

struct Ended {
  record::Verdict verdict = record::Verdict::clean;
  record::Ending ending = record::Ending::complete;
  std::string what;                      ///< tells it apart from other endings as bad, for people
  std::vector<std::vector<int>> cycles;  ///< threads that wait for each other
};

/// What stopped a run beside its own end.
enum class Stop : std::uint8_t {
  none,      ///< it ended: board.status says how
  stuck,     ///< nobody can go on
  too_long,  ///< kStepsMost
  late,      ///< a thread did not come to its next operation in time
};

/// `output`: what it printed. `place`: for people, what the thread is in that came late, or the function in which a
/// signal met the program.
Ended ending_of(const SharedBoard& board, Stop stop, const std::string& output, const std::string& place,
                const NameOf& name_of);

/// Who waits for what, but for those that only wait for the end of these: "T1: lock A, T2: read pipe 1 of main".
std::string waits_text(const SharedBoard& board, const NameOf& name_of);
/// The threads that the one waits for, as far as it is known who could end its wait: who holds the lock, whom it joins.
std::vector<int> waits_for(PrimitiveModel& model, int thread);
/// "lock A", "wait on C".
std::string text_of(const Operation& operation, const SharedBoard& board, const NameOf& name_of);
/// "lock", "try_lock", "wait" …, as recordings have it.
std::string verb_of(const Operation& operation);

}  // namespace lockstep::foreign
