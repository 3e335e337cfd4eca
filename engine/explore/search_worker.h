// search_worker.h: one worker of a search: a scenario in an environment of its own, run again and again as a search
// says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/explore/search/search.h"
#include "engine/explore/tally.h"
#include "engine/run/run.h"
#include "engine/run/run_environment.h"

namespace lockstep {

/// Of one run on a server, where the same choices may not lead to the same.
inline constexpr int kRepeatsMost = 20;

/// When to stop although there is more to run.
struct Limits {
  std::uint64_t most_runs = UINT64_MAX;  ///< of this call, those given up included
  Nanos until = kNever;                  ///< on the machine's clock
  bool keeps_runs = false;               ///< in Tally::representatives
  /// Asked before every run; may be empty.
  std::function<bool()> enough = {};
  /// Told of every run that counts, judged, with the number of interleavings that it stands for; may be empty.
  std::function<void(const record::Run&, double)> seen = {};
  /// Runs of all workers, and who is told of them now and then (from one thread at a time); may be empty.
  std::atomic<std::uint64_t>* done = nullptr;
  std::function<void(std::uint64_t)> progress = {};
};

enum class Halt : std::uint8_t {
  exhausted,    ///< the search has nothing left
  budget,       ///< Limits
  interrupted,  ///< ^C
  news,         ///< the choices themselves are others now (Footprint::take_news): begin again
};

/// Not thread-safe; several may search side by side.
class SearchWorker {
 public:
  /// `numbers`: shared by those who search together. `scenario` and `stop` outlive the worker. Faults: as run().
  static Result<std::unique_ptr<SearchWorker>> open(const Scenario& scenario, const RunRequest& resolved,
                                                    std::shared_ptr<ObjectNumbers> numbers, const StopSource* stop);
  ~SearchWorker();

  /// Runs until there is nothing left or a limit is reached, and adds up what happened. Fault::invalid: the scenario
  /// does not do the same after the same choices (with the first difference); faults of the store.
  Result<Halt> search(Search& search, Tally& tally, const Limits& limits);

  Footprint& footprint() noexcept;
  RunState& state() noexcept { return environment_->state(); }
  const std::vector<std::string>& actors() const noexcept { return actors_; }

 private:
  class Explored;
  SearchWorker(const Scenario& scenario, const RunRequest& resolved, std::unique_ptr<RunEnvironment> environment,
               std::shared_ptr<ObjectNumbers> numbers, const StopSource* stop);
  Result<void> cope_with_disagreement(Search& search, Tally& tally);
  void add_up(Search& search, double orders, Tally& tally, const Limits& limits);

  const std::string scenario_;
  const RunRequest run_;
  const std::unique_ptr<RunEnvironment> environment_;
  const StopSource* const stop_;
  std::vector<std::string> actors_;
  std::unique_ptr<Explored> explored_;
  int repeated_ = 0;  ///< the run in hand, on a server
  RealClock clock_;
};

}  // namespace lockstep
