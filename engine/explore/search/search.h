// search.h: searches the interleavings of a program that can be run again and again.
//
// Stateless: a program is run from its begin, choice by choice; nothing of its state is kept. The search knows two
// things of a step: the actor that took it and what it touched (footprint.h). Steps that touch nothing in common
// commute. So of all the orders that differ only by such swaps (a class: a Mazurkiewicz trace) one run is enough.
//
//   Exhaustive: dynamic partial-order reduction with sleep sets and wake-up trees (Flanagan and Godefroid, POPL 2005;
//   Abdulla, Aronsson, Jonsson and Sagonas, POPL 2014). Every class is run to its end exactly once. A run that turns
//   out to repeat one is cut short and counted as `pruned`: that happens only where nobody could say beforehand what a
//   step touches in its new place. A step that passes a plain lock and does nothing else is known (events.h). The
//   number of interleavings is exact as well: the sum, over the classes, of the orders that each allows (the linear
//   extensions of its happens-before order).
//
//   Unreduced: every interleaving, one by one: to check the former, and for the doubtful.
//
//   Bounded: every state with no preemption, then with one, with two … (Musuvathi and Qadeer, "Iterative context
//   bounding", PLDI 2007). So what goes wrong is met first with as few preemptions as it needs. Ways of the same steps
//   lead to one state, which is met once, when they differ only in the order of steps that touch nothing in common.
//
//   Samples, for what is too large: a uniform walk; PCT (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS 2010);
//   POS (Yuan, Yang and Gu, CAV 2018).
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/base/footprint.h"
#include "engine/schedule/schedule.h"

namespace lockstep {

inline constexpr int kMostActors = 32;

/// Step::actors of a step that can be taken only when nobody else can go, such as the end of a program. It has no other
/// place among the steps before it.
inline constexpr std::uint32_t kEverybody = ~std::uint32_t{0};

/// One step: the actor that took it, the actors that had code run by it, what it touched.
struct Step {
  Choice choice;
  std::uint32_t actors = 0;  ///< a bit each
  std::vector<Access> accesses = {};
  /// It has not been seen at the place where it stands, where it may touch other things. So it commutes with nothing.
  bool is_guess = false;
  /// A number for the step together with all that must come before it: the same in every run that has both.
  std::uint64_t event = 0;
};

/// A way through the interleavings, told of a program's runs step by step:
///
///   while (search.begin()) {                      // another run
///     while (program has choices) {
///       if (!search.choose(choices, next)) break;   // cut: the rest would repeat what is known
///       ... take `next`; its footprint goes to ...
///       search.took(footprint);
///     }
///     search.end(complete, blocked);
///   }
class Search {
 public:
  virtual ~Search() = default;
  /// False when there is nothing left to run.
  virtual bool begin() = 0;
  /// What to do next; `enabled` is not empty. False: this run is to be given up, or disagreement() says why.
  virtual bool choose(std::span<const Choice> enabled, Choice& next) = 0;
  /// The step just chosen is done.
  virtual void took(const Footprint& step) = 0;
  /// The run is over. `complete` is false when it was given up. `blocked`: the steps of actors that stand before
  /// something that another one has taken for ever. Answers how many interleavings the run stands for. 0: it was given
  /// up or repeats what is known; below 0: too many to be counted.
  virtual double end(bool complete, std::span<const Step> blocked) = 0;
  /// True when, after begin() has answered false, every interleaving has been accounted for.
  virtual bool exhaustive() const noexcept = 0;
  /// False when it would be as right without what the steps touch.
  virtual bool relies_on_footprints() const noexcept { return true; }
  /// Not empty when the program could do something else than before after the same choices: the first difference.
  /// Nothing that was found can be trusted then.
  virtual const std::string& disagreement() const noexcept = 0;
  /// After a disagreement: the next begin() is the same run once more.
  virtual void repeat() noexcept = 0;
  /// After a disagreement: what lies behind the choice before it is left out.
  virtual void leave_out() noexcept = 0;
  /// The choices of the run in hand, or of the latest.
  virtual const std::vector<Choice>& taken() const noexcept = 0;
  /// Bounded: of the run in hand; everything with fewer has been seen. Else -1.
  virtual int preemptions() const noexcept { return -1; }
  /// The choices of the run in hand in an order that is as good, with few changes from one actor to another.
  virtual std::vector<Choice> calmest() const { return taken(); }
};

enum class Strategy : std::uint8_t { exhaustive, unreduced, bounded, walk, pct, pos };
inline bool is_sampling(Strategy strategy) noexcept { return strategy >= Strategy::walk; }

struct SearchOptions {
  Strategy strategy = Strategy::exhaustive;
  std::uint64_t seed = 1;      ///< of the samples
  int pct_depth = 3;           ///< PCT: the number of orders that a bug needs
  std::size_t pct_steps = 32;  ///< PCT: about how many steps a run has
};

std::unique_ptr<Search> make_search(const SearchOptions& options);

}  // namespace lockstep
