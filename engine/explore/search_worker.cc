// search_worker.cc: see search_worker.h.
#include "engine/explore/search_worker.h"

#include <fmt/format.h>

#include "engine/explore/scenario_subject.h"

namespace lockstep {
namespace {

constexpr std::uint64_t kLooksAtClockEvery = 64;  ///< runs in this process, unless they are long
constexpr std::size_t kLong = 500;                ///< steps

}  // namespace

/// Lets a search decide who goes next, and tells it what each step touched.
class SearchWorker::Explored final : public Schedule {
 public:
  Explored(Subject& subject, std::shared_ptr<ObjectNumbers> numbers)
      : subject_(subject), footprint_(std::move(numbers)) {}

  void begin(Search& search) {
    search_ = &search;
    footprint_.clear_run();
    stepping_ = false;
    complete_ = true;
    blocked_.clear();
  }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    settle();
    choices_.clear();
    for (const Candidate& each : candidates) {
      if (each.enabled && !each.would_wait) choices_.push_back({each.actor, false});
      if (each.may_time_out) choices_.push_back({each.actor, true});
    }
    Choice choice;
    if (!search_->choose(choices_, choice)) {
      complete_ = false;
      find_blocked();
      return Error{Fault::cancelled, {}, {}};
    }
    stepping_ = true;
    return choice;
  }
  bool looks_ahead() const noexcept override { return true; }
  void nothing_left() override {
    settle();
    find_blocked();
  }

  /// The run is over: how many interleavings it stands for.
  double end() {
    settle();
    return search_->end(complete_, blocked_);
  }
  bool complete() const noexcept { return complete_; }
  Footprint& footprint() noexcept { return footprint_; }

 private:
  /// The latest step has had its consequences.
  void settle() {
    if (stepping_) search_->took(footprint_);
    stepping_ = false;
    footprint_.clear_step();
  }

  void find_blocked() {
    blocked_.clear();
    subject_.find_blocked(footprint_, blocked_);
  }

  Subject& subject_;
  Search* search_ = nullptr;
  Footprint footprint_;
  std::vector<Choice> choices_;
  std::vector<Step> blocked_;
  bool stepping_ = false;
  bool complete_ = true;
};

Result<std::unique_ptr<SearchWorker>> SearchWorker::open(const Scenario& scenario, const RunRequest& resolved,
                                                         std::shared_ptr<ObjectNumbers> numbers,
                                                         const StopSource* stop) {
  Result<std::unique_ptr<Subject>> subject = ScenarioExplorable(scenario, resolved, {}, stop).open();
  if (!subject) return subject.error();
  return std::make_unique<SearchWorker>(std::move(*subject), std::move(numbers), stop);
}

SearchWorker::SearchWorker(std::unique_ptr<Subject> subject, std::shared_ptr<ObjectNumbers> numbers,
                           const StopSource* stop)
    : subject_(std::move(subject)), stop_(stop), explored_(std::make_unique<Explored>(*subject_, std::move(numbers))) {
  subject_->tell(&explored_->footprint());
}

SearchWorker::~SearchWorker() { subject_->tell(nullptr); }

Footprint& SearchWorker::footprint() noexcept { return explored_->footprint(); }

Result<Halt> SearchWorker::search(Search& search, Tally& tally, const Limits& limits) {
  subject_->give_up_at(limits.until);
  for (std::uint64_t runs = 0;; ++runs) {
    if (limits.enough && limits.enough()) return Halt::budget;
    if (!search.begin()) return Halt::exhausted;
    if (stop_ != nullptr && stop_->requested()) return Halt::interrupted;
    const bool looks = runs % kLooksAtClockEvery == 0 || !subject_->is_quick() || subject_->taken().size() > kLong;
    if (runs >= limits.most_runs || (looks && limits.until != kNever && clock_.now() > limits.until))
      return Halt::budget;
    if (limits.done != nullptr) {
      const std::uint64_t done = limits.done->fetch_add(1, std::memory_order_relaxed);
      if (limits.progress && done % 4096 == 0) limits.progress(done);
    }

    explored_->begin(search);
    const Result<void> performed = subject_->perform(*explored_);
    if (search.relies_on_footprints()) {
      if (std::string untold = subject_->untold(); !untold.empty())
        return Error{Fault::unsupported, {}, std::move(untold)};
    }
    if (subject_->ending() == record::Ending::interrupted) {
      // A run that the budget has cut short says nothing.
      return stop_ != nullptr && stop_->requested() ? Halt::interrupted : Halt::budget;
    }
    if (!performed && performed.fault() != Fault::cancelled) return performed.error();
    if (subject_->ending() == record::Ending::unavailable) return Error{Fault::unavailable, {}, "the store is gone"};
    // Before a disagreement, which may come of what was believed until now.
    if (footprint().take_news()) return Halt::news;
    if (!search.disagreement().empty()) {
      if (Result<void> coped = cope_with_disagreement(search, tally); !coped) return coped.error();
      continue;
    }
    repeated_ = 0;
    add_up(search, explored_->end(), tally, limits);
  }
}

/// A server decides some things by the clock, such as which of two gives up for a deadlock.
Result<void> SearchWorker::cope_with_disagreement(Search& search, Tally& tally) {
  if (subject_->is_deterministic()) {
    return Error{
        Fault::invalid,
        {},
        fmt::format("{} does not do the same after the same choices: {}", subject_->name(), search.disagreement())};
  }
  if (++repeated_ < kRepeatsMost) {
    search.repeat();
    return {};
  }
  repeated_ = 0;
  ++tally.left_out;
  search.leave_out();
  return {};
}

void SearchWorker::add_up(Search& search, double orders, Tally& tally, const Limits& limits) {
  if (!explored_->complete() || orders == 0) {
    ++tally.pruned;
    return;
  }
  ++tally.runs;
  record::Run run;
  const Subject::RunEnd judged = subject_->judge(run);
  if (limits.seen) limits.seen(run, orders);
  Outcome& outcome = tally.outcomes[judged.key];
  outcome.verdict = judged.verdict;
  ++outcome.runs;
  const auto add = [orders](double& sum) { sum = orders < 0 || sum < 0 ? -1 : sum + orders; };
  add(outcome.interleavings);
  add(tally.interleavings);
  const std::vector<Choice>& taken = subject_->taken();
  const bool may_improve = outcome.may_improve(taken.size(), search.preemptions());
  if (!may_improve && !limits.keeps_runs) return;
  std::vector<Choice> calm = search.calmest();
  calm.insert(calm.end(), taken.begin() + static_cast<std::ptrdiff_t>(calm.size()), taken.end());
  if (may_improve) outcome.consider(calm, search.preemptions());
  if (limits.keeps_runs) tally.representatives.push_back({std::move(calm), orders});
}

}  // namespace lockstep
