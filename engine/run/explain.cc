// explain.cc: see explain.h.
#include "engine/run/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

namespace lockstep {
namespace {

using record::Event;
using record::EventKind;
using record::Verdict;

constexpr std::size_t kTextMost = 60;      ///< of a statement or a value
constexpr std::size_t kSentencesMost = 2;  ///< of one kind

std::string cut(std::string_view text) {
  return text.size() <= kTextMost ? std::string(text) : std::string(text.substr(0, kTextMost)) + "…";
}

bool is_write(std::string_view verb) {
  constexpr std::array<std::string_view, 6> kWrites = {"write", "insert", "write_if", "add", "add_if", "erase"};
  return std::find(kWrites.begin(), kWrites.end(), verb) != kWrites.end();
}

bool is_read(std::string_view verb) { return verb == "read" || verb == "read_for_update"; }

/// The events of a run, and the names in them.
class Story {
 public:
  explicit Story(const record::Run& run) : run_(run), events_(run.events) {}

  std::string name(int actor) const {
    return actor < 0 ? std::string("somebody outside of the run") : run_.actors[static_cast<std::size_t>(actor)];
  }

  std::string names(const std::vector<int>& actors) const {
    std::vector<std::string> all;
    for (const int each : actors) {
      if (std::string one = name(each); std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
    }
    return fmt::format("{}", fmt::join(all, " and "));
  }

  /// "B", or of a statement "update accounts …".
  static std::string what(const Event& event) {
    if (event.verb == "execute") return fmt::format("“{}”", cut(event.object));
    if (event.object.empty()) return event.verb;
    return cut(event.object);
  }

  /// "T1 wants B, which T2 has".
  std::string wait(const Event& event) const {
    const std::string who = name(event.actor);
    if (event.others.empty()) return fmt::format("{} wants {}, which nobody is left to give", who, what(event));
    const std::string whom = names(event.others);
    const bool itself = event.others.size() == 1 && event.others.front() == event.actor;
    if (itself) return fmt::format("{} wants {}, which it has itself", who, what(event));
    if (event.verb == "execute" || event.verb == "commit" || event.verb == "begin") {
      return fmt::format("{} waits in {} for {}{}", who, what(event), whom,
                         event.detail.empty() ? "" : fmt::format(" ({})", cut(event.detail)));
    }
    if (event.detail.starts_with("nobody else")) {
      return fmt::format("{} wants {}, which only {} is left to give", who, what(event), whom);
    }
    if (event.detail.starts_with("queued")) {
      return fmt::format("{} wants {} and stands behind {} in its queue", who, what(event), whom);
    }
    return fmt::format("{} wants {}, which {} {}", who, what(event), whom, event.others.size() == 1 ? "has" : "have");
  }

  /// The wait events of the members of a cycle, each the latest before `cycle` that is for the next member.
  std::vector<const Event*> waits_of(const Event& cycle) const {
    std::vector<const Event*> found;
    for (std::size_t i = 0; i < cycle.others.size(); ++i) {
      const int from = cycle.others[i], to = cycle.others[(i + 1) % cycle.others.size()];
      const Event* latest = nullptr;
      for (const Event& each : events_) {
        const bool is_for_it = each.kind == EventKind::wait && each.actor == from &&
                               std::find(each.others.begin(), each.others.end(), to) != each.others.end();
        if (is_for_it && (each.seq < cycle.seq || latest == nullptr)) latest = &each;
      }
      if (latest != nullptr) found.push_back(latest);
    }
    return found;
  }

  const Event* last(EventKind kind) const {
    const auto found =
        std::find_if(events_.rbegin(), events_.rend(), [kind](const Event& e) { return e.kind == kind; });
    return found == events_.rend() ? nullptr : &*found;
  }

  /// The waits that the end of the run has ended, by actor.
  std::map<int, const Event*> waits_at_end() const {
    std::map<int, const Event*> waits;
    std::set<int> stopped;  // what they do now is to give back what they have
    for (const Event& each : events_) {
      if (stopped.contains(each.actor)) continue;
      if (each.kind == EventKind::wait && each.verb != "pause") waits[each.actor] = &each;
      if (each.kind == EventKind::grant) waits.erase(each.actor);
      if (each.kind != EventKind::fault) continue;
      if (each.fault == Fault::hung || each.fault == Fault::cancelled) {
        stopped.insert(each.actor);
      } else {
        waits.erase(each.actor);
      }
    }
    return waits;
  }

  std::vector<const Event*> faults_where(bool (*wanted)(Fault)) const {
    std::vector<const Event*> found;
    for (const Event& each : events_) {
      if (each.kind == EventKind::fault && each.fault && wanted(*each.fault)) found.push_back(&each);
    }
    return found;
  }

  /// "T2's write of B is refused (serialization_failure 40001): …"
  std::string refusal(const Event& event) const {
    std::string asked = event.verb == "give_up" ? std::string() : event.verb == "execute" ? what(event) : event.verb;
    if (!asked.empty() && asked.front() != '\xe2' && !event.object.empty()) asked += " " + cut(event.object);
    std::string text =
        asked.empty() ? name(event.actor) + " gives up" : fmt::format("{}: {} is refused", name(event.actor), asked);
    text += fmt::format(" ({}{}{})", name_of(*event.fault), event.code.empty() ? "" : " ", event.code);
    std::string_view said = event.detail;
    if (said.starts_with(name(event.actor) + ": ")) said.remove_prefix(name(event.actor).size() + 2);
    if (!said.empty()) text += ": " + std::string(said);
    return text;
  }

  bool gave_up(int actor) const {
    return std::any_of(events_.begin(), events_.end(), [actor](const Event& each) {
      return each.kind == EventKind::finish && each.actor == actor && each.fault.has_value();
    });
  }

  /// "T1 read x = 50 at step 3; T2 wrote it at step 8, which T1 did not see". Of transactions that have committed.
  std::vector<std::string> stale_reads() const {
    std::vector<std::string> found;
    for (const Event& read : events_) {
      if (read.kind != EventKind::grant || !is_read(read.verb)) continue;
      for (const Event& write : events_) {
        const bool is_later = write.kind == EventKind::grant && write.seq > read.seq && write.actor != read.actor &&
                              write.object == read.object && is_write(write.verb);
        if (!is_later || !acts_after(read, write)) continue;
        found.push_back(fmt::format(
            "{} read {} = {} at step {}; {} changed it at step {}, and {} went by what it had read", name(read.actor),
            cut(read.object), cut(read.detail), read.step, name(write.actor), write.step, name(read.actor)));
        break;
      }
      if (found.size() == kSentencesMost) break;
    }
    return found;
  }

  const record::Run& run() const { return run_; }
  const std::vector<Event>& events() const { return events_; }

 private:
  /// The reader writes something after its read, in the same try, and commits it.
  bool acts_after(const Event& read, const Event& write) const {
    bool wrote = false;
    for (const Event& each : events_) {
      if (each.actor != read.actor || each.seq <= read.seq) continue;
      if (each.kind == EventKind::retry || (each.kind == EventKind::fault && each.fault)) return false;
      if (each.kind != EventKind::grant) continue;
      if (is_write(each.verb)) wrote = true;
      if (each.verb == "abort") return false;
      if (each.verb == "commit") return wrote && each.seq > write.seq;
    }
    return false;
  }

  const record::Run& run_;
  const std::vector<Event>& events_;
};

std::string sentence(std::string text) {
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text.empty() ? text : text + ".";
}

std::string of_deadlock(const Story& story) {
  const Event* const cycle = story.last(EventKind::cycle);
  std::string text;
  if (cycle != nullptr) {
    std::vector<std::string> waits;
    for (const Event* each : story.waits_of(*cycle)) waits.push_back(story.wait(*each));
    text = sentence(fmt::format("{}", fmt::join(waits, "; ")));
  }
  if (story.run().ending == record::Ending::stuck) return text + " Nobody breaks the circle.";
  std::vector<std::string> victims = story.run().victims;
  if (victims.empty()) return text;
  const bool again = story.run().outcomes.retries > 0;
  return fmt::format("{}{}{} had to give up, and what {} had became free{}.", text, text.empty() ? "" : " ",
                     fmt::join(victims, " and "), victims.size() == 1 ? "it" : "they",
                     again ? "; then it was run again" : "");
}

std::string of_timeout(const Story& story) {
  std::string text = story.run().cycles.empty() ? std::string() : of_deadlock(story);
  const auto timed_out = story.faults_where([](Fault fault) {
    return fault == Fault::lock_timeout || fault == Fault::statement_timeout || fault == Fault::idle_timeout ||
           fault == Fault::busy;
  });
  if (timed_out.empty()) return text;
  return fmt::format("{}{}{}", text, text.empty() ? "" : " ", sentence(story.refusal(*timed_out.front())));
}

std::string of_abort(const Story& story) {
  const auto refused = story.faults_where([](Fault fault) { return is_retry_safe(fault) || fault == Fault::invalid; });
  std::string text;
  for (std::size_t i = 0; i < std::min(kSentencesMost, refused.size()); ++i) {
    const bool repeated = i > 0 && refused[i]->actor == refused[0]->actor && refused[i]->fault == refused[0]->fault;
    if (repeated) continue;
    text += (text.empty() ? "" : " ") + sentence(story.refusal(*refused[i]));
  }
  if (refused.empty()) return text;
  const bool spent =
      std::any_of(refused.begin(), refused.end(), [&](const Event* e) { return story.gave_up(e->actor); });
  if (spent) return text + " It was not run again, or not often enough.";
  return story.run().outcomes.retries > 0 ? text + " Run again, it went through." : text;
}

std::string of_anomaly(const Story& story) {
  std::string text;
  for (const std::string& each : story.stale_reads()) text += (text.empty() ? "" : " ") + sentence(each);
  if (!text.empty()) return text;
  for (const record::Invariant& each : story.run().invariants) {
    if (each.held) continue;
    text += (text.empty() ? "" : " ") + fmt::format("At the end “{}” does not hold{}", each.text,
                                                    each.detail.empty() ? "." : ": " + sentence(each.detail));
  }
  // What was refused is missing at the end.
  const std::string refused = of_abort(story);
  return text.empty() || refused.empty() ? text : text + " " + refused;
}

std::string of_starved(const Story& story) {
  std::map<int, std::pair<std::size_t, const Event*>> lost;
  for (const Event* each : story.faults_where(is_retry_safe)) {
    auto& [count, first] = lost[each->actor];
    first = count++ == 0 ? each : first;
  }
  std::string text;
  for (const auto& [actor, what] : lost) {
    if (!story.gave_up(actor)) continue;
    text += fmt::format("{}{} lost {} times, at first so: {}", text.empty() ? "" : " ", story.name(actor), what.first,
                        sentence(story.refusal(*what.second)));
  }
  return text;
}

std::string of_error(const Story& story) {
  std::string text;
  for (const Event& each : story.events()) {
    const bool ended = each.kind == EventKind::finish && each.fault && !is_retry_safe(*each.fault);
    if (!ended || *each.fault == Fault::hung || *each.fault == Fault::cancelled) continue;
    text += fmt::format("{}The body of {} ended with {}{}{}, which nobody handled.", text.empty() ? "" : " ",
                        story.name(each.actor), name_of(*each.fault), each.code.empty() ? "" : " ", each.code);
  }
  return text;
}

/// Of a run in which nothing bad happened: who waited.
std::string of_waits(const Story& story) {
  std::string text;
  std::size_t waits = 0;
  for (const Event& each : story.events()) {
    if (each.kind != EventKind::wait || each.others.empty() || each.verb == "pause") continue;
    if (++waits > kSentencesMost) continue;
    text += (text.empty() ? "" : "; ") + story.wait(each);
  }
  if (waits == 0) return "Nobody had to wait, and nothing was refused.";
  return sentence(text) + (waits > kSentencesMost ? " Others waited too." : "") + " After the wait each went on.";
}

}  // namespace

std::string waits_at_end(const record::Run& run) {
  const Story story(run);
  std::string text;
  std::size_t shown = 0;
  const auto waits = story.waits_at_end();
  for (const auto& [actor, event] : waits) {
    if (++shown > kSentencesMost + 1)
      return fmt::format("{}; and {} more wait", text, waits.size() - kSentencesMost - 1);
    text += (text.empty() ? "" : "; ") + story.wait(*event);
  }
  return text;
}

std::string explain(const record::Run& run) {
  if (run.events.empty()) return {};
  const Story story(run);
  switch (run.verdict) {
    case Verdict::deadlock:
      return of_deadlock(story);
    case Verdict::hung:
      return sentence(waits_at_end(run));
    case Verdict::timeout:
      return of_timeout(story);
    case Verdict::abort:
      return of_abort(story);
    case Verdict::anomaly:
      return of_anomaly(story);
    case Verdict::starved:
      return of_starved(story);
    case Verdict::error:
      return of_error(story);
    case Verdict::crashed:  // its stack says more
      break;
    case Verdict::clean:
    case Verdict::avoided:
      return of_waits(story);
  }
  return {};
}

}  // namespace lockstep
