// reduced.h: one run for each class of interleavings: dynamic partial-order reduction with wake-up trees.
//
// Depth-first over the runs of a program. When a run is over, every race in it (two neighbours that conflict) is turned
// round. The way that leads to the other order is noted at the state before the race. It is left out when another way
// from there, taken or to be taken, meets the same class (sleep sets and wake-up trees; see search.h and wakeup.h). In
// its new place the turned step may touch other things than in the run at hand. So it is a guess, which commutes with
// nothing, unless it is known to pass a plain lock there (events.h). The price: some runs are begun that repeat
// another.
//
// The order is part of the proof: what sleeps at a state has been explored to its end. So there is one search a
// program, however many processors there are.
#pragma once

#include <string>
#include <vector>

#include "engine/explore/search/choices.h"
#include "engine/explore/search/events.h"
#include "engine/explore/search/search.h"
#include "engine/explore/search/trace.h"
#include "engine/explore/search/wakeup.h"

namespace lockstep {

class Reduced final : public Search {
 public:
  bool begin() override;
  bool choose(std::span<const Choice> enabled, Choice& next) override;
  void took(const Footprint& step) override;
  double end(bool complete, std::span<const Step> blocked) override;
  bool exhaustive() const noexcept override { return true; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override;
  void leave_out() noexcept override;
  const std::vector<Choice>& taken() const noexcept override { return taken_; }
  std::vector<Choice> calmest() const override;

 private:
  /// A state on the way of the run in hand.
  struct Node {
    Choice choice;  ///< taken here
    Mask enabled = 0;
    std::vector<Choice> choices;
    WakeupTree pending;  ///< what is to be gone from here besides
    /// Steps that need not be taken here: what they lead to has been seen.
    std::vector<Step> sleep;

    /// A step that sleeps here can begin the way, and so leads to its class.
    bool has_met(const Way& way, const Footprint& objects) const;
    /// Takes the next of what is left as `choice`; `guide`: how to go on behind it. False: nothing is left.
    bool take_next(WakeupTree& guide);
  };
  bool enter(std::span<const Choice> enabled);
  Choice first_choice(Node& node, Mask awake);
  void look_for_races(std::size_t j);
  void look_for_time_outs();
  void wish(std::size_t i, Way way);
  void turn_round(std::size_t i, Step later, std::size_t skip);
  bool backtrack();
  double count_orders();

  std::vector<Node> nodes_;
  WakeupTree guide_;  ///< how to go on behind the node at the end
  Trace trace_;
  Events events_;
  std::vector<Choice> taken_;
  std::size_t depth_ = 0;     ///< in the run in hand
  std::size_t replayed_ = 0;  ///< how many nodes the run in hand shares with the latest one, its new choice included
  Mask enabled_at_end_ = 0;   ///< what could have been done when the run was over
  const Footprint* objects_ = nullptr;
  bool counts_all_ = true;
  bool first_ = true;  ///< nothing is to be left behind: this is the first run, or the same once more
  std::string disagreement_;
};

}  // namespace lockstep
