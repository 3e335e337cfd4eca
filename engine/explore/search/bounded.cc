// bounded.cc: every schedule with no preemption, then with one, with two … So a bug is met first with as few
// preemptions as it needs. See search.h.
//
// A preemption is a step of another actor, or a deadline that passes, while the actor that went last could have gone
// on. A (state, last actor) pair determines everything after it, so each pair is expanded once. It is expanded with as
// few preemptions as lead to it: pairs behind one more preemption wait until all before them have been seen.
#include <algorithm>
#include <unordered_set>

#include "engine/explore/search/choices.h"
#include "engine/explore/search/state_key.h"
#include "engine/explore/search/strategies.h"

namespace lockstep {
namespace {

class Bounded final : public Search {
 public:
  bool begin() override {
    if (!first_ && now_.empty()) {
      // Everything with so many preemptions has been seen.
      now_.swap(later_);
      ++preemptions_;
    }
    if (!first_ && now_.empty()) return false;
    plan_.clear();
    if (!first_) {
      const Entry entry = now_.back();
      now_.pop_back();
      plan_.push_back(entry);
      for (int node = entry.node; nodes_[static_cast<std::size_t>(node)].parent >= 0;) {
        const Node& at = nodes_[static_cast<std::size_t>(node)];
        plan_.push_back({at.parent, at.choice});
        node = at.parent;
      }
      std::reverse(plan_.begin(), plan_.end());
    }
    first_ = false;
    key_.clear();
    taken_.clear();
    return true;
  }

  bool choose(std::span<const Choice> enabled, Choice& next) override {
    const std::size_t depth = taken_.size();
    if (depth < plan_.size()) {
      const Node& node = nodes_[static_cast<std::size_t>(plan_[depth].node)];
      if (node.enabled != mask_of(enabled)) {
        disagreement_ = difference(depth + 1, choices_of(node.enabled), enabled);
        return false;
      }
      next = plan_[depth].choice;
      at_ = plan_[depth].node;
    } else {
      if (!enter(enabled, depth == 0 ? -1 : at_)) return false;
      next = calmest_of(enabled, mask_of(enabled), last());
      defer_others(enabled, next);
    }
    taken_.push_back(next);
    return true;
  }

  void took(const Footprint& step) override { key_.add(taken_.back(), step); }

  double end(bool complete, std::span<const Step>) override {
    // Pairs that differ in the last actor may lead to one end.
    return complete && ends_.insert(key_.value()).second ? key_.trace().linear_extensions() : 0;
  }
  bool exhaustive() const noexcept override { return true; }
  int preemptions() const noexcept override { return preemptions_; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override { disagreement_.clear(); }
  void leave_out() noexcept override { disagreement_.clear(); }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }

 private:
  struct Node {
    int parent = -1;
    Choice choice;  ///< by which it is come to from there
    Mask enabled = 0;
  };
  /// A choice to be taken at a node.
  struct Entry {
    int node = 0;
    Choice choice;
  };

  int last() const noexcept { return taken_.empty() ? -1 : taken_.back().actor; }

  static std::vector<Choice> choices_of(Mask mask) {
    std::vector<Choice> choices;
    for (int bit = 0; bit < 2 * kMostActors; ++bit) {
      if ((mask >> static_cast<unsigned>(bit) & 1U) != 0) choices.push_back({bit / 2, bit % 2 != 0});
    }
    return choices;
  }

  /// Enters the pair of the state and the actor that went last. False: met before.
  bool enter(std::span<const Choice> enabled, int parent) {
    if (!met_.insert(mixed(key_.value() + static_cast<std::uint64_t>(last() + 2))).second) return false;
    const Choice by = taken_.empty() ? Choice{} : taken_.back();
    at_ = static_cast<int>(nodes_.size());
    nodes_.push_back({.parent = parent, .choice = by, .enabled = mask_of(enabled)});
    return true;
  }

  void defer_others(std::span<const Choice> enabled, const Choice& next) {
    const bool preempts = (mask_of(enabled) & bit_of({std::max(last(), 0), false})) != 0 && last() >= 0;
    std::vector<Entry>& to = preempts ? later_ : now_;
    for (std::size_t i = enabled.size(); i-- > 0;) {
      if (!(enabled[i] == next)) to.push_back({at_, enabled[i]});
    }
  }

  std::vector<Node> nodes_;
  std::vector<Entry> now_, later_;  ///< with as many preemptions as now; with one more
  std::vector<Entry> plan_;         ///< the run in hand, up to its new choice
  int preemptions_ = 0;
  std::unordered_set<std::uint64_t> met_, ends_;
  StateKey key_;
  std::vector<Choice> taken_;
  int at_ = -1;  ///< the node of the latest choice
  bool first_ = true;
  std::string disagreement_;
};

}  // namespace

std::unique_ptr<Search> make_bounded_search() { return std::make_unique<Bounded>(); }

}  // namespace lockstep
