// tally_pack.cc: see tally_pack.h.
#include "engine/explore/tally_pack.h"

#include <algorithm>

namespace lockstep {

void pack(const Tally& tally, Packer& into) {
  into.put(tally.runs).put(tally.pruned).put(tally.left_out).put(tally.interleavings);
  into.put(static_cast<std::uint64_t>(tally.outcomes.size()));
  for (const auto& [key, outcome] : tally.outcomes) {
    into.put(key.first).put(key.second).put(outcome.verdict).put(outcome.runs).put(outcome.interleavings);
    into.put(outcome.preemptions).put(static_cast<std::uint64_t>(outcome.schedule.size()));
    for (const Choice& choice : outcome.schedule) into.put(static_cast<std::int32_t>(choice.actor)).put(choice.timeout);
  }
}

Tally unpack_tally(Unpacker& from) {
  Tally tally;
  from.get(tally.runs);
  from.get(tally.pruned);
  from.get(tally.left_out);
  from.get(tally.interleavings);
  for (auto left = from.get<std::uint64_t>(); left > 0 && from.ok(); --left) {
    OutcomeKey key;
    from.get(key.first);
    from.get(key.second);
    Outcome& outcome = tally.outcomes[key];
    from.get(outcome.verdict);
    from.get(outcome.runs);
    from.get(outcome.interleavings);
    from.get(outcome.preemptions);
    for (auto steps = from.get<std::uint64_t>(); steps > 0 && from.ok(); --steps) {
      const auto actor = from.get<std::int32_t>();
      const bool timeout = from.get<bool>();
      outcome.schedule.push_back({actor, timeout});
    }
  }
  return tally;
}

void Learnt::add(const Learnt& other) {
  for (const std::string& each : other.queues) {
    if (std::find(queues.begin(), queues.end(), each) == queues.end()) queues.push_back(each);
  }
}

Learnt learnt_by(Footprint& footprint, const ObjectNumbers& numbers) {
  Learnt learnt;
  std::vector<ObjectNumbers::Object> objects;
  numbers.copy_to(objects);
  for (const ObjectNumbers::Object& each : objects) {
    if (each.kind == 'l' && footprint.does_queue_matter(each.name)) learnt.queues.push_back(each.name);
  }
  return learnt;
}

void teach(const Learnt& learnt, Footprint& footprint) {
  for (const std::string& each : learnt.queues) footprint.queue_matters(each);
  (void)footprint.take_news();
}

void pack(const Learnt& learnt, Packer& into) {
  into.put(static_cast<std::uint64_t>(learnt.queues.size()));
  for (const std::string& each : learnt.queues) into.put(each);
}

Learnt unpack_learnt(Unpacker& from) {
  Learnt learnt;
  for (auto left = from.get<std::uint64_t>(); left > 0 && from.ok(); --left) learnt.queues.push_back(from.text());
  return learnt;
}

}  // namespace lockstep
