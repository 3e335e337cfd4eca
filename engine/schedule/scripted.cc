// scripted.cc: an order of steps, written down.
#include <fmt/format.h>

#include <algorithm>

#include "engine/schedule/schedule.h"
#include "engine/suggest.h"

namespace lockstep {
namespace {

std::string join(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

class Scripted final : public Schedule {
 public:
  Scripted(std::vector<int> order, bool strict) : order_(std::move(order)), strict_(strict) {}

  Result<int> next(const std::vector<Candidate>& candidates) override {
    while (at_ < order_.size()) {
      const Candidate& named = candidates[static_cast<std::size_t>(order_[at_])];
      ++at_;
      if (named.enabled) {
        last_ = named.actor;
        return named.actor;
      }
      if (strict_) return refuse(named, candidates);
    }
    // After the script: turns, beginning with whoever comes after the last.
    const int count = static_cast<int>(candidates.size());
    for (int i = 1; i <= count; ++i) {
      const int actor = (last_ + i) % count;
      if (candidates[static_cast<std::size_t>(actor)].enabled) {
        last_ = actor;
        return actor;
      }
    }
    return Error{Fault::internal, {}, "a schedule was asked although nobody can go"};
  }

 private:
  Error refuse(const Candidate& named, const std::vector<Candidate>& candidates) const {
    std::vector<std::string> allowed;
    for (const Candidate& candidate : candidates) {
      if (candidate.enabled) allowed.push_back(candidate.name);
    }
    return {Fault::invalid,
            {},
            fmt::format("schedule, position {}: {} {}; allowed here: {}", at_, named.name,
                        named.finished ? "has finished" : "waits and cannot go", join(allowed))};
  }

  const std::vector<int> order_;
  const bool strict_;
  std::size_t at_ = 0;
  int last_ = -1;
};

}  // namespace

Result<std::unique_ptr<Schedule>> scripted(std::string_view text, const std::vector<std::string>& actors, bool strict) {
  std::vector<int> order;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find_first_of(" ,\t\n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (word == "…" || word == "...") break;
    const auto found = std::find(actors.begin(), actors.end(), word);
    if (found == actors.end()) {
      return Error{Fault::invalid,
                   {},
                   fmt::format("schedule, position {}: {}", order.size() + 1, unknown_name("actor", word, actors))};
    }
    order.push_back(static_cast<int>(found - actors.begin()));
  }
  return std::unique_ptr<Schedule>(std::make_unique<Scripted>(std::move(order), strict));
}

}  // namespace lockstep
