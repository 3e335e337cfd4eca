// parallel_search.h: several workers that search one thing side by side, and find the same however many they are, on
// one machine or as the ranks of an MPI job on several.
//
// Samples are drawn in portions of a fixed size, each with a seed of its own, so it does not matter who draws which. In
// each round every rank draws a part of the portions, by how fast it was in the last one, and rank 0 adds up.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/explore/search_worker.h"
#include "engine/ranks/ranks.h"

namespace lockstep {

/// Not thread-safe: one thread leads the search.
class ParallelSearch {
 public:
  /// `jobs`: workers in this process, at least 1. `ranks`: those that take samples together; nullptr: this process
  /// alone. All of these outlive the search. Faults: as Explorable::open().
  static Result<std::unique_ptr<ParallelSearch>> open(const Explorable& subject, int jobs, const StopSource* stop,
                                                      Ranks* ranks = nullptr);

  /// The first of them, alone.
  SearchWorker& first_worker() noexcept { return *workers_.front(); }
  /// One run for each class of interleavings, by the first worker alone (explore/search/reduced.h says why).
  Result<Halt> search_all(Tally& tally, const Limits& limits);
  /// Samples. With several ranks each of them calls it; `tally` is whole on rank 0 alone, and all get the same answer.
  Result<Halt> sample(const SearchOptions& how, Tally& tally, const Limits& limits);
  /// Workers of all ranks together, once sample() was called.
  int jobs_in_all() const noexcept { return jobs_in_all_; }
  /// After Halt::news: everybody knows what one of them has learnt.
  void share_news();

 private:
  struct Report;
  struct Shares;
  ParallelSearch(const Explorable& subject, int jobs, const StopSource* stop, Ranks* ranks)
      : subject_(subject), jobs_(jobs), stop_(stop), ranks_(ranks) {}
  Result<std::unique_ptr<SearchWorker>> open_worker();
  Result<void> open_workers();
  template <class Work>
  void side_by_side(std::size_t count, const Work& work);
  Shares agree_on_shares();
  Result<Halt> settle_round(Report& own, double seconds, Shares& shares, Tally& tally, const Limits& limits,
                            bool is_last);

  const Explorable& subject_;
  const int jobs_;
  const StopSource* const stop_;
  Ranks* const ranks_;
  int jobs_in_all_ = 1;
  std::shared_ptr<ObjectNumbers> numbers_ = std::make_shared<ObjectNumbers>();
  std::vector<std::unique_ptr<SearchWorker>> workers_;
};

}  // namespace lockstep
