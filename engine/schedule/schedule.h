// schedule.h: which actor goes next.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep {

/// An actor takes its next step; or the deadline of its wait passes.
struct Choice {
  int actor = 0;
  bool timeout = false;
  friend bool operator==(const Choice&, const Choice&) = default;
};

/// "T1", "T1:timeout".
std::string name_of(const Choice& choice, const std::string& actor);

/// What a schedule sees of an actor when it has to choose.
struct Candidate {
  int actor = 0;
  std::string_view name = {};
  bool enabled = false;       ///< stands before its next operation
  bool would_wait = false;    ///< enabled, and its operation is a lock that another actor has: told only when asked for
  bool may_time_out = false;  ///< waits with a deadline
  bool finished = false;      ///< has ended
};

class Schedule {
 public:
  /// A server that looks for cycles later than that is not waited for by a search.
  static constexpr Nanos kDetectionMost = std::chrono::milliseconds(20);

  virtual ~Schedule() = default;
  /// The actor that goes next. At least one candidate is enabled, or, for a schedule that looks ahead, may time out.
  /// Fault::invalid when the schedule names an actor that cannot go.
  virtual Result<Choice> next(const std::vector<Candidate>& candidates) = 0;
  /// True when its next choice may be that a deadline passes: otherwise deadlines pass only when nobody can go.
  virtual bool may_choose_timeout() const noexcept { return looks_ahead(); }
  /// True for a search: it leaves actors alone that would only wait, and lets deadlines pass by choice.
  virtual bool looks_ahead() const noexcept { return false; }
  /// A server may look for cycles only once a wait has lasted for `after`. True: no actor moves before the server has
  /// looked, so a cycle costs the actor that closes it. False: the server's clock chooses the victim.
  virtual bool waits_for_detection(Nanos after) const noexcept { return looks_ahead() && after <= kDetectionMost; }
  /// Somebody else took the choice that next() has just made: a debugger.
  virtual void overruled() {}
  /// Nobody can go on any more; called once. For one that looks ahead: without waiting.
  virtual void nothing_left() {}
};

/// The steps of an order such as "T1 T1:timeout T2", up to its end or "…". Fault::invalid for a name that is none of
/// `actors`.
Result<std::vector<Choice>> choices_named(std::string_view text, const std::vector<std::string>& actors);

/// An order of steps such as "T1 T1 T2 T1"; "T1:timeout" lets the deadline of T1's wait pass. After its last entry, or
/// at "…" / "...", the actors take turns in their order. `strict`: an entry that cannot go is an error that names its
/// position and the actors that can; otherwise it is passed over. Fault::invalid for a name that is none of `actors`.
Result<std::unique_ptr<Schedule>> scripted(std::string_view text, const std::vector<std::string>& actors, bool strict);

}  // namespace lockstep
