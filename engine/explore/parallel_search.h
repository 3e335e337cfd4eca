// parallel_search.h: several workers that search one thing side by side, and find the same however many they are.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/explore/search_worker.h"

namespace lockstep {

/// Not thread-safe: one thread leads the search.
class ParallelSearch {
 public:
  /// `jobs`: at least 1. `subject` and `stop` outlive the search. Faults: as Explorable::open().
  static Result<std::unique_ptr<ParallelSearch>> open(const Explorable& subject, int jobs, const StopSource* stop);

  /// The first of them, alone.
  SearchWorker& first_worker() noexcept { return *workers_.front(); }
  /// One run for each class of interleavings, by the first worker alone (explore/search/reduced.h says why).
  Result<Halt> search_all(Tally& tally, const Limits& limits);
  /// Samples: in portions of a fixed size, each with a seed of its own.
  Result<Halt> sample(const SearchOptions& how, Tally& tally, const Limits& limits);
  /// After Halt::news: everybody knows what one of them has learnt.
  void share_news();

 private:
  struct Report;
  ParallelSearch(const Explorable& subject, int jobs, const StopSource* stop)
      : subject_(subject), jobs_(jobs), stop_(stop) {}
  Result<std::unique_ptr<SearchWorker>> open_worker();
  Result<void> open_workers();
  template <class Work>
  void side_by_side(std::size_t count, const Work& work);

  const Explorable& subject_;
  const int jobs_;
  const StopSource* const stop_;
  std::shared_ptr<ObjectNumbers> numbers_ = std::make_shared<ObjectNumbers>();
  std::vector<std::unique_ptr<SearchWorker>> workers_;
};

}  // namespace lockstep
