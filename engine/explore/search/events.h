// events.h: what steps were seen to touch, by all that had come before them.
//
// A step that was turned round is a guess: nobody may have seen it at its new place. But what a step touches depends
// on its causes alone, the steps that must come before it. Where some run has shown the step behind the same causes,
// and nothing else at the new place conflicts with what it touched there, it touches the same here: whatever stands
// between them commutes with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/explore/search/trace.h"
#include "engine/explore/search/wakeup.h"

namespace lockstep {

/// The events of a search: steps with all their causes. Not thread-safe.
class Events {
 public:
  /// Remembers the step at the end of the trace. Beyond some number of events nothing more is remembered: guesses stay
  /// guesses then, and some runs repeat others.
  void note(const Trace& trace);
  /// Where the last step of `way` is a guess, and what it touches behind the first `depth` steps of the trace and the
  /// way before it is known: makes it one that was seen.
  void tell(const Trace& trace, std::size_t depth, const Footprint& objects, Way& way) const;

 private:
  struct Event {
    Step step;
    std::vector<std::uint64_t> causes;  ///< the latest ones, which nothing that must come before it follows
  };
  /// The steps that stand before the one in question.
  using Place = std::vector<const Step*>;
  bool fits(const Event& event, const Place& place, const Footprint& objects) const;
  bool is_cause(const Event& event, std::uint64_t of) const;

  std::unordered_map<std::uint64_t, Event> events_;
  /// By the latest step that ran code of the actor, and the choice.
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> next_;
};

}  // namespace lockstep
