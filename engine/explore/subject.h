// subject.h: what a search needs of whatever it runs: a scenario in this process or on a database, or a program of its
// own (engine/foreign).
//
// A Subject is performed again and again, each time from its begin and in the order that a schedule gives. An
// Explorable opens as many of them as there are workers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/footprint.h"
#include "engine/explore/search/search.h"
#include "engine/explore/tally.h"
#include "engine/record/run.h"
#include "engine/record/state_graph.h"
#include "engine/schedule/schedule.h"
#include "kv/base/clock.h"

namespace lockstep {

/// Not thread-safe. One worker has it.
class Subject {
 public:
  virtual ~Subject() = default;

  /// For people: "deadlock/two-lock on kv".
  virtual std::string name() const = 0;
  /// By their numbers in choices. A performance may add some.
  virtual const std::vector<std::string>& actors() const noexcept = 0;
  /// True when the same choices must lead to the same: time is virtual, and no server decides.
  virtual bool is_deterministic() const noexcept = 0;
  /// True when a performance takes far less than a look at the machine's clock is worth.
  virtual bool is_quick() const noexcept = 0;

  /// What each step touches is told to `footprint` from now on, before the schedule is asked for the next step;
  /// nullptr: nobody asks. It outlives the subject or is taken away before.
  virtual void tell(Footprint* footprint) = 0;
  /// A performance that goes on then, on the machine's clock, is given up with Ending::interrupted.
  virtual void give_up_at(Nanos until) = 0;

  /// From the begin to the end, or as far as the schedule lets it: then Fault::cancelled, or what the schedule said.
  virtual Result<void> perform(Schedule& schedule) = 0;

  // -- after perform(), and within Schedule::next() --
  /// The steps of actors that stand before what another one has; nothing of those that wait to be woken.
  virtual void find_blocked(Footprint& footprint, std::vector<Step>& blocked) = 0;

  // -- after perform() --
  /// Why not all was told that the steps have touched; empty: all was.
  virtual std::string untold() const { return {}; }
  virtual record::Ending ending() const noexcept = 0;
  virtual const std::vector<Choice>& taken() const noexcept = 0;
  /// How it ended, at most once. Fills in what a tally needs of the run.
  struct RunEnd {
    OutcomeKey key;
    record::Verdict verdict = record::Verdict::clean;
  };
  virtual RunEnd judge(record::Run& run) = 0;
};

/// A run for the record, and how it ended.
struct RecordedRun {
  record::Run run;
  OutcomeKey key;
};

class Explorable {
 public:
  virtual ~Explorable() = default;

  virtual std::string name() const = 0;
  /// Fault::invalid, or a fault of the environment: it cannot run.
  virtual Result<std::unique_ptr<Subject>> open() const = 0;
  /// Once more in that order of steps, with its events. `until`: on the machine's clock. Fault::cancelled: it was
  /// interrupted.
  virtual Result<RecordedRun> record(const std::string& schedule, Nanos until) const = 0;
  /// True when it tells what its steps touch, so that a search may leave out what commutes.
  virtual bool knows_footprints() const = 0;
  /// True when it may do something else although the schedule is the same.
  virtual bool is_on_server() const = 0;
  /// The states that it can reach; nullopt: nobody draws them. `ways` are those of the findings.
  virtual Result<std::optional<record::StateGraph>> draw(std::size_t most_states, Nanos most_time,
                                                         std::vector<std::vector<Choice>> ways) const = 0;
};

}  // namespace lockstep
