// reduced.h: one run for each class of interleavings: dynamic partial-order reduction with source sets and sleep sets.
// See search.h for where it comes from; divided.h for how several go through one program together.
#pragma once

#include <string>
#include <vector>

#include "engine/explore/search/choices.h"
#include "engine/explore/search/search.h"
#include "engine/explore/search/trace.h"

namespace lockstep {

class Reduced final : public Search {
 public:
  /// A state on the way of the run in hand.
  struct Node {
    Choice choice;  ///< taken here
    Mask enabled = 0;
    Mask backtrack = 0;  ///< to be taken here; never only the done ones
    Mask done = 0;
    std::vector<Choice> choices;
    /// Steps that need not be taken here: what they lead to has been seen.
    std::vector<Step> sleep;
    /// The steps of the choices that are done.
    std::vector<Step> seen;

    /// What is still to be taken here.
    Mask left() const noexcept;
    /// A step that comes later could have come before the one taken here: sees to it that one of `initials`, the first
    /// steps of the way that leads to it, is taken here. False when that was so already.
    bool wish(Mask initials) noexcept;
    /// Takes the calmest of what is left.
    void take_next(int last);
  };
  /// Node `depth` of a part's path was told wish(initials).
  struct Wish {
    std::size_t depth = 0;
    Mask initials = 0;
  };

  /// The whole of a program.
  Reduced() = default;
  /// What lies below `path`, whose last node's choice has not been taken before. The nodes above `shared` are left as
  /// they are: what is to be done there besides is for whoever puts the parts together.
  Reduced(std::vector<Node> path, std::size_t shared)
      : nodes_(std::move(path)), given_(nodes_.size()), floor_(shared), raced_(nodes_.size()) {}

  bool begin() override;
  bool choose(std::span<const Choice> enabled, Choice& next) override;
  void took(const Footprint& step) override;
  double end(bool complete, std::span<const Step> blocked) override;
  bool exhaustive() const noexcept override { return true; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override;
  void leave_out() noexcept override;
  const std::vector<Choice>& taken() const noexcept override { return taken_; }
  std::vector<Choice> calmest() const override;

  // -- of a part, when begin() has answered false --
  const std::vector<Wish>& wishes() const noexcept { return wishes_; }
  /// The nodes between the path and `shared`.
  std::vector<Node> take_fresh();
  /// The step taken at a depth of the path or of the fresh nodes; nullptr when the run did not come so far.
  const Step* step_at(std::size_t depth) const { return depth < trace_.size() ? &trace_[depth] : nullptr; }

 private:
  bool enter(std::span<const Choice> enabled);
  void look_for_races(std::size_t j);
  bool backtrack();

  std::vector<Node> nodes_;
  Trace trace_;
  std::vector<Choice> taken_;
  std::size_t depth_ = 0;     ///< in the run in hand
  std::size_t replayed_ = 0;  ///< how many nodes the run in hand shares with the latest one, its new choice included
  std::size_t given_ = 0;     ///< how many nodes there were at the begin
  std::size_t floor_ = 0;     ///< nodes above are not gone back to
  std::size_t raced_ = 0;     ///< the races of the steps before the last of these are known
  const Footprint* objects_ = nullptr;
  bool first_ = true;  ///< nothing is to be left behind: this is the first run, or the same once more
  std::vector<Wish> wishes_;
  std::string disagreement_;
};

}  // namespace lockstep
