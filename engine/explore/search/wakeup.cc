// wakeup.cc: see wakeup.h.
#include "engine/explore/search/wakeup.h"

#include <algorithm>

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

bool WakeupTree::insert(Way way, const Footprint& objects) {
  // Down the tree: `branch` holds the ways below the node in hand, which is `depth` steps from the root.
  std::vector<std::size_t> branch(ways_.size());
  for (std::size_t i = 0; i < branch.size(); ++i) branch[i] = i;
  Way done;
  while (true) {
    const std::size_t depth = done.size();
    bool descended = false;
    std::vector<Choice> refused;
    for (const std::size_t each : branch) {
      const Step& step = ways_[each][depth];
      if (std::find(refused.begin(), refused.end(), step.choice) != refused.end()) continue;
      std::size_t at = 0;
      const Initial initial = initial_of(step, way, objects, at);
      if (initial == Initial::no) {
        refused.push_back(step.choice);
        continue;
      }
      if (ways_[each].size() == depth + 1) return false;  // everything behind that step will be met
      if (initial == Initial::first) way.erase(way.begin() + static_cast<std::ptrdiff_t>(at));
      if (way.empty()) return false;
      const Choice choice = step.choice;
      done.push_back(step);
      std::erase_if(branch, [&](std::size_t i) { return !(ways_[i][depth].choice == choice); });
      descended = true;
      break;
    }
    if (descended) continue;
    done.insert(done.end(), std::make_move_iterator(way.begin()), std::make_move_iterator(way.end()));
    ways_.push_back(std::move(done));
    return true;
  }
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
