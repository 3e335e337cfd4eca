// party.cc: hands out the parts of a search over a TBB arena, and adds up in the order of the parts.
#include "engine/explore/party.h"

#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>

#include "engine/explore/search/divided.h"
#include "engine/explore/search/state_key.h"

namespace lockstep {
namespace {

/// A search that ends within so many runs is left to one explorer; a longer one begins anew with all of them, also when
/// there is one: what they find does not depend on how many they are.
constexpr std::uint64_t kAloneMost = 4096;
/// The part of the tree of choices that is shared: a third of a run's length, no more than so many steps.
constexpr std::size_t kSharedMost = 10;
constexpr std::uint64_t kPortion = 1024;     ///< samples of one seed
constexpr std::size_t kPortionsAtOnce = 16;  ///< for each worker

// TBB hands over correctly, but its library is not compiled for ThreadSanitizer, which therefore sees none of it: so
// the hand-over is told a second time. Not captured by those who are handed something: they look here first.
std::atomic<unsigned> handed{0};

std::uint64_t runs_of(const Tally& tally) { return tally.runs + tally.pruned; }

}  // namespace

/// What came of one part.
struct Party::Report {
  Result<Halt> halt = Halt::budget;
  Tally tally;
};

Result<std::unique_ptr<Party>> Party::open(const Scenario& scenario, const RunRequest& resolved, int jobs,
                                           const StopSource* stop) {
  std::unique_ptr<Party> party(new Party(scenario, resolved, jobs, stop));
  Result<std::unique_ptr<Explorer>> leader = Explorer::open(scenario, resolved, party->numbers_, stop);
  if (!leader) return leader.error();
  party->explorers_.push_back(std::move(*leader));
  return party;
}

/// Those who are not there yet: a search that the leader ends alone needs nobody else.
Result<void> Party::gather() {
  while (explorers_.size() < static_cast<std::size_t>(jobs_)) {
    Result<std::unique_ptr<Explorer>> another = Explorer::open(scenario_, resolved_, numbers_, stop_);
    if (!another) return another.error();
    (*another)->footprint().learn_numbers();
    (*another)->footprint().learn_queues(leader().footprint());
    explorers_.push_back(std::move(*another));
  }
  return {};
}

void Party::share_news() {
  for (const auto& from : explorers_) {
    for (const auto& to : explorers_) to->footprint().learn_queues(from->footprint());
  }
  for (const auto& each : explorers_) (void)each->footprint().take_news();
}

/// Calls work(explorer, i) once for every i below `count`, by whoever is free.
template <class Work>
void Party::side_by_side(std::size_t count, const Work& work) {
  if (explorers_.size() == 1 || count <= 1) {
    for (std::size_t i = 0; i < count; ++i) work(leader(), i);
    return;
  }
  std::atomic<std::size_t> next{0};
  const auto take_parts = [&](std::size_t who) {
    (void)handed.load(std::memory_order_acquire);
    for (std::size_t i = next.fetch_add(1, std::memory_order_relaxed); i < count;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      work(*explorers_[who], i);
    }
    handed.fetch_add(1, std::memory_order_release);
  };
  tbb::task_arena arena(jobs_);
  handed.fetch_add(1, std::memory_order_release);
  arena.execute([&] { tbb::parallel_for(std::size_t{0}, explorers_.size(), take_parts, tbb::simple_partitioner()); });
  (void)handed.load(std::memory_order_acquire);
}

std::vector<Party::Report> Party::run_round(std::vector<std::unique_ptr<Reduced>>& parts, const Limits& limits) {
  std::vector<Report> reports(parts.size());
  std::atomic<bool> over{false};
  side_by_side(parts.size(), [&](Explorer& explorer, std::size_t i) {
    if (over.load(std::memory_order_relaxed)) return;  // as if the budget had been spent
    explorer.footprint().learn_numbers();
    reports[i].halt = explorer.search(*parts[i], reports[i].tally, limits);
    const bool is_full = runs_of(reports[i].tally) >= limits.most_runs;  // the others count all the same
    const bool is_over = !reports[i].halt || (*reports[i].halt != Halt::exhausted && !is_full);
    if (is_over) over.store(true, std::memory_order_relaxed);
  });
  return reports;
}

Result<Halt> Party::search_all(bool may_divide, Tally& tally, const Limits& limits) {
  const std::unique_ptr<Search> alone = make_search({});
  const bool divides = may_divide && limits.most_runs > kAloneMost;
  Limits of_alone = limits;
  if (divides) of_alone.most_runs = kAloneMost;
  Result<Halt> halt = leader().search(*alone, tally, of_alone);
  const bool is_long = divides && halt && *halt == Halt::budget && runs_of(tally) >= kAloneMost;
  if (!is_long) return halt;
  tally = {};
  if (limits.done != nullptr) limits.done->store(0, std::memory_order_relaxed);
  return search_divided(std::clamp<std::size_t>(alone->taken().size() / 3, 1, kSharedMost), tally, limits);
}

Result<Halt> Party::search_divided(std::size_t shared, Tally& tally, const Limits& limits) {
  if (Result<void> there = gather(); !there) return there.error();
  Divided divided(shared);
  for (;;) {
    std::vector<std::unique_ptr<Reduced>> parts = divided.next_round();
    if (parts.empty()) return Halt::exhausted;
    Limits left = limits;
    left.most_runs = limits.most_runs - runs_of(tally);
    std::vector<std::unique_ptr<Reduced>> as_new;
    for (const auto& part : parts) as_new.push_back(std::make_unique<Reduced>(*part));
    std::vector<Report> reports = run_round(parts, left);
    for (const Report& each : reports) {
      if (each.halt && (*each.halt == Halt::news || *each.halt == Halt::interrupted)) {
        tally.add(each.tally);
        return *each.halt;
      }
      if (!each.halt) return each.halt.error();
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      left.most_runs = limits.most_runs - runs_of(tally);
      const bool spent = runs_of(reports[i].tally) > left.most_runs;
      if (!spent) {
        tally.add(reports[i].tally);
        if (*reports[i].halt == Halt::exhausted) continue;
        return Halt::budget;
      }
      // The budget ends within this part: no further than that, whoever ran what meanwhile.
      Tally rest;
      Result<Halt> halt = leader().search(*as_new[i], rest, left);
      if (!halt) return halt.error();
      tally.add(rest);
      return Halt::budget;
    }
    divided.put_together(parts);
  }
}

Result<Halt> Party::sample(const SearchOptions& how, Tally& tally, const Limits& limits) {
  if (Result<void> there = gather(); !there) return there.error();
  const std::size_t at_once = kPortionsAtOnce * explorers_.size();
  for (std::uint64_t first = 0;; first += at_once) {
    const std::uint64_t left = limits.most_runs - std::min(limits.most_runs, first * kPortion);
    if (left == 0) return Halt::budget;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(at_once, (left + kPortion - 1) / kPortion));
    std::vector<Report> reports(count);
    side_by_side(count, [&](Explorer& explorer, std::size_t i) {
      SearchOptions portion = how;
      if (first + i > 0) portion.seed = mixed(how.seed + first + i);
      const std::unique_ptr<Search> search = make_search(portion);
      Limits of_portion = limits;
      of_portion.most_runs = std::min<std::uint64_t>(kPortion, left - i * kPortion);
      reports[i].halt = explorer.search(*search, reports[i].tally, of_portion);
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
  }
}

}  // namespace lockstep
