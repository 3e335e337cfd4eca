// footprint.cc: numbers for things, and which of them overlap.
#include "engine/base/footprint.h"

#include <algorithm>

namespace lockstep {

std::uint32_t ObjectNumbers::number_of(const std::string& key, Object object) {
  MutexLock lock(mutex_);
  const auto [known, fresh] = numbers_.try_emplace(key, static_cast<std::uint32_t>(objects_.size()));
  if (fresh) objects_.push_back(std::move(object));
  return known->second;
}

void ObjectNumbers::copy_to(std::vector<Object>& to) const {
  MutexLock lock(mutex_);
  to.insert(to.end(), objects_.begin() + static_cast<std::ptrdiff_t>(to.size()), objects_.end());
}

std::uint32_t Footprint::number_of(char kind, std::string_view name, std::string_view to) {
  // Most scenarios have a handful of things: to compare with each is cheaper than to hash.
  constexpr std::size_t kFew = 8;
  for (std::uint32_t i = 0; i < std::min(objects_.size(), kFew); ++i) {
    const Object& known = objects_[i];
    if (known.kind == kind && known.name == name && known.to == to) return i;
  }
  wanted_.assign(1, kind);
  wanted_.append(name);
  if (is_range(kind)) wanted_.append(1, '\0').append(to);
  const auto known = numbers_.find(wanted_);
  if (known != numbers_.end()) return known->second;
  const std::uint32_t number = shared_->number_of(wanted_, {kind, std::string(name), std::string(to)});
  numbers_.emplace(wanted_, number);
  if (number >= objects_.size()) learn_numbers();
  return number;
}

void Footprint::learn_numbers() {
  const std::size_t known = objects_.size();
  shared_->copy_to(objects_);
  overlapping_.resize(objects_.size());
  for (std::size_t i = known; i < objects_.size(); ++i) {
    has_ranges_ = has_ranges_ || is_range(objects_[i].kind);
    for (std::size_t other = 0; has_ranges_ && other < i; ++other) {
      const auto a = static_cast<std::uint32_t>(i), b = static_cast<std::uint32_t>(other);
      if (!overlaps_beyond_itself(a, b) || !overlap(a, b)) continue;
      overlapping_[i].push_back(b);
      overlapping_[other].push_back(a);
    }
  }
}

void Footprint::learn_from(const Footprint& other) {
  if (queue_matters_.size() < other.queue_matters_.size()) queue_matters_.resize(other.queue_matters_.size());
  for (std::size_t i = 0; i < other.queue_matters_.size(); ++i)
    queue_matters_[i] = queue_matters_[i] || other.queue_matters_[i];
}

void Footprint::queue_matters(std::string_view lock) {
  const std::uint32_t number = number_of('l', lock, {});
  if (queue_matters_.size() <= number) queue_matters_.resize(number + 1);
  if (queue_matters_[number]) return;
  queue_matters_[number] = true;
  has_news_ = true;
}

bool Footprint::does_queue_matter(std::string_view lock) {
  const std::uint32_t number = number_of('l', lock, {});
  return number < queue_matters_.size() && queue_matters_[number];
}

void Footprint::merge(std::vector<Access>& into, Access access) {
  for (Access& each : into) {
    if (each.object != access.object) continue;
    // Both conflict with more than either of them does alone.
    if (each.touch != access.touch) each.touch = Touch::changes;
    each.gate.needs_open = each.gate.needs_open || access.gate.needs_open;
    each.gate.closed_after = access.gate.closed_after;
    return;
  }
  into.push_back(access);
}

void Footprint::add_held(int actor, std::uint32_t object, Touch touch) {
  merge(accesses_, {object, touch});
  const auto index = static_cast<std::size_t>(actor);
  if (held_.size() <= index) held_.resize(index + 1);
  merge(held_[index], {object, touch});
}

void Footprint::touch_held(int actor) {
  const auto index = static_cast<std::size_t>(actor);
  if (held_.size() <= index) return;
  for (const Access& each : held_[index]) merge(accesses_, each);
}

void Footprint::change_held(int actor) {
  const auto index = static_cast<std::size_t>(actor);
  if (held_.size() <= index) return;
  for (const Access& each : held_[index]) merge(accesses_, {each.object, Touch::changes});
}

void Footprint::end_transaction(int actor) {
  touch_held(actor);
  const auto index = static_cast<std::size_t>(actor);
  if (held_.size() > index) held_[index].clear();
}

void Footprint::clear_run() noexcept {
  clear_step();
  for (auto& each : held_) each.clear();
}

bool Footprint::overlap(std::uint32_t a, std::uint32_t b) const {
  const Object& one = objects_[a];
  const Object& other = objects_[b];
  const auto holds = [](const Object& range, const std::string& key) {
    return key >= range.name && (range.to.empty() || key < range.to);
  };
  const bool are_places = one.kind == 'p' || one.kind == 'g';
  if (are_places != (other.kind == 'p' || other.kind == 'g')) return false;
  if (is_range(one.kind) && is_range(other.kind)) {
    return (other.to.empty() || one.name < other.to) && (one.to.empty() || other.name < one.to);
  }
  const Object& range = is_range(one.kind) ? one : other;
  const Object& single = is_range(one.kind) ? other : one;
  return (single.kind == 'k' || single.kind == 'p') && holds(range, single.name);
}

}  // namespace lockstep
