// deadlock.cc: the search for a cycle, and the end of its victim.
#include "kv/locking/deadlock.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "kv/base/spin.h"

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

/// Whether the whole table is worth a look. A transaction that enters a wait says so before it looks here; both are
/// sequentially consistent. So of the members of a cycle the last one to say so finds that the next one waits.
bool waits_for_one_that_waits(const LockTable& table, const LockOwner& owner) {
  bool found = false;
  table.at_wait(owner, [&found](const LockRequest& request) {
    LockTable::for_each_blocker(
        request, [&found](const LockRequest& blocker) { found |= blocker.owner->waits_in.load() != nullptr; });
  });
  return found;
}

std::string describe_cycle(const std::vector<Step>& path, const LockOwner& first) {
  const auto at = std::find_if(path.begin(), path.end(), [&](const Step& s) { return s.request->owner == &first; });
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const std::size_t position = (static_cast<std::size_t>(at - path.begin()) + i) % path.size();
    text += path[position].request->owner->name() + " -> ";
  }
  return text + first.name();
}

bool is_retry(const LockOwner& owner) noexcept { return owner.id != owner.age; }

/// True when the policy would rather give up `a`. Only while the table is frozen.
bool is_better_victim(VictimPolicy policy, LockOwner& a, LockOwner& b) noexcept {
  if (policy == VictimPolicy::closer) return false;  // the path begins with it
  if (policy == VictimPolicy::youngest) return b.is_older_than(a);
  if (is_retry(a) != is_retry(b)) return is_retry(b);
  if (is_retry(a)) return b.is_older_than(a);
  if (policy == VictimPolicy::oldest) return a.is_older_than(b);
  const std::size_t work_of_a = a.requests.size();
  const std::size_t work_of_b = b.requests.size();
  return work_of_a != work_of_b ? work_of_a < work_of_b : b.is_older_than(a);
}

}  // namespace

std::string_view name_of(VictimPolicy policy) noexcept {
  switch (policy) {
    case VictimPolicy::youngest:
      return "youngest";
    case VictimPolicy::oldest:
      return "oldest";
    case VictimPolicy::least_work:
      return "least work";
    case VictimPolicy::closer:
      return "closed the cycle";
  }
  return "?";
}

std::optional<DeadlockDetector::Found> DeadlockDetector::find_cycle(LockOwner& start) const {
  const std::vector<Step> path = path_back_to(start);
  if (path.empty()) return std::nullopt;
  Found found;
  for (const Step& step : path) {
    LockOwner* const owner = step.request->owner;
    found.report.cycle.push_back(LockTable::edge(*step.request, *step.blockers[step.next - 1]));
    found.report.labels.push_back(owner->name());
    if (!found.victim || is_better_victim(policy_, *owner, *found.victim)) found.victim = owner;
  }
  const LockRequest& given_up = *found.victim->waiting;
  found.where = found.victim->waits_in.load(std::memory_order_acquire);
  found.wait_number = found.victim->wait_number;
  found.report.victim = found.victim->id;
  const bool spares_retries = policy_ == VictimPolicy::oldest || policy_ == VictimPolicy::least_work;
  const bool only_retries = spares_retries && is_retry(*found.victim);
  found.report.why = only_retries ? "youngest of the retries" : name_of(policy_);
  found.error = Error{Fault::deadlock,
                      {},
                      fmt::format("{} gave up {}; cycle {}; victim: {}; a retry is safe", found.victim->name(),
                                  describe(given_up.head->key, given_up.wanted), describe_cycle(path, *found.victim),
                                  found.report.why)};
  return found;
}

std::vector<DeadlockReport> DeadlockDetector::deadlocks() const {
  MutexLock lock(latest_mutex_);
  std::vector<DeadlockReport> reports;
  for (std::uint64_t n = found_ < kRing ? 0 : found_ - kRing; n < found_; ++n) reports.push_back(latest_[n % kRing]);
  return reports;
}

std::optional<Error> DeadlockDetector::queued(LockTable& table, LockOwner& owner) {
  // Nobody can be waiting for it yet. A transaction that does later looks for the cycle then.
  if (owner.queued_empty_handed) return std::nullopt;
  if (!waits_for_one_that_waits(table, owner)) return std::nullopt;
  SpinningLock one_at_a_time(mutex_);
  // One wait can close several cycles: break all of them.
  while (true) {
    std::optional<Found> found;
    table.frozen([&] {
      if (owner.waiting) found = find_cycle(owner);
    });
    if (!found) return std::nullopt;
    if (observer_) observer_->on_deadlock(found->report);
    {
      MutexLock lock(latest_mutex_);
      latest_[found_++ % kRing] = found->report;
    }
    if (found->victim != &owner) {
      table.kill(*found->victim, *found->where, found->wait_number, std::move(found->error));
    } else if (table.withdraw(owner)) {
      return std::move(found->error);
    }
  }
}

}  // namespace lockstep::kv
