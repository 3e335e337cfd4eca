// workload.cc: building a workload, and what invariants ask.
#include "engine/scenario/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lockstep::load {
namespace {

std::int64_t number_of(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::string key_of(std::string_view prefix, std::uint64_t number) { return fmt::format("{}{:07}", prefix, number); }

State numbered(std::string_view prefix, std::uint64_t rows, std::string_view value) {
  State state;
  for (std::uint64_t i = 0; i < rows; ++i) state.emplace_back(key_of(prefix, i), value);
  return state;
}

std::int64_t Settled::total(std::string_view prefix) const {
  std::int64_t sum = 0;
  for (const auto& [key, value] : state) sum += key.starts_with(prefix) ? number_of(value) : 0;
  return sum;
}

std::int64_t Settled::below_zero(std::string_view prefix) const {
  return std::count_if(state.begin(), state.end(),
                       [&](const auto& row) { return row.first.starts_with(prefix) && number_of(row.second) < 0; });
}

std::int64_t Settled::rows(std::string_view prefix) const {
  return std::count_if(state.begin(), state.end(), [&](const auto& row) { return row.first.starts_with(prefix); });
}

bool LoadPattern::runs_on(std::string_view store) const {
  return stores.empty() || std::find(stores.begin(), stores.end(), store) != stores.end();
}

bool LoadPattern::is_unsafe(std::string_view store, std::string_view protocol) const {
  return std::any_of(unsafe.begin(), unsafe.end(), [&](const std::string& place) {
    return place == fmt::format("{}/{}", store, protocol) || place == fmt::format("{}/*", store);
  });
}

Workload Workload::rows(std::uint64_t count, std::function<State(const Shape&)> given) && {
  rows_ = count;
  given_ = std::move(given);
  return std::move(*this);
}

Workload Workload::takes_rows_in_order() && {
  chooses_rows_ = false;
  return std::move(*this);
}

Workload Workload::reads(int percent) && {
  read_percent_ = percent;
  return std::move(*this);
}

Workload Workload::pattern(std::string pattern, std::string summary, std::function<Task<>(LoadContext&)> body) && {
  patterns_.push_back({.name = std::move(pattern), .summary = std::move(summary), .body = std::move(body)});
  return std::move(*this);
}

Workload Workload::only_on(std::vector<std::string> stores) && {
  patterns_.back().stores = std::move(stores);
  return std::move(*this);
}

Workload Workload::unsafe_at(std::vector<std::string> places) && {
  patterns_.back().unsafe = std::move(places);
  return std::move(*this);
}

Workload Workload::holds(std::string text, Invariant check) && {
  invariants_.push_back({std::move(text), std::move(check)});
  return std::move(*this);
}

const LoadPattern* Workload::pattern_named(std::string_view pattern) const noexcept {
  const auto found =
      std::find_if(patterns_.begin(), patterns_.end(), [pattern](const LoadPattern& p) { return p.name == pattern; });
  return found == patterns_.end() ? nullptr : &*found;
}

}  // namespace lockstep::load
