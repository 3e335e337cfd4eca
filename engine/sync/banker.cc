// banker.cc: the algorithm, and the manager that asks it.
#include "engine/sync/banker.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/actor/actor.h"
#include "engine/actor/run_state.h"
#include "engine/sync/lock_core.h"
#include "kv/base/check.h"

namespace lockstep {
namespace {

bool fits(const Units& wanted, const Units& free) noexcept {
  for (std::size_t type = 0; type < wanted.size(); ++type) {
    if (wanted[type] > free[type]) return false;
  }
  return true;
}

Units plus(Units a, const Units& b) {
  for (std::size_t type = 0; type < a.size(); ++type) a[type] += b[type];
  return a;
}

Units minus(Units a, const Units& b) {
  for (std::size_t type = 0; type < a.size(); ++type) a[type] -= b[type];
  return a;
}

/// What of `wanted` is not in `free`.
Units lacking(const Units& wanted, const Units& free) {
  Units short_of = minus(wanted, free);
  for (int& units : short_of) units = std::max(units, 0);
  return short_of;
}

}  // namespace

std::string to_string(const Units& units) { return fmt::format("({})", fmt::join(units, ", ")); }

Banker::Banker(Units total) : total_(std::move(total)), available_(total_) {
  LOCKSTEP_CHECK(!total_.empty() && well_formed(total_), "a banker of {}", to_string(total_));
}

bool Banker::well_formed(const Units& units) const noexcept {
  return units.size() == total_.size() && std::all_of(units.begin(), units.end(), [](int n) { return n >= 0; });
}

bool Banker::can_claim(const Units& claim) const noexcept { return well_formed(claim) && fits(claim, total_); }

int Banker::add_process(std::string name, Units claim) {
  LOCKSTEP_CHECK(can_claim(claim), "{} claims {} of {}", name, to_string(claim), to_string(total_));
  rows_.push_back({std::move(name), std::move(claim), Units::none(total_.size())});
  return processes() - 1;
}

Banker::Decision Banker::consider_blindly(int process, const Units& request) const {
  LOCKSTEP_CHECK(well_formed(request), "a request of {}", to_string(request));
  const Units may_ask = need(process);
  if (!fits(request, may_ask)) return {Answer::claim_exceeded, {}, lacking(request, may_ask)};
  if (!fits(request, available_)) return {Answer::wait_unavailable, {}, lacking(request, available_)};
  return {Answer::grant, {}, {}};
}

Banker::Decision Banker::consider(int process, const Units& request) const {
  Decision decision = consider_blindly(process, request);
  if (decision.answer != Answer::grant) return decision;
  decision.safety = check_of(minus(available_, request), process, request);
  if (!decision.safety.safe) decision.answer = Answer::refuse_unsafe;
  return decision;
}

Banker::Decision Banker::request(int process, const Units& request) {
  Decision decision = consider(process, request);
  if (decision.answer == Answer::grant) request_blindly(process, request);
  return decision;
}

Banker::Decision Banker::request_blindly(int process, const Units& request) {
  Decision decision = consider_blindly(process, request);
  if (decision.answer == Answer::grant) {
    Row& row = rows_[static_cast<std::size_t>(process)];
    available_ = minus(std::move(available_), request);
    row.allocation = plus(std::move(row.allocation), request);
  }
  return decision;
}

bool Banker::release(int process, const Units& units) {
  Row& row = rows_.at(static_cast<std::size_t>(process));
  if (!well_formed(units) || !fits(units, row.allocation)) return false;
  row.allocation = minus(std::move(row.allocation), units);
  available_ = plus(std::move(available_), units);
  return true;
}

Banker::Safety Banker::check() const { return check_of(available_, -1, {}); }

/// Safety with `available` free and `more` in the hands of `process` (-1: of no process). Goes round the table and lets
/// each process that can finish do so, until none is left or a whole round finishes none.
Banker::Safety Banker::check_of(const Units& available, int process, const Units& more) const {
  Safety safety;
  safety.left = available;
  std::vector<bool> finished(rows_.size(), false);
  for (std::size_t at = 0, idle = 0; idle < rows_.size(); at = (at + 1) % rows_.size()) {
    ++idle;
    if (finished[at]) continue;
    const Row& row = rows_[at];
    Units allocation = static_cast<int>(at) == process ? plus(row.allocation, more) : row.allocation;
    if (!fits(minus(row.claim, allocation), safety.left)) continue;
    safety.left = plus(std::move(safety.left), allocation);
    safety.sequence.push_back(static_cast<int>(at));
    finished[at] = true;
    idle = 0;
  }
  for (std::size_t at = 0; at < rows_.size(); ++at) {
    if (!finished[at]) safety.stuck.push_back(static_cast<int>(at));
  }
  safety.safe = safety.stuck.empty();
  if (safety.safe) safety.left.clear();
  return safety;
}

Units Banker::need(int process) const {
  const Row& row = rows_.at(static_cast<std::size_t>(process));
  return minus(row.claim, row.allocation);
}

bool Banker::holds_nothing(int process) const noexcept {
  const Units& allocation = rows_[static_cast<std::size_t>(process)].allocation;
  return std::all_of(allocation.begin(), allocation.end(), [](int units) { return units == 0; });
}

int Banker::process_named(std::string_view name) const noexcept {
  const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& each) { return each.name == name; });
  return row == rows_.end() ? -1 : static_cast<int>(row - rows_.begin());
}

