// level.cc: the names of levels, and which implies which.
#include "engine/check/level.h"

#include <array>
#include <utility>

namespace lockstep::check {
namespace {

constexpr std::array<std::pair<Level, std::string_view>, 6> kLevels = {{{Level::read_uncommitted, "read-uncommitted"},
                                                                        {Level::read_committed, "read-committed"},
                                                                        {Level::read_atomic, "read-atomic"},
                                                                        {Level::repeatable_read, "repeatable-read"},
                                                                        {Level::snapshot, "snapshot-isolation"},
                                                                        {Level::serializable, "serializable"}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kAliases = {{{"PL-1", "read-uncommitted"},
                                                                                    {"PL-2", "read-committed"},
                                                                                    {"PL-2.99", "repeatable-read"},
                                                                                    {"PL-SI", "snapshot-isolation"},
                                                                                    {"PL-3", "serializable"},
                                                                                    {"snapshot", "snapshot-isolation"},
                                                                                    {"SI", "snapshot-isolation"},
                                                                                    {"SER", "serializable"}}};

constexpr std::string_view kSession = "strong-session-";
constexpr std::string_view kStrong = "strong-";

std::string_view plain_name(Level level) { return kLevels[static_cast<std::size_t>(level)].second; }

std::optional<Level> plain_level(std::string_view name) {
  for (const auto& [alias, meant] : kAliases)
    if (alias == name) name = meant;
  for (const auto& [level, its_name] : kLevels)
    if (its_name == name) return level;
  return std::nullopt;
}

bool implies(Level strong, Level weak) {
  switch (weak) {
    case Level::read_uncommitted:
      return true;
    case Level::read_committed:
      return strong >= weak;
    case Level::read_atomic:
      return strong == weak || strong == Level::snapshot || strong == Level::serializable;
    case Level::repeatable_read:
    case Level::snapshot:
      return strong == weak || strong == Level::serializable;
    case Level::serializable:
      break;
  }
  return strong == Level::serializable;
}

}  // namespace

std::string name_of(Claim claim) {
  if (claim.ordering == Ordering::real_time && claim.level == Level::serializable) return "strict-serializable";
  const std::string_view prefix = claim.ordering == Ordering::none      ? std::string_view()
                                  : claim.ordering == Ordering::session ? kSession
                                                                        : kStrong;
  return std::string(prefix) + std::string(plain_name(claim.level));
}

std::optional<Claim> claim_named(std::string_view name) {
  if (name == "strict-serializable" || name == "strict" || name == "PL-SS")
    return Claim{Level::serializable, Ordering::real_time};
  Ordering ordering = Ordering::none;
  if (name.starts_with(kSession)) {
    ordering = Ordering::session;
    name.remove_prefix(kSession.size());
  } else if (name.starts_with(kStrong)) {
    ordering = Ordering::real_time;
    name.remove_prefix(kStrong.size());
  }
  const auto level = plain_level(name);
  if (!level) return std::nullopt;
  return Claim{*level, ordering};
}

const std::vector<Claim>& all_claims() {
  static const std::vector<Claim> all = [] {
    std::vector<Claim> list;
    for (const Ordering ordering : {Ordering::none, Ordering::session, Ordering::real_time})
      for (const auto& [level, name] : kLevels) list.push_back({level, ordering});
    return list;
  }();
  return all;
}

bool implies(Claim strong, Claim weak) noexcept {
  return strong.ordering >= weak.ordering && implies(strong.level, weak.level);
}

}  // namespace lockstep::check
