// run_summary.cc: counts. What an actor waits for is remembered until it is answered.
#include "reports/run_summary.h"

#include <algorithm>

namespace lockstep::reports {

using record::EventKind;
using record::EventView;

std::vector<std::pair<std::string, RunSummary::ObjectCounts>> RunSummary::busiest(std::size_t most) const {
  std::vector<std::pair<std::string, ObjectCounts>> all(objects.begin(), objects.end());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second.waited_ns != b.second.waited_ns ? a.second.waited_ns > b.second.waited_ns : a.first < b.first;
  });
  if (all.size() > most) all.resize(most);
  return all;
}

namespace {

class Counter {
 public:
  explicit Counter(RunSummary& summary) : summary_(summary), open_(summary.actors.size()) {}

  void count(const EventView& event) {
    ++summary_.events;
    RunSummary::Slice& slice = summary_.slices[slice_at(event.at_ns)];
    if (event.kind == EventKind::cycle) ++summary_.cycles;
    if (event.actor == record::kNobody) return;
    const auto index = static_cast<std::size_t>(event.actor);
    RunSummary::ActorCounts& actor = summary_.actors[index];
    Open& open = open_[index];
    switch (event.kind) {
      case EventKind::request:
        ++actor.operations;
        ++slice.operations;
        break;
      case EventKind::wait:
        if (open.waits) break;
        open.waits = true;
        open.since_ns = event.at_ns;
        open.object = event.object;
        open.others = *event.others;
        ++actor.waits;
        ++slice.waits;
        break;
      case EventKind::grant:
        if (event.verb == "commit") {
          ++actor.commits;
          ++slice.commits;
        }
        end_wait(index, event, "granted");
        break;
      case EventKind::fault: {
        ++actor.faults;
        ++slice.faults;
        const std::string_view name = event.fault ? name_of(*event.fault) : "failed";
        ++summary_.faults[std::string(name)];
        end_wait(index, event, name);
        break;
      }
      case EventKind::retry:
        ++actor.retries;
        break;
      default:
        break;
    }
  }

  /// The actors that still wait at the end.
  void finish() {
    EventView last;
    last.at_ns = summary_.end_ns;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      last.actor = static_cast<int>(i);
      end_wait(i, last, "never");
    }
  }

 private:
  struct Open {
    bool waits = false;
    std::int64_t since_ns = 0;
    std::string object;
    std::vector<int> others;
  };

  std::size_t slice_at(std::int64_t at_ns) const {
    if (summary_.end_ns <= 0 || at_ns <= 0) return 0;
    const double share = static_cast<double>(at_ns) / static_cast<double>(summary_.end_ns);
    return std::min(summary_.slices.size() - 1,
                    static_cast<std::size_t>(share * static_cast<double>(summary_.slices.size())));
  }

  void end_wait(std::size_t index, const EventView& event, std::string_view how) {
    Open& open = open_[index];
    if (!open.waits) return;
    open.waits = false;
    const std::int64_t waited = event.at_ns - open.since_ns;
    summary_.actors[index].waited_ns += waited;
    summary_.waits.record(Nanos(waited));
    auto object = summary_.objects.find(open.object);
    if (object == summary_.objects.end()) {
      object = summary_.objects.try_emplace(summary_.objects.size() < kObjectsMost ? open.object : std::string()).first;
    }
    ++object->second.waits;
    object->second.waited_ns += waited;
    keep_if_long(index, open, waited, how);
  }

  void keep_if_long(std::size_t index, const Open& open, std::int64_t waited, std::string_view how) {
    std::vector<RunSummary::LongWait>& longest = summary_.longest;
    if (longest.size() == kLongestKept && longest.back().waited_ns >= waited) return;
    const auto place = std::upper_bound(longest.begin(), longest.end(), waited,
                                        [](std::int64_t ns, const auto& other) { return ns > other.waited_ns; });
    longest.insert(place, {waited, open.since_ns, static_cast<int>(index), open.object, open.others, std::string(how)});
    if (longest.size() > kLongestKept) longest.pop_back();
  }

  RunSummary& summary_;
  std::vector<Open> open_;
};

}  // namespace

Result<void> summary_of(record::Reader& reader, RunSummary& summary) {
  summary.slices.assign(kSlices, {});
  summary.actors.assign(reader.run().actors.size(), {});
  {
    sqlite::Statement last(reader.database(), "SELECT at_ns FROM event ORDER BY seq DESC LIMIT 1");
    if (last.next()) summary.end_ns = last.integer(0);
  }
  Counter counter(summary);
  const auto read = reader.each_event([&counter](const EventView& event) {
    counter.count(event);
    return true;
  });
  counter.finish();
  return read;
}

}  // namespace lockstep::reports