std::string Banker::explain(const Safety& safety) const {
  std::string sequence;
  for (const int process : safety.sequence)
    sequence += fmt::format("{}{}", sequence.empty() ? "" : ", ", name(process));
  if (safety.safe) return fmt::format("safe: {}", sequence.empty() ? "nobody is there" : sequence);
  std::string stuck;
  for (const int process : safety.stuck) {
    stuck += fmt::format("{}{}", stuck.empty() ? "" : ", ", name(process));
  }
  return fmt::format("unsafe: with {} left{} nobody of {} could be sure to finish", to_string(safety.left),
                     sequence.empty() ? std::string() : fmt::format(" after {}", sequence), stuck);
}

std::string Banker::explain(int process, const Units& request, const Decision& decision) const {
  switch (decision.answer) {
    case Answer::grant:
      return explain(decision.safety);
    case Answer::wait_unavailable:
      return fmt::format("not available: {} asks for {}, {} is free", name(process), to_string(request),
                         to_string(available_));
    case Answer::refuse_unsafe:
      return explain(decision.safety);
    case Answer::claim_exceeded:
      break;
  }
  return fmt::format("{} asks for {}, but has {} of its claim {}", name(process), to_string(request),
                     to_string(allocation(process)), to_string(claim(process)));
}

namespace sync {
namespace {

std::vector<std::string> letters(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back(i < 26 ? std::string(1, static_cast<char>('A' + i)) : fmt::format("R{}", i + 1));
  }
  return names;
}

/// The index of the actor with that name in the run of `asking`; -1 when it has none.
int actor_named(const std::string& name, const Actor& asking) {
  for (const auto& actor : asking.run.actors) {
    if (actor->name == name) return actor->index;
  }
  return -1;
}

}  // namespace

ResourceManager::ResourceManager(std::string name, Units total, Policy policy, std::vector<std::string> types)
    : name_(std::move(name)),
      policy_(policy),
      types_(types.empty() ? letters(total.size()) : std::move(types)),
      banker_(std::move(total)) {
  GateLock lock(gate_);
  LOCKSTEP_CHECK(types_.size() == banker_.total().size(), "{} names {} types but has {}", name_, types_.size(),
                 banker_.total().size());
}

ResourceManager::~ResourceManager() {
  GateLock lock(gate_);
  LOCKSTEP_CHECK(queue_.empty(), "the resource manager {} is destroyed while {} waits for it", name_,
                 queue_.front()->actor().name);
}

void ResourceManager::declare(const std::string& actor, Units claim, Units allocation) {
  GateLock lock(gate_);
  LOCKSTEP_CHECK(banker_.process_named(actor) < 0, "{} has claimed from {} before", actor, name_);
  const int process = banker_.add_process(actor, std::move(claim));
  if (allocation.empty()) return;
  const Banker::Decision decision =
      policy_ == Policy::avoid ? banker_.request(process, allocation) : banker_.request_blindly(process, allocation);
  LOCKSTEP_CHECK(decision.answer == Banker::Answer::grant, "{} cannot begin with {}: {}", actor, to_string(allocation),
                 banker_.explain(process, allocation, decision));
}

Banker ResourceManager::state() const {
  GateLock lock(gate_);
  return banker_;
}

std::size_t ResourceManager::queue_length() const {
  GateLock lock(gate_);
  return queue_.size();
}

Banker::Decision ResourceManager::decide(const RequestOperation& operation) const {
  return policy_ == Policy::avoid ? banker_.consider(operation.process_, operation.units_)
                                  : banker_.consider_blindly(operation.process_, operation.units_);
}

void ResourceManager::grant(RequestOperation& operation, const Banker::Decision& decision) {
  banker_.request_blindly(operation.process_, operation.units_);
  operation.stage_ = RequestOperation::Stage::granted;
  operation.reason_ = policy_ == Policy::avoid ? banker_.explain(decision.safety) : std::string();
}

