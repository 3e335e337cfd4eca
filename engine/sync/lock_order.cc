// lock_order.cc: see lock_order.h.
#include "engine/sync/lock_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace lockstep::sync {
namespace {

constexpr std::size_t kEdgesMost = 10'000;  ///< distinct ones; a run has a few
constexpr std::size_t kFoundMost = 16;

}  // namespace

std::string text_of(const std::source_location& where) {
  std::string_view file = where.file_name();
  for (const std::string_view root : {"/tests/scenarios/", "/tests/engine/", "/scenarios/", "/engine/"}) {
    if (const std::size_t at = file.rfind(root); at != std::string_view::npos) {
      file.remove_prefix(at + 1);
      break;
    }
  }
  return fmt::format("{}:{}", file, where.line());
}

std::vector<LockOrder::Held>& LockOrder::held_by(int actor) {
  const auto index = static_cast<std::size_t>(actor);
  if (held_.size() <= index) held_.resize(index + 1);
  return held_[index];
}

void LockOrder::asks(int actor, const std::string& lock, LockMode mode, const std::source_location& where) {
  MutexLock guard(mutex_);
  for (const Held& held : held_by(actor)) {
    if (held.lock == lock || edges_.size() >= kEdgesMost) continue;
    Edge edge{actor, held, {lock, mode, where}, {}};
    for (const Held& other : held_by(actor)) {
      if (other.lock != held.lock && other.lock != lock) edge.besides.push_back(other.lock);
    }
    std::sort(edge.besides.begin(), edge.besides.end());
    const bool known = std::any_of(edges_.begin(), edges_.end(), [&](const Edge& each) {
      return each.actor == actor && each.held.lock == held.lock && each.wanted.lock == lock &&
             each.held.mode == held.mode && each.wanted.mode == mode && each.besides == edge.besides;
    });
    if (!known) edges_.push_back(std::move(edge));
  }
}

void LockOrder::takes(int actor, const std::string& lock, LockMode mode, const std::source_location& where) {
  MutexLock guard(mutex_);
  held_by(actor).push_back({lock, mode, where});
}

void LockOrder::gives_back(int actor, const std::string& lock) {
  MutexLock guard(mutex_);
  std::vector<Held>& held = held_by(actor);
  const auto found = std::find_if(held.rbegin(), held.rend(), [&](const Held& each) { return each.lock == lock; });
  if (found != held.rend()) held.erase(std::next(found).base());
}

/// `edge` waits for what `next` holds, and nothing keeps the two apart.
bool LockOrder::go_together(const Edge& edge, const Edge& next) {
  if (edge.actor == next.actor || edge.wanted.lock != next.held.lock) return false;
  if (compatible(edge.wanted.mode, next.held.mode)) return false;
  return std::none_of(edge.besides.begin(), edge.besides.end(), [&](const std::string& lock) {
    return std::binary_search(next.besides.begin(), next.besides.end(), lock);
  });
}

void LockOrder::extend(std::vector<const Edge*>& way, std::size_t most, const std::vector<std::string>& names,
                       std::vector<record::OrderViolation>& found) const {
  if (found.size() >= kFoundMost) return;
  if (way.size() > 1 && go_together(*way.back(), *way.front())) {
    record::OrderViolation violation;
    for (const Edge* edge : way) {
      violation.push_back({names[static_cast<std::size_t>(edge->actor)], edge->held.lock, text_of(edge->held.where),
                           edge->wanted.lock, text_of(edge->wanted.where)});
    }
    if (std::find(found.begin(), found.end(), violation) == found.end()) found.push_back(std::move(violation));
    return;
  }
  if (way.size() == most) return;
  for (const Edge& next : edges_) {
    // Each cycle is found from the actor with the smallest number.
    if (next.actor <= way.front()->actor || !go_together(*way.back(), next)) continue;
    const bool fits = std::none_of(way.begin(), way.end(), [&](const Edge* before) {
      const bool shares = std::any_of(before->besides.begin(), before->besides.end(), [&](const std::string& lock) {
        return std::binary_search(next.besides.begin(), next.besides.end(), lock);
      });
      return before->actor == next.actor || before->held.lock == next.held.lock || shares;
    });
    if (!fits) continue;
    way.push_back(&next);
    extend(way, most, names, found);
    way.pop_back();
  }
}

std::vector<record::OrderViolation> LockOrder::violations(const std::vector<std::string>& names,
                                                          std::size_t most) const {
  MutexLock guard(mutex_);
  std::vector<record::OrderViolation> found;
  for (const Edge& first : edges_) {
    std::vector<const Edge*> way{&first};
    extend(way, most, names, found);
  }
  return found;
}

}  // namespace lockstep::sync
