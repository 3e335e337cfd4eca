// explore.h: searches the interleavings of a scenario: on the in-process locks and the real kv under virtual time,
// where steps that touch nothing in common are known to commute. For SQLite and PostgreSQL the search goes through a
// model (model.h), and one run of each class that it finds is then run on the real thing and held against it; or
// through the database's own interleavings, one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/explore/model/difference.h"
#include "engine/explore/search/search.h"
#include "engine/ranks/ranks.h"
#include "engine/record/lock_order.h"
#include "engine/record/run.h"
#include "engine/record/state_graph.h"
#include "engine/run/run.h"
#include "engine/scenario/scenario.h"

namespace lockstep {

class Explorable;

struct ExploreRequest {
  RunRequest run = {};  ///< `schedule` and `executor` do not count; `limit` is that of one run
  Strategy strategy = Strategy::exhaustive;
  /// On a database: its own interleavings one by one, each step's choices as it gives them. So does every strategy but
  /// exhaustive, and a scenario that has no model.
  bool direct = false;
  std::uint64_t most_runs = 10'000'000;        ///< budget; with a model: of the runs on the database
  Nanos most_time = std::chrono::seconds(60);  ///< budget, of real time
  /// Threads that draw samples side by side in this process; 0: as many as there are cores for each rank on this host.
  /// What they find is the same whatever their number, unless the time is up before they are done. Other searches are
  /// one thread's.
  int jobs = 0;
  /// The processes of the job that this is one of, each of which makes the same request; nullptr: no job. They share
  /// samples in this process as jobs do. Rank 0 does what cannot be shared, and has the result; it outlives the search.
  Ranks* ranks = nullptr;
  bool until_failure = false;  ///< ends with the first run that ends badly
  /// For everything bad that was found, looks for the schedule with the fewest preemptions: in this process, for as
  /// long again as the search has taken or for `preemptions_least`, whichever is more, within the budget.
  bool fewest_preemptions = true;
  Nanos preemptions_least = std::chrono::seconds(1);
  /// The bodies are code, which runs between their operations; false for those of a text file. For `grain`.
  bool bodies_have_code = true;
  /// Of the state graph; 0: none is drawn. Only on kv and in-process locks.
  std::size_t most_states = 0;
  /// Called now and then with the number of runs so far; may be empty.
  std::function<void(std::uint64_t)> progress = {};
};

/// One way in which runs end.
struct Finding {
  record::Verdict verdict = record::Verdict::clean;
  std::string what;          ///< "T1 → T2 → T1", "broken: money is conserved"; empty when the verdict says it all
  std::uint64_t runs = 0;    ///< classes of interleavings, or samples, that end so
  double interleavings = 0;  ///< that end so; below 0 when they are too many to be counted
  /// Of the shortest run: how often somebody else is let go although who went last could go on. No schedule with fewer
  /// ends so. nullopt: not known (nothing bad, a server, or the budget was spent).
  std::optional<int> preemptions;
  bool fewest_steps = false;  ///< no schedule with as many preemptions that ends so has fewer steps
  record::Run shortest;       ///< recorded: the fewest preemptions where known, then steps, then changes of actor
};

/// A way in which the database does not do as its model.
struct Disagreement {
  Difference difference;      ///< as `run` shows it
  std::uint64_t classes = 0;  ///< that part in this way
  std::string schedule;       ///< the shortest of them, as on the model
  record::Run run;            ///< that schedule on the database, recorded, with the difference as a document
};

struct Exploration {
  RunRequest run;  ///< the coordinates
  Strategy strategy = Strategy::exhaustive;
  int jobs = 1;                ///< of all ranks together
  int ranks = 1;               ///< that took part
  bool complete = false;       ///< every interleaving is accounted for
  bool interrupted = false;    ///< by ^C
  std::uint64_t runs = 0;      ///< run to their ends: one for each class when exhaustive
  std::uint64_t pruned = 0;    ///< given up, since they would have repeated what was known
  std::uint64_t left_out = 0;  ///< choices of a server that it did not make again, with what lies behind them
  double interleavings = 0;    ///< that the runs stand for; below 0 when they are too many to be counted
  int preemptions_seen = -1;  ///< bounded: every schedule with at most so many has been seen; -1: not even those with 0
  double seconds = 0;
  std::vector<Finding> findings;  ///< the worst first, then the most frequent
  /// On a database: for people, the model that was searched; `runs`, `interleavings` and `findings` are then of the
  /// database's runs, one for each class of the model. Empty: its own interleavings were gone through.
  std::string model;
  std::string why_no_model;   ///< where none was asked away by `direct` or the strategy
  std::uint64_t classes = 0;  ///< of the model
  bool is_model_complete = false;
  std::vector<Disagreement> disagreements;  ///< the most frequent first
  /// A bad end that the scenario expects at these coordinates, and that no run had.
  std::optional<record::Verdict> missed;
  /// What was no step of the search, for people: "complete" is said of the orders of these steps, and of no others.
  std::vector<std::string> grain;
  /// Orders of in-process locks that could hang, of which no run has made a deadlock: that none can is proved when the
  /// search is complete. Seen in the recorded runs of the findings.
  std::vector<record::OrderViolation> potential;
  /// With most_states; the ways of `findings` are in it.
  std::optional<record::StateGraph> graph;

  double runs_per_second() const { return seconds > 0 ? static_cast<double>(runs + pruned) / seconds : 0; }
  std::uint64_t runs_ending(record::Verdict verdict) const;
  /// The part of all interleavings (of the samples, when they were drawn by chance) that end so, from 0 to 1; below 0
  /// when they are too many to be counted.
  double share_ending(record::Verdict verdict) const;
};

/// The strategies' names: "exhaustive", "unreduced", "bounded", "walk", "pct", "pos".
std::string_view name_of(Strategy strategy) noexcept;
std::optional<Strategy> strategy_named(std::string_view name) noexcept;

/// How many threads draw samples where ExploreRequest::jobs leaves it open.
int jobs_by_default(const ExploreRequest& request);

/// Searches until everything has been seen, the budget is spent, or `stop`. Fault::invalid: the scenario cannot run
/// there, or it did not do the same after the same choices (with the first difference). Fault::unavailable and other
/// faults of the environment: the store.
Result<Exploration> explore(const Scenario& scenario, const ExploreRequest& request, const StopSource* stop = nullptr);

/// The same of anything that can be explored. Of `request` count the strategy and the limits; `resolved` is what the
/// result says of the coordinates. `begun`: when the time began to run, on the machine's clock.
Result<Exploration> explore(const Explorable& subject, const RunRequest& resolved, const ExploreRequest& request,
                            int jobs, const StopSource* stop, Nanos begun);

}  // namespace lockstep