/// The request that has been overtaken too often for one of a process that holds nothing to be granted before it.
/// `ahead`: how many of the queue come before the latter.
const RequestOperation* ResourceManager::stands_back_for(int process, std::size_t ahead) const {
  if (!banker_.holds_nothing(process)) return nullptr;
  for (std::size_t i = 0; i < ahead; ++i) {
    if (queue_[i]->overtaken_ >= kOvertakenMax) return queue_[i];
  }
  return nullptr;
}

void ResourceManager::serve() {
  // One pass suffices: what a grant leaves is less, so it makes nothing possible that was not before.
  for (std::size_t i = 0; i < queue_.size();) {
    RequestOperation& operation = *queue_[i];
    const Banker::Decision decision = decide(operation);
    // An actor that a deadline or a stop has woken already is about to leave the queue, which serves those behind it.
    if (operation.is_woken() || decision.answer != Banker::Answer::grant ||
        stands_back_for(operation.process_, i) != nullptr) {
      ++i;
      continue;
    }
    for (std::size_t ahead = 0; ahead < i; ++ahead) ++queue_[ahead]->overtaken_;
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    grant(operation, decision);
    operation.wake();
  }
}

/// The first look at a request: grants, refuses or queues it.
Banker::Answer ResourceManager::ask(RequestOperation& operation) {
  using Stage = RequestOperation::Stage;
  const Actor& actor = operation.actor();
  const Units& units = operation.units_;
  operation.process_ = banker_.process_named(actor.name);
  if (operation.process_ < 0 || !banker_.well_formed(units)) {
    operation.stage_ = Stage::refused;
    operation.error = Error{Fault::invalid,
                            {},
                            fmt::format("{} cannot ask {} for {}: {}", actor.name, name_, to_string(units),
                                        operation.process_ < 0 ? "it has claimed nothing" : "wrong units")};
    return Banker::Answer::claim_exceeded;
  }
  const Banker::Decision decision = decide(operation);
  const RequestOperation* const first = stands_back_for(operation.process_, queue_.size());
  operation.reason_ = banker_.explain(operation.process_, units, decision);
  if (decision.answer == Banker::Answer::claim_exceeded) {
    operation.stage_ = Stage::refused;
    operation.error = Error{Fault::claim_exceeded, {}, operation.reason_};
  } else if (decision.answer == Banker::Answer::grant && first == nullptr) {
    for (RequestOperation* const each : queue_) ++each->overtaken_;
    grant(operation, decision);
  } else if (!operation.waits_) {
    operation.stage_ = Stage::refused;
  } else {
    if (decision.answer == Banker::Answer::grant) {
      operation.reason_ =
          fmt::format("stands back for {}, which was overtaken {} times", first->actor().name, first->overtaken_);
    }
    operation.waiting_.deadline = actor.run.clock().after(operation.limit_);
    operation.waiting_began_ = true;
    queue_.push_back(&operation);
    operation.stage_ = Stage::queued;
  }
  return decision.answer;
}

