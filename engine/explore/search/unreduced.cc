// unreduced.cc: depth-first through every interleaving, run by run.
#include <algorithm>

#include "engine/explore/search/choices.h"
#include "engine/explore/search/search.h"

namespace lockstep {
namespace {

class Unreduced final : public Search {
 public:
  bool begin() override {
    if (!first_ && !advance()) return false;
    first_ = false;
    depth_ = 0;
    taken_.clear();
    return true;
  }
  bool choose(std::span<const Choice> enabled, Choice& next) override {
    if (depth_ == nodes_.size()) nodes_.push_back({{enabled.begin(), enabled.end()}, 0});
    const Node& node = nodes_[depth_++];
    if (!std::equal(node.choices.begin(), node.choices.end(), enabled.begin(), enabled.end())) {
      disagreement_ = difference(depth_, node.choices, enabled);
      return false;
    }
    next = node.choices[node.at];
    taken_.push_back(next);
    return true;
  }
  void took(const Footprint&) override {}
  bool relies_on_footprints() const noexcept override { return false; }
  double end(bool complete, std::span<const Step>) override { return complete ? 1 : 0; }
  bool exhaustive() const noexcept override { return true; }
  const std::string& disagreement() const noexcept override { return disagreement_; }
  void repeat() noexcept override {
    disagreement_.clear();
    first_ = true;
  }
  void leave_out() noexcept override {
    disagreement_.clear();
    nodes_.resize(depth_ - 1);
  }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }

 private:
  struct Node {
    std::vector<Choice> choices;
    std::size_t at = 0;
  };
  bool advance() {
    while (!nodes_.empty() && ++nodes_.back().at == nodes_.back().choices.size()) nodes_.pop_back();
    return !nodes_.empty();
  }
  std::vector<Node> nodes_;
  std::vector<Choice> taken_;
  std::size_t depth_ = 0;
  bool first_ = true;  // nothing is to be left behind: this is the first run, or the same once more
  std::string disagreement_;
};

}  // namespace

std::unique_ptr<Search> make_unreduced_search() { return std::make_unique<Unreduced>(); }

}  // namespace lockstep
