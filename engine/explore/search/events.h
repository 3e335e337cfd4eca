// events.h: which steps are known to pass a plain lock and do nothing else, by what had come before them.
//
// A step that was turned round is a guess: nobody may have seen it at its new place. But what a step touches depends
// on its causes alone, the steps that must come before it. Where some run has shown the step behind the same causes,
// and nothing else at the new place conflicts with it, it touches the same here: what stands between them commutes.
//
// Only steps that pass a plain lock are told. With others told as well no run was cut short, and classes were lost: a
// sleeping step then vouched for ways that it is no part of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/explore/search/trace.h"
#include "engine/explore/search/wakeup.h"

namespace lockstep {

/// What a search has seen of such steps. Not thread-safe.
class Events {
 public:
  /// Remembers the step at the end of the trace. Beyond some number nothing more is remembered: guesses stay guesses.
  void note(const Trace& trace);
  /// Where the last step of `way` is a guess, and is known to pass a plain lock behind the first `depth` steps of the
  /// trace and the way before it: makes it one that was seen.
  void tell(const Trace& trace, std::size_t depth, const Footprint& objects, Way& way) const;

 private:
  struct PassedLock {
    Step step;
    std::vector<std::uint64_t> causes;  ///< the latest ones, which nothing that must come before it follows
  };
  /// The steps that stand before the one in question.
  using Place = std::vector<const Step*>;
  static bool fits(const PassedLock& event, const Place& place, const Footprint& objects);

  std::size_t count_ = 0;
  /// By the latest step that ran code of the actor, and the choice.
  std::unordered_map<std::uint64_t, std::vector<PassedLock>> events_;
};

}  // namespace lockstep
