// divided.cc: see divided.h.
#include "engine/explore/search/divided.h"

#include <algorithm>

namespace lockstep {

std::vector<std::unique_ptr<Reduced>> Divided::next_round() {
  std::vector<std::unique_ptr<Reduced>> parts;
  ways_.clear();
  if (!std::exchange(begun_, true)) {
    ways_.emplace_back();
    parts.push_back(std::make_unique<Reduced>(std::vector<Reduced::Node>{}, shared_));
    return parts;
  }
  for (const int place : std::exchange(changed_, {})) {
    if (tree_[static_cast<std::size_t>(place)].node.left() != 0) parts.push_back(part_at(place));
  }
  return parts;
}

std::vector<int> Divided::way_to(int place) const {
  std::vector<int> way;
  for (; place >= 0; place = tree_[static_cast<std::size_t>(place)].parent) way.push_back(place);
  std::reverse(way.begin(), way.end());
  return way;
}

std::unique_ptr<Reduced> Divided::part_at(int place) {
  Place& at = tree_[static_cast<std::size_t>(place)];
  at.node.take_next(at.parent < 0 ? -1 : at.came_by.actor);
  std::vector<int> way = way_to(place);
  std::vector<Reduced::Node> path;
  for (std::size_t i = 0; i < way.size(); ++i) {
    path.push_back(tree_[static_cast<std::size_t>(way[i])].node);
    if (i + 1 < way.size()) path.back().choice = tree_[static_cast<std::size_t>(way[i + 1])].came_by;
  }
  ways_.push_back(std::move(way));
  return std::make_unique<Reduced>(std::move(path), shared_);
}

void Divided::put_together(std::vector<std::unique_ptr<Reduced>>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) put_together(*parts[i], ways_[i]);
}

void Divided::put_together(Reduced& part, const std::vector<int>& way) {
  for (const Reduced::Wish& wish : part.wishes()) {
    const int place = way[wish.depth];
    if (tree_[static_cast<std::size_t>(place)].node.wish(wish.initials)) changed_.insert(place);
  }
  const auto note_step = [&](int place, std::size_t depth) {
    Reduced::Node& node = tree_[static_cast<std::size_t>(place)].node;
    if (const Step* const step = part.step_at(depth)) node.seen.push_back(*step);
    if (node.left() != 0) changed_.insert(place);
  };
  if (!way.empty()) note_step(way.back(), way.size() - 1);
  std::vector<Reduced::Node> fresh = part.take_fresh();
  int parent = way.empty() ? -1 : way.back();
  for (std::size_t i = 0; i < fresh.size(); ++i) {
    const Choice came_by = parent < 0 ? Choice{}
                           : i == 0   ? tree_[static_cast<std::size_t>(parent)].node.choice
                                      : tree_.back().node.choice;
    tree_.push_back({std::move(fresh[i]), parent, came_by});
    parent = static_cast<int>(tree_.size()) - 1;
    note_step(parent, way.size() + i);
  }
}

}  // namespace lockstep
