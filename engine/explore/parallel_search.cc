// parallel_search.cc: hands out the portions of a search over a TBB arena, and adds up in their order.
#include "engine/explore/parallel_search.h"

#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "engine/explore/search/state_key.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kPortion = 1024;     ///< samples of one seed
constexpr std::size_t kPortionsAtOnce = 16;  ///< for each worker

// TBB hands over correctly, but its library is not compiled for ThreadSanitizer, which therefore sees none of it: so
// the hand-over is told a second time. Not captured by those who are handed something: they look here first.
std::atomic<unsigned> handed{0};

}  // namespace

/// What came of one portion.
struct ParallelSearch::Report {
  Result<Halt> halt = Halt::budget;
  Tally tally;
};

Result<std::unique_ptr<ParallelSearch>> ParallelSearch::open(const Explorable& subject, int jobs,
                                                             const StopSource* stop) {
  std::unique_ptr<ParallelSearch> parallel(new ParallelSearch(subject, jobs, stop));
  Result<std::unique_ptr<SearchWorker>> first_worker = parallel->open_worker();
  if (!first_worker) return first_worker.error();
  parallel->workers_.push_back(std::move(*first_worker));
  return parallel;
}

Result<std::unique_ptr<SearchWorker>> ParallelSearch::open_worker() {
  Result<std::unique_ptr<Subject>> subject = subject_.open();
  if (!subject) return subject.error();
  return std::make_unique<SearchWorker>(std::move(*subject), numbers_, stop_);
}

/// Those who are not there yet: a search that the first worker ends alone needs no other.
Result<void> ParallelSearch::open_workers() {
  while (workers_.size() < static_cast<std::size_t>(jobs_)) {
    Result<std::unique_ptr<SearchWorker>> another = open_worker();
    if (!another) return another.error();
    (*another)->footprint().learn_numbers();
    (*another)->footprint().learn_from(first_worker().footprint());
    workers_.push_back(std::move(*another));
  }
  return {};
}

void ParallelSearch::share_news() {
  for (const auto& from : workers_) {
    for (const auto& to : workers_) to->footprint().learn_from(from->footprint());
  }
  for (const auto& each : workers_) (void)each->footprint().take_news();
}

/// Calls work(worker, i) once for every i below `count`, by whoever is free.
template <class Work>
void ParallelSearch::side_by_side(std::size_t count, const Work& work) {
  if (workers_.size() == 1 || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) work(first_worker(), i);
    return;
  }
  std::atomic<std::size_t> next{0};
  const auto take_parts = [&](std::size_t who) {
    (void)handed.load(std::memory_order_acquire);
    for (std::size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      work(*workers_[who], i);
    }
    handed.fetch_add(1, std::memory_order_release);
  };
  tbb::task_arena arena(jobs_);
  handed.fetch_add(1, std::memory_order_release);
  arena.execute([&] { tbb::parallel_for(std::size_t{0}, workers_.size(), take_parts, tbb::simple_partitioner()); });
  (void)handed.load(std::memory_order_acquire);
}

Result<Halt> ParallelSearch::search_all(Tally& tally, const Limits& limits) {
  return first_worker().search(*make_search({}), tally, limits);
}

Result<Halt> ParallelSearch::sample(const SearchOptions& how, Tally& tally, const Limits& limits) {
  if (Result<void> there = open_workers(); !there) return there.error();
  const std::size_t at_once = kPortionsAtOnce * workers_.size();
  for (std::uint64_t first = 0;; first += at_once) {
    const std::uint64_t left = limits.most_runs - std::min(limits.most_runs, first * kPortion);
    if (left == 0) return Halt::budget;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(at_once, (left - 1) / kPortion + 1));
    std::vector<Report> reports(count);
    // What is drawn beside news counts for nothing, and would take the time of what comes after them.
    std::atomic<bool> has_news{false};
    side_by_side(count, [&](SearchWorker& worker, std::size_t i) {
      SearchOptions portion = how;
      if (first + i > 0) portion.seed = mixed(how.seed + first + i);
      const std::unique_ptr<Search> search = make_search(portion);
      Limits of_portion = limits;
      of_portion.most_runs = std::min<std::uint64_t>(kPortion, left - i * kPortion);
      of_portion.enough = [&] {
        return has_news.load(std::memory_order_relaxed) || (limits.enough && limits.enough());
      };
      reports[i].halt = worker.search(*search, reports[i].tally, of_portion);
      if (reports[i].halt && *reports[i].halt == Halt::news) has_news.store(true, std::memory_order_relaxed);
    });
    for (const Report& each : reports) {
      if (!each.halt) return each.halt.error();
      if (*each.halt == Halt::news) return Halt::news;
      tally.add(each.tally);
    }
    for (const Report& each : reports) {
      if (*each.halt == Halt::interrupted) return Halt::interrupted;
    }
    if (limits.until != kNever && RealClock().now() > limits.until) return Halt::budget;
    if (limits.enough && limits.enough()) return Halt::budget;
  }
}

}  // namespace lockstep
