// scripted.cc: an order of steps, written down.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/suggest.h"
#include "engine/schedule/schedule.h"

namespace lockstep {
namespace {

constexpr std::string_view kTimeout = ":timeout";

std::string join(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

class Scripted final : public Schedule {
 public:
  Scripted(std::vector<Choice> order, bool strict) : order_(std::move(order)), strict_(strict) {}

  bool may_choose_timeout() const noexcept override { return at_ < order_.size() && order_[at_].timeout; }

  Result<Choice> next(const std::vector<Candidate>& candidates) override {
    while (at_ < order_.size()) {
      const Choice choice = order_[at_++];
      const Candidate& named = candidates[static_cast<std::size_t>(choice.actor)];
      if (choice.timeout ? named.may_time_out : named.enabled) {
        last_ = named.actor;
        return choice;
      }
      if (strict_) return refuse(choice, named, candidates);
    }
    // After the script: turns, beginning with the actor that comes after the last.
    const int count = static_cast<int>(candidates.size());
    for (int i = 1; i <= count; ++i) {
      const int actor = (last_ + i) % count;
      if (candidates[static_cast<std::size_t>(actor)].enabled) {
        last_ = actor;
        return Choice{actor, false};
      }
    }
    return Error{Fault::internal, {}, "a schedule was asked although nobody can go"};
  }

 private:
  Error refuse(Choice choice, const Candidate& named, const std::vector<Candidate>& candidates) const {
    std::vector<std::string> allowed;
    for (const Candidate& candidate : candidates) {
      if (candidate.enabled) allowed.emplace_back(candidate.name);
      if (candidate.may_time_out) allowed.push_back(name_of({candidate.actor, true}, std::string(candidate.name)));
    }
    const char* const why = named.finished   ? "has finished"
                            : choice.timeout ? "does not wait with a deadline"
                                             : "waits and cannot go";
    return {Fault::invalid,
            {},
            fmt::format("schedule, position {}: {} {}; allowed here: {}", at_, named.name, why, join(allowed))};
  }

  const std::vector<Choice> order_;
  const bool strict_;
  std::size_t at_ = 0;
  int last_ = -1;
};

}  // namespace

std::string name_of(const Choice& choice, const std::string& actor) {
  return choice.timeout ? actor + std::string(kTimeout) : actor;
}

Result<std::vector<Choice>> choices_named(std::string_view text, const std::vector<std::string>& actors) {
  std::vector<Choice> order;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find_first_of(" ,\t\n", at), text.size());
    std::string_view word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (word == "…" || word == "...") break;
    const bool timeout = word.ends_with(kTimeout);
    if (timeout) word.remove_suffix(kTimeout.size());
    const auto found = std::find(actors.begin(), actors.end(), word);
    if (found == actors.end()) {
      return Error{Fault::invalid,
                   {},
                   fmt::format("schedule, position {}: {}", order.size() + 1, unknown_name("actor", word, actors))};
    }
    order.push_back({static_cast<int>(found - actors.begin()), timeout});
  }
  return order;
}

Result<std::unique_ptr<Schedule>> scripted(std::string_view text, const std::vector<std::string>& actors, bool strict) {
  Result<std::vector<Choice>> order = choices_named(text, actors);
  if (!order) return order.error();
  return std::unique_ptr<Schedule>(std::make_unique<Scripted>(std::move(*order), strict));
}

}  // namespace lockstep
