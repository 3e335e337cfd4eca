// names.cc: the names of the enumerators of a recording, each in one table. A name is part of the file format: a new
// one is added at the end, and none is ever changed.
#include <algorithm>
#include <array>

#include "engine/record/run.h"

namespace lockstep::record {
namespace {

constexpr std::array<std::string_view, 13> kEventKinds = {"request", "wait",   "grant",  "fault", "release",
                                                          "cycle",   "retry",  "finish", "time",  "invariant",
                                                          "note",    "figure", "notice"};
constexpr std::array<std::string_view, 10> kVerdicts = {"clean",   "deadlock", "abort", "timeout", "anomaly",
                                                        "avoided", "starved",  "hung",  "error",   "crashed"};
constexpr std::array<std::string_view, 4> kEndings = {"complete", "stuck", "interrupted", "unavailable"};

static_assert(kEventKinds.size() == static_cast<std::size_t>(EventKind::notice) + 1);
static_assert(kVerdicts.size() == static_cast<std::size_t>(kLastVerdict) + 1);
static_assert(kEndings.size() == static_cast<std::size_t>(Ending::unavailable) + 1);

template <class Enum, std::size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, Enum value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  LOCKSTEP_CHECK(index < N, "enumerator {} of {}", index, N);
  return names[index];
}

template <class Enum, std::size_t N>
std::optional<Enum> named_in(const std::array<std::string_view, N>& names, std::string_view name) noexcept {
  const auto* found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::string_view name_of(EventKind kind) noexcept { return name_in(kEventKinds, kind); }
std::optional<EventKind> event_kind_named(std::string_view name) noexcept {
  return named_in<EventKind>(kEventKinds, name);
}

std::string_view fact_of(const Event& event, std::string_view name) noexcept {
  for (const auto& [each, value] : event.facts) {
    if (each == name) return value;
  }
  return {};
}

std::string_view name_of(Verdict verdict) noexcept { return name_in(kVerdicts, verdict); }
std::optional<Verdict> verdict_named(std::string_view name) noexcept { return named_in<Verdict>(kVerdicts, name); }

std::string_view name_of(Ending ending) noexcept { return name_in(kEndings, ending); }
std::optional<Ending> ending_named(std::string_view name) noexcept { return named_in<Ending>(kEndings, name); }

}  // namespace lockstep::record