std::string ResourceManager::units_for_people(const Units& units) const {
  std::string text;
  for (std::size_t type = 0; type < units.size(); ++type) {
    if (units[type] != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", units[type], types_[type]);
  }
  return text.empty() ? "nothing" : text;
}

std::vector<Blocker> ResourceManager::blockers_of(const RequestOperation& operation) const {
  std::vector<Blocker> found;
  const Actor& asking = operation.actor();
  const Banker::Decision decision = decide(operation);
  if (decision.answer == Banker::Answer::wait_unavailable) {
    for (int process = 0; process < banker_.processes(); ++process) {
      if (process == operation.process_) continue;
      Units holds = banker_.allocation(process);
      for (std::size_t type = 0; type < holds.size(); ++type) {
        if (decision.short_of[type] == 0) holds[type] = 0;
      }
      if (std::all_of(holds.begin(), holds.end(), [](int units) { return units == 0; })) continue;
      found.push_back({.actor = actor_named(banker_.name(process), asking),
                       .object = name_,
                       .what = units_for_people(holds),
                       .any = true});
    }
  } else if (decision.answer == Banker::Answer::refuse_unsafe) {
    for (const int process : decision.safety.stuck) {
      if (process == operation.process_) continue;
      found.push_back({.actor = actor_named(banker_.name(process), asking),
                       .object = name_,
                       .what = fmt::format("banker: the claim of {}", banker_.name(process)),
                       .avoidance = true});
    }
  } else {
    const auto place = std::find(queue_.begin(), queue_.end(), &operation);
    const RequestOperation* const first =
        stands_back_for(operation.process_, static_cast<std::size_t>(place - queue_.begin()));
    if (first != nullptr) {
      found.push_back({.actor = first->actor().index,
                       .object = name_,
                       .what = fmt::format("overtaken {} times", first->overtaken_)});
    }
  }
  return found;
}

// -- claim --

bool ClaimOperation::attempt() {
  touch(actor(), manager_.name(), Touch::changes);
  GateLock lock(manager_.gate_);
  Banker& banker = manager_.banker_;
  const std::string& name = actor().name;
  if (!banker.well_formed(claim_) || banker.process_named(name) >= 0) {
    error = Error{Fault::invalid,
                  {},
                  fmt::format("{} cannot claim {} from {}: {}", name, to_string(claim_), manager_.name_,
                              banker.well_formed(claim_) ? "it has claimed before" : "wrong units")};
  } else if (!banker.can_claim(claim_)) {
    error = Error{Fault::claim_exceeded,
                  {},
                  fmt::format("{} claims {}, but {} has only {}", name, to_string(claim_), manager_.name_,
                              to_string(banker.total()))};
  } else {
    banker.add_process(name, claim_);
  }
  return true;
}

Description ClaimOperation::describe() const {
  return {.verb = "claim", .object = manager_.name(), .detail = to_string(claim_)};
}

// -- request --

RequestOperation::~RequestOperation() {
  if (!waiting_began_) return;
  GateLock lock(manager_.gate_);
  if (stage_ == Stage::queued) std::erase(manager_.queue_, this);
}

bool RequestOperation::attempt() {
  touch(actor(), manager_.name(), Touch::changes);
  Banker::Answer answer = Banker::Answer::grant;
  Stage stage = Stage::idle;
  std::string why_it_waits;
  {
    GateLock lock(manager_.gate_);
    if (stage_ == Stage::idle) {
      answer = manager_.ask(*this);
      if (stage_ == Stage::queued) {
        why_it_waits = reason_;
        touch_wait_begun(actor());
      }
    }
    stage = stage_;
  }
  if (!why_it_waits.empty()) {
    actor().emit({.kind = record::EventKind::note, .object = manager_.name(), .detail = std::move(why_it_waits)});
  }
  // A wait counts itself, by its blockers.
  if (stage == Stage::refused && answer == Banker::Answer::refuse_unsafe) {
    actor().run.avoidances.fetch_add(1, std::memory_order_relaxed);
  }
  return stage != Stage::queued;
}

void RequestOperation::cancel(Fault why) {
  touch(actor(), manager_.name(), Touch::changes);
  touch_wait_given_up(actor());
  GateLock lock(manager_.gate_);
  if (stage_ != Stage::queued) return;
  std::erase(manager_.queue_, this);
  stage_ = Stage::refused;
  // A request that stood back for it may go on now.
  manager_.serve();
  manager_.gate_.notify_all();
  error = Error{
      why,
      {},
      fmt::format("{} gave up its request of {} to {}; {}", actor().name, to_string(units_), manager_.name_, reason_)};
}

std::vector<Blocker> RequestOperation::blockers() {
  GateLock lock(manager_.gate_);
  return stage_ == Stage::queued ? manager_.blockers_of(*this) : std::vector<Blocker>();
}

bool RequestOperation::block(Actor&, Nanos span) {
  GateLock lock(manager_.gate_);
  if (stage_ == Stage::queued) manager_.gate_.sleep(std::min(span, kBlockSlice));
  return stage_ != Stage::queued;
}

Description RequestOperation::describe() const {
  return {.verb = waits_ ? "request" : "try_request", .object = manager_.name(), .detail = to_string(units_)};
}

// -- release --

bool GiveBackOperation::attempt() {
  touch(actor(), manager_.name(), Touch::changes);
  GateLock lock(manager_.gate_);
  Banker& banker = manager_.banker_;
  const int process = banker.process_named(actor().name);
  const Units units = units_.empty() && process >= 0 ? banker.allocation(process) : units_;
  if (process < 0 || !banker.release(process, units)) {
    error = Error{Fault::invalid,
                  {},
                  fmt::format("{} gives {} back to {}, but has {}", actor().name, to_string(units), manager_.name_,
                              process < 0 ? "claimed nothing" : to_string(banker.allocation(process)))};
    return true;
  }
  now_free_ = fmt::format("{} free", to_string(banker.available()));
  manager_.serve();
  manager_.gate_.notify_all();
  return true;
}

Description GiveBackOperation::describe() const {
  return {.verb = "release", .object = manager_.name(), .detail = units_.empty() ? "everything" : to_string(units_)};
}

}  // namespace sync
}  // namespace lockstep
