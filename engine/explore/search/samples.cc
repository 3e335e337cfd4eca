// samples.cc: searches that try some interleavings by chance: a uniform walk, PCT and POS. See search.h.
#include <algorithm>
#include <array>

#include "engine/explore/search/strategies.h"
#include "engine/explore/search/trace.h"

namespace lockstep {
namespace {

class Sampling : public Search {
 public:
  explicit Sampling(std::uint64_t seed) : random_(seed) {}

  bool begin() override {
    taken_.clear();
    restart();
    return true;
  }
  bool choose(std::span<const Choice> enabled, Choice& next) final {
    next = enabled[pick(enabled)];
    taken_.push_back(next);
    return true;
  }
  void took(const Footprint&) override {}
  bool relies_on_footprints() const noexcept override { return false; }
  double end(bool complete, std::span<const Step>) override { return complete ? 1 : 0; }
  bool exhaustive() const noexcept override { return false; }
  const std::string& disagreement() const noexcept override { return none_; }
  void repeat() noexcept override {}
  void leave_out() noexcept override {}
  const std::vector<Choice>& taken() const noexcept override { return taken_; }

 protected:
  virtual void restart() {}
  virtual std::size_t pick(std::span<const Choice> enabled) = 0;
  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }

  std::mt19937_64 random_;
  std::vector<Choice> taken_;
  const std::string none_;
};

/// Every choice with the same chance.
class Walk final : public Sampling {
 public:
  using Sampling::Sampling;

 private:
  std::size_t pick(std::span<const Choice> enabled) override { return below(enabled.size()); }
};

/// Probabilistic concurrency testing: the actor of highest priority goes. At depth - 1 steps drawn beforehand the actor
/// that goes falls to the lowest. Finds a bug that needs `depth` orders among n actors and k steps with a chance of at
/// least 1 / (n * k^(depth - 1)) a run.
class Pct final : public Sampling {
 public:
  Pct(const SearchOptions& options)
      : Sampling(options.seed),
        depth_(std::max(options.pct_depth, 1)),
        steps_(std::max<std::size_t>(options.pct_steps, 1)) {}

 private:
  void restart() override {
    for (std::size_t a = 0; a < priority_.size(); ++a) priority_[a] = static_cast<int>(a) + depth_;
    std::shuffle(priority_.begin(), priority_.end(), random_);
    changes_.clear();
    for (int i = 1; i < depth_; ++i) changes_.push_back(below(steps_));
    step_ = 0;
  }
  std::size_t pick(std::span<const Choice> enabled) override {
    const auto highest = [&] {
      std::size_t best = 0;
      for (std::size_t i = 1; i < enabled.size(); ++i) {
        if (priority(enabled[i]) > priority(enabled[best])) best = i;
      }
      return best;
    };
    std::size_t best = highest();
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      if (changes_[i] != step_) continue;
      priority_[static_cast<std::size_t>(enabled[best].actor)] = static_cast<int>(i);
      best = highest();
    }
    ++step_;
    // An actor that waits has two futures, and no priority says which.
    return best;
  }
  int priority(const Choice& choice) const { return priority_[static_cast<std::size_t>(choice.actor)]; }

  const int depth_;
  const std::size_t steps_;
  std::array<int, kMostActors> priority_{};
  std::vector<std::size_t> changes_;
  std::size_t step_ = 0;
};

/// Partial-order sampling: every step that is about to be taken has a priority drawn by chance. The highest goes, and
/// the steps that it raced with draw again. Here a step's footprint is known only once it has been taken, so a step
/// that is found to race afterwards draws again then.
class Pos final : public Sampling {
 public:
  using Sampling::Sampling;

 private:
  void restart() override {
    for (double& each : priority_) each = draw();
    has_latest_ = false;
  }
  std::size_t pick(std::span<const Choice> enabled) override {
    std::size_t best = 0;
    for (std::size_t i = 1; i < enabled.size(); ++i) {
      if (priority(enabled[i]) > priority(enabled[best])) best = i;
    }
    return best;
  }
  void took(const Footprint& done) override {
    Step step{.choice = taken_.back(),
              .actors = done.actors() | 1U << static_cast<unsigned>(taken_.back().actor),
              .accesses = done.accesses()};
    // Its touches tell which actors it raced with: those with latest steps that it depends on.
    for (std::size_t a = 0; a < latest_.size(); ++a) {
      if (static_cast<int>(a) != step.choice.actor && has_latest_ && dependent(latest_[a], step, done)) redraw(a);
    }
    redraw(static_cast<std::size_t>(step.choice.actor));
    latest_[static_cast<std::size_t>(step.choice.actor)] = std::move(step);
    has_latest_ = true;
  }
  double draw() { return std::uniform_real_distribution<double>()(random_); }
  void redraw(std::size_t actor) {
    priority_[2 * actor] = draw();
    priority_[2 * actor + 1] = draw();
  }
  double priority(const Choice& choice) const {
    return priority_[static_cast<std::size_t>(2 * choice.actor + (choice.timeout ? 1 : 0))];
  }

  std::array<double, 2 * kMostActors> priority_{};
  std::array<Step, kMostActors> latest_;
  bool has_latest_ = false;
};

}  // namespace

std::unique_ptr<Search> make_sampling_search(const SearchOptions& options) {
  if (options.strategy == Strategy::pct) return std::make_unique<Pct>(options);
  if (options.strategy == Strategy::pos) return std::make_unique<Pos>(options.seed);
  return std::make_unique<Walk>(options.seed);
}

}  // namespace lockstep
