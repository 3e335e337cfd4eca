// lock_registry.cc: the copy of SQLite's locks and the queue of waiting sessions. Sessions are few (one an actor), so
// every question walks the list.
#include "engine/stores/sqlite/lock_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lockstep::sqlite {

namespace {

constexpr const char* kDatabase = "database";  // what every lock is on, for people

}  // namespace

const char* name_of(Level level, Journal journal) noexcept {
  const bool wal = journal == Journal::wal;
  switch (level) {
    case Level::none:
      return "no lock";
    case Level::shared:
      return wal ? "snapshot" : "SHARED lock";
    case Level::reserved:
      return wal ? "write lock" : "RESERVED lock";
    case Level::pending:
      return "PENDING lock";
    case Level::exclusive:
      return wal ? "write lock" : "EXCLUSIVE lock";
  }
  return "";
}

bool conflicts(Journal journal, Level wanted, Level held) noexcept {
  if (journal == Journal::wal) return wanted >= Level::reserved && held >= Level::reserved;
  switch (wanted) {
    case Level::none:
      return false;
    case Level::shared:
      return held >= Level::pending;
    case Level::reserved:
      return held >= Level::reserved;
    case Level::pending:
    case Level::exclusive:
      return held >= Level::shared;
  }
  return false;
}

LockRegistry::Member& LockRegistry::join(int actor, std::string name) {
  MutexLock lock(mutex_);
  Member& member = members_.emplace_back();
  member.actor = actor;
  member.name = std::move(name);
  return member;
}

void LockRegistry::leave(Member& member) noexcept {
  MutexLock lock(mutex_);
  members_.remove_if([&member](const Member& other) { return &other == &member; });
  ++epoch_;
  wake_who_can_go();
}

std::uint64_t LockRegistry::begin_step(Member& member, Level may_take) noexcept {
  MutexLock lock(mutex_);
  member.may_take = may_take;
  member.step = ++last_step_;
  member.waiter = nullptr;
  return epoch_;
}

void LockRegistry::end_step(Member& member, Level held) noexcept {
  MutexLock lock(mutex_);
  member.may_take = Level::none;
  member.held = held;
  forget_request(member);
  ++epoch_;
  wake_who_can_go();
}

LockRegistry::Queued LockRegistry::queue(Member& member, Level held, Level wanted, std::uint64_t epoch,
                                         Waiter& waiter) noexcept {
  MutexLock lock(mutex_);
  member.may_take = Level::none;
  member.held = held;
  const bool is_held = held_by_another(member, wanted);
  if (!is_held && epoch != kNoEpoch && epoch != epoch_) return Queued::again;
  const bool known = is_held || about_to_be_taken(member, wanted, last_step_);
  if (member.ticket == 0) member.ticket = ++last_ticket_;
  member.wanted = wanted;
  member.woken = false;
  member.queued_at = last_step_;
  // The refused step may have held a lock for a moment, and the member may have stood in front of others that can go.
  // The member itself is not queued yet, so this does not wake it for what it has just found.
  ++epoch_;
  wake_who_can_go();
  member.waiter = &waiter;
  return known ? Queued::yes : Queued::foreign;
}

void LockRegistry::give_up(Member& member) noexcept {
  MutexLock lock(mutex_);
  forget_request(member);
  wake_who_can_go();
}

void LockRegistry::forget_request(Member& member) noexcept {
  member.waiter = nullptr;
  member.wanted = Level::none;
  member.woken = false;
  member.ticket = 0;
}

bool LockRegistry::held_by_another(const Member& member, Level wanted) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const Member& other) { return &other != &member && conflicts(journal_, wanted, other.held); });
}

/// By a step that began no later than `last_step`.
bool LockRegistry::about_to_be_taken(const Member& member, Level wanted, std::uint64_t last_step) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
    return &other != &member && other.step <= last_step && conflicts(journal_, wanted, other.may_take);
  });
}

/// To one that has been woken and has not finished yet.
bool LockRegistry::promised_to_another(const Member& member) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
    return &other != &member && other.woken && conflicts(journal_, member.wanted, other.wanted);
  });
}

void LockRegistry::wake_who_can_go() noexcept {
  for (;;) {
    Member* next = nullptr;
    for (Member& member : members_) {
      if (member.waiter == nullptr || (next != nullptr && next->ticket < member.ticket)) continue;
      if (held_by_another(member, member.wanted) || about_to_be_taken(member, member.wanted, member.queued_at) ||
          promised_to_another(member)) {
        continue;
      }
      next = &member;
    }
    if (next == nullptr) return;
    Waiter* waiter = std::exchange(next->waiter, nullptr);
    next->woken = true;
    waiter->wake();
  }
}

std::vector<Blocker> LockRegistry::blockers(const Member& member) const {
  MutexLock lock(mutex_);
  std::vector<Blocker> found;
  if (member.waiter == nullptr) return found;
  for (const Member& other : members_) {
    if (&other == &member) continue;
    if (conflicts(journal_, member.wanted, other.held)) {
      found.push_back({other.actor, kDatabase, name_of(other.held, journal_), false});
    } else if (other.woken && conflicts(journal_, member.wanted, other.wanted)) {
      found.push_back({other.actor, kDatabase, "next in the queue", false});
    }
  }
  return found;
}

std::string LockRegistry::blockers_in_words(const Member& member, Level wanted) const {
  MutexLock lock(mutex_);
  std::vector<std::string> words;
  for (const Member& other : members_) {
    if (&other == &member || !conflicts(journal_, wanted, other.held)) continue;
    words.push_back(fmt::format("{} ({})", other.name, name_of(other.held, journal_)));
  }
  return words.empty() ? "another process" : fmt::format("{}", fmt::join(words, ", "));
}

std::vector<Blocker> LockRegistry::holders() const {
  MutexLock lock(mutex_);
  std::vector<Blocker> found;
  for (const Member& member : members_) {
    if (member.held == Level::none) continue;
    std::string what = name_of(member.held, journal_);
    // With WAL a writer also reads from a snapshot of its own.
    if (journal_ == Journal::wal && member.held > Level::shared)
      what = std::string(name_of(Level::shared, journal_)) + ", " + what;
    found.push_back({member.actor, kDatabase, std::move(what), false});
  }
  return found;
}

}  // namespace lockstep::sqlite
