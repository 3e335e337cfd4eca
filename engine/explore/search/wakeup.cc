// wakeup.cc: see wakeup.h.
#include "engine/explore/search/wakeup.h"

#include <algorithm>
#include <numeric>

#include "engine/explore/search/trace.h"

namespace lockstep {

Initial initial_of(const Step& step, const Way& way, const Footprint& objects, std::size_t& at) {
  for (std::size_t i = 0; i < way.size(); ++i) {
    if (way[i].choice == step.choice) {
      at = i;
      return Initial::first;
    }
    if (dependent(step, way[i], objects)) return Initial::no;
  }
  return Initial::apart;
}

void WakeupTree::insert(Way way, const Footprint& objects) {
  // Down the tree: `branch` has the ways that begin with the steps in `done`.
  std::vector<std::size_t> branch(ways_.size());
  std::iota(branch.begin(), branch.end(), std::size_t{0});
  Way done;
  for (;;) {
    const std::size_t depth = done.size();
    const auto leads_on = [&](std::size_t each) {
      std::size_t at = 0;
      return initial_of(ways_[each][depth], way, objects, at) != Initial::no;
    };
    const auto next = std::find_if(branch.begin(), branch.end(), leads_on);
    if (next == branch.end()) break;
    const bool is_end = ways_[*next].size() == depth + 1;
    done.push_back(ways_[*next][depth]);
    std::size_t at = 0;
    if (initial_of(done.back(), way, objects, at) == Initial::first) {
      if (done.back().is_guess) done.back() = way[at];
      way.erase(way.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (way.empty()) return;
    if (is_end) {
      // Whatever lies behind that step will be met; the longer way says how to go on there.
      done.insert(done.end(), std::make_move_iterator(way.begin()), std::make_move_iterator(way.end()));
      ways_[*next] = std::move(done);
      return;
    }
    std::erase_if(branch, [&](std::size_t each) { return !(ways_[each][depth].choice == done.back().choice); });
  }
  done.insert(done.end(), std::make_move_iterator(way.begin()), std::make_move_iterator(way.end()));
  ways_.push_back(std::move(done));
}

WakeupTree WakeupTree::take_first() {
  WakeupTree taken;
  const Choice choice = first();
  std::vector<Way> left;
  for (Way& way : ways_) {
    if (!(way.front().choice == choice)) {
      left.push_back(std::move(way));
    } else if (way.size() > 1) {
      way.erase(way.begin());
      taken.ways_.push_back(std::move(way));
    }
  }
  ways_ = std::move(left);
  return taken;
}

}  // namespace lockstep
