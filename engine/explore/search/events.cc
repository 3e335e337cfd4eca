// events.cc: see events.h.
#include "engine/explore/search/events.h"

#include <algorithm>

#include "kv/base/random.h"

namespace lockstep {
namespace {

constexpr std::size_t kEventsMost = 300'000;

std::uint64_t key_of_event(std::uint64_t own_before, Choice choice) {
  return mixed(own_before + static_cast<std::uint64_t>(2 * choice.actor + (choice.timeout ? 1 : 0)));
}

bool ran_code_of(const Step& step, int actor) { return (step.actors >> static_cast<unsigned>(actor) & 1U) != 0; }

bool passes_a_lock_alone(const Step& step) {
  return !step.choice.timeout && step.accesses.size() == 1 && step.accesses.front().gate.needs_open &&
         step.accesses.front().touch == Touch::changes && step.actors == 1U << static_cast<unsigned>(step.choice.actor);
}

}  // namespace

void Events::note(const Trace& trace) {
  const std::size_t last = trace.size() - 1;
  const Step& step = trace[last];
  if (count_ >= kEventsMost || !passes_a_lock_alone(step)) return;
  const int own = trace.own_before(last);
  const std::uint64_t before = own < 0 ? 0 : trace[static_cast<std::size_t>(own)].event;
  std::vector<PassedLock>& known = events_[key_of_event(before, step.choice)];
  if (std::any_of(known.begin(), known.end(), [&](const PassedLock& each) { return each.step.event == step.event; }))
    return;
  ++count_;
  known.push_back({step, {}});
  for (const std::uint32_t cause : trace.adjacent(last)) known.back().causes.push_back(trace[cause].event);
}

void Events::tell(const Trace& trace, std::size_t depth, const Footprint& objects, Way& way) const {
  Step& guess = way.back();
  if (!guess.is_guess || events_.empty()) return;
  Place place;
  place.reserve(depth + way.size());
  for (std::size_t i = 0; i < depth; ++i) place.push_back(&trace[i]);
  for (std::size_t i = 0; i + 1 < way.size(); ++i) place.push_back(&way[i]);
  const auto own = std::find_if(place.rbegin(), place.rend(),
                                [&](const Step* step) { return ran_code_of(*step, guess.choice.actor); });
  const auto known = events_.find(key_of_event(own == place.rend() ? 0 : (*own)->event, guess.choice));
  if (known == events_.end()) return;
  const auto fitting = std::find_if(known->second.begin(), known->second.end(),
                                    [&](const PassedLock& each) { return fits(each, place, objects); });
  if (fitting != known->second.end()) guess = fitting->step;
}

/// True when all causes of the event stand in the place, and nothing else there conflicts with it.
bool Events::fits(const PassedLock& event, const Place& place, const Footprint& objects) {
  const auto stands = [&place](std::uint64_t cause) {
    return std::any_of(place.begin(), place.end(), [cause](const Step* step) { return step->event == cause; });
  };
  if (!std::all_of(event.causes.begin(), event.causes.end(), stands)) return false;
  Place causes;  // the latest first, with those of causes
  for (auto each = place.rbegin(); each != place.rend(); ++each) {
    const bool is_next = std::find(event.causes.begin(), event.causes.end(), (*each)->event) != event.causes.end();
    const bool is_cause = is_next || std::any_of(causes.begin(), causes.end(),
                                                 [&](const Step* cause) { return dependent(**each, *cause, objects); });
    if (is_cause) causes.push_back(*each);
    if (!is_cause && dependent(**each, event.step, objects)) return false;
  }
  return true;
}

}  // namespace lockstep
