// events.cc: see events.h.
#include "engine/explore/search/events.h"

#include <algorithm>

#include "kv/base/random.h"

namespace lockstep {
namespace {

constexpr std::size_t kEventsMost = 300'000;

std::uint64_t key_of(std::uint64_t own_before, Choice choice) {
  return mixed(own_before + static_cast<std::uint64_t>(2 * choice.actor + (choice.timeout ? 1 : 0)));
}

bool ran(const Step& step, int actor) { return (step.actors >> static_cast<unsigned>(actor) & 1U) != 0; }

}  // namespace

void Events::note(const Trace& trace) {
  if (events_.size() >= kEventsMost) return;
  const std::size_t last = trace.size() - 1;
  const Step& step = trace[last];
  const auto [place, is_new] = events_.try_emplace(step.event);
  if (!is_new) return;
  place->second.step = step;
  for (const std::uint32_t cause : trace.adjacent(last)) place->second.causes.push_back(trace[cause].event);
  const int own = trace.own_before(last);
  const std::uint64_t before = own < 0 ? 0 : trace[static_cast<std::size_t>(own)].event;
  next_[key_of(before, step.choice)].push_back(step.event);
}

void Events::tell(const Trace& trace, std::size_t depth, const Footprint& objects, Way& way) const {
  Step& guess = way.back();
  if (!guess.is_guess) return;
  Place place;
  place.reserve(depth + way.size());
  for (std::size_t i = 0; i < depth; ++i) place.push_back(&trace[i]);
  for (std::size_t i = 0; i + 1 < way.size(); ++i) place.push_back(&way[i]);
  const auto own =
      std::find_if(place.rbegin(), place.rend(), [&](const Step* step) { return ran(*step, guess.choice.actor); });
  const auto known = next_.find(key_of(own == place.rend() ? 0 : (*own)->event, guess.choice));
  if (known == next_.end()) return;
  for (const std::uint64_t each : known->second) {
    const Event& event = events_.at(each);
    if (!fits(event, place, objects)) continue;
    guess = event.step;
    return;
  }
}

/// True when all causes of the event stand in the place, and nothing else there conflicts with it.
bool Events::fits(const Event& event, const Place& place, const Footprint& objects) const {
  const auto stands = [&place](std::uint64_t cause) {
    return std::any_of(place.begin(), place.end(), [cause](const Step* step) { return step->event == cause; });
  };
  if (!std::all_of(event.causes.begin(), event.causes.end(), stands)) return false;
  Place causes;  // of those that conflict with it; what conflicts with one of them in its turn is a cause as well
  const auto leads_to_one = [&](const Step* step) {
    return std::any_of(causes.begin(), causes.end(),
                       [&](const Step* cause) { return dependent(*step, *cause, objects); });
  };
  for (auto each = place.rbegin(); each != place.rend(); ++each) {
    if (!dependent(**each, event.step, objects)) continue;
    const bool is_next = std::find(event.causes.begin(), event.causes.end(), (*each)->event) != event.causes.end();
    if (!is_next && !leads_to_one(*each) && !is_cause(event, (*each)->event)) return false;
    causes.push_back(*each);
  }
  return true;
}

/// True when the event `of` must come before `event`.
bool Events::is_cause(const Event& event, std::uint64_t of) const {
  std::vector<std::uint64_t> open = event.causes, seen;
  while (!open.empty()) {
    const std::uint64_t next = open.back();
    open.pop_back();
    if (next == of) return true;
    if (std::find(seen.begin(), seen.end(), next) != seen.end()) continue;
    seen.push_back(next);
    const auto known = events_.find(next);
    if (known == events_.end()) return false;
    open.insert(open.end(), known->second.causes.begin(), known->second.causes.end());
  }
  return false;
}

}  // namespace lockstep
