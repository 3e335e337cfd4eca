// deadlock.cc: the search for a cycle, and the end of its victim.
#include "kv/deadlock.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace lockstep::kv {
namespace {

/// One transaction on the path of the search, with those that it waits for.
struct Step {
  const LockRequest* request;
  std::vector<const LockRequest*> blockers;
  std::size_t next = 0;  // the blocker to follow next; the one before it is on the path
};

Step step_of(const LockRequest& request) {
  Step step{&request, {}, 0};
  LockTable::for_each_blocker(request, [&step](const LockRequest& blocker) { step.blockers.push_back(&blocker); });
  return step;
}

/// Depth first, in the order of the queues, so that the same table gives the same cycle. The path is the cycle when the
/// last step's current blocker belongs to the first step's owner.
std::vector<Step> path_back_to(const LockOwner& start) {
  std::vector<Step> path{step_of(*start.waiting)};
  std::unordered_set<const LockOwner*> seen;
  while (!path.empty()) {
    Step& step = path.back();
    if (step.next == step.blockers.size()) {
      path.pop_back();
      continue;
    }
    const LockOwner* const blocker = step.blockers[step.next++]->owner;
    if (blocker == &start) return path;
    if (blocker->waiting && seen.insert(blocker).second) path.push_back(step_of(*blocker->waiting));
  }
  return path;
}

std::string describe_cycle(const std::vector<Step>& path, const LockOwner& first) {
  const auto at = std::find_if(path.begin(), path.end(), [&](const Step& s) { return s.request->owner == &first; });
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::size_t position = (static_cast<std::size_t>(at - path.begin()) + i) % path.size();
    text += path[position].request->owner->label + " -> ";
  }
  return text + first.label;
}

}  // namespace

std::optional<DeadlockDetector::Found> DeadlockDetector::find_cycle(LockOwner& start) {
  const std::vector<Step> path = path_back_to(start);
  if (path.empty()) return std::nullopt;
  Found found;
  for (const Step& step : path) {
    LockOwner* const owner = step.request->owner;
    found.report.cycle.push_back(LockTable::edge(*step.request, *step.blockers[step.next - 1]));
    // Two attempts may name the same first one; then the later of them is the younger.
    if (!found.victim || std::pair(owner->age, owner->id) > std::pair(found.victim->age, found.victim->id))
      found.victim = owner;
  }
  const LockRequest& given_up = *found.victim->waiting;
  found.where = found.victim->waits_in.load(std::memory_order_acquire);
  found.wait_number = found.victim->wait_number;
  found.report.victim = found.victim->id;
  found.report.why = "youngest";
  found.error = Error{Fault::deadlock,
                      {},
                      fmt::format("{} gave up {}; cycle {}; victim: youngest; a retry is safe", found.victim->label,
                                  describe(given_up.head->key, given_up.wanted), describe_cycle(path, *found.victim))};
  return found;
}

std::optional<Error> DeadlockDetector::queued(LockTable& table, LockOwner& owner) {
  // Nobody can be waiting for it yet. Whoever does later looks for the cycle then.
  if (owner.queued_empty_handed) return std::nullopt;
  MutexLock one_at_a_time(mutex_);
  // One wait can close several cycles: break all of them.
  while (true) {
    std::optional<Found> found;
    table.frozen([&] {
      if (owner.waiting) found = find_cycle(owner);
    });
    if (!found) return std::nullopt;
    if (observer_) observer_->on_deadlock(found->report);
    if (found->victim != &owner) {
      table.kill(*found->victim, *found->where, found->wait_number, std::move(found->error));
    } else if (table.withdraw(owner)) {
      return std::move(found->error);
    }
  }
}

}  // namespace lockstep::kv
