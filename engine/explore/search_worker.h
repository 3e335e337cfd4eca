// search_worker.h: one worker of a search: a subject of its own (subject.h), performed again and again as the search
// says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/explore/search/search.h"
#include "engine/explore/subject.h"
#include "engine/explore/tally.h"
#include "engine/run/run.h"

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
  /// `numbers`: shared by those who search together. `stop` outlives the worker.
  SearchWorker(std::unique_ptr<Subject> subject, std::shared_ptr<ObjectNumbers> numbers, const StopSource* stop);
  ~SearchWorker();
  /// Of a scenario, which outlives the worker. Faults: as run().
  static Result<std::unique_ptr<SearchWorker>> open(const Scenario& scenario, const RunRequest& resolved,
                                                    std::shared_ptr<ObjectNumbers> numbers, const StopSource* stop);

  /// Runs until there is nothing left or a limit is reached, and adds up what happened. Fault::invalid: the subject
  /// does not do the same after the same choices (with the first difference). Fault::unsupported: the search relies on
  /// what the steps touch, and not all was told. Faults of the subject.
  Result<Halt> search(Search& search, Tally& tally, const Limits& limits);

  Footprint& footprint() noexcept;
  const std::vector<std::string>& actors() const noexcept { return subject_->actors(); }

 private:
  class Explored;
  Result<void> cope_with_disagreement(Search& search, Tally& tally);
  void add_up(Search& search, double orders, Tally& tally, const Limits& limits);

  const std::unique_ptr<Subject> subject_;
  const StopSource* const stop_;
  std::unique_ptr<Explored> explored_;
  int repeated_ = 0;  ///< the run in hand, on a server
  RealClock clock_;
};

}  // namespace lockstep
