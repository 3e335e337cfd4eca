// recorded.cc: see recorded.h.
#include "engine/foreign/recorded.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <ctime>
#include <set>

#include "engine/record/sites.h"
#include "engine/run/verdict.h"

namespace lockstep::foreign {
namespace {

using record::Event;
using record::EventKind;

/// Tells the story of a run from its steps. A thread asks for its next operation as soon as it stands before it: when
/// it cannot go then, it waits, and its step is the grant.
class Narrator {
 public:
  explicit Narrator(ProgramSubject& subject) : subject_(subject), board_(subject.board()) {
    for (std::uint32_t i = 0; i < board_.steps; ++i) ahead_[of(board_.step[i].thread)].push_back(i);
    for (int i = 0; i < kThreadsMost; ++i) {
      // Those that no step has begun were there before the first one.
      is_there_[of(i)] = board_.model.thread(i).place != ThreadState::Place::none;
    }
    for (std::uint32_t i = 0; i < board_.steps; ++i) {
      for (int t = 0; t < kThreadsMost; ++t) {
        if ((board_.step[i].begun >> static_cast<unsigned>(t) & 1U) != 0) is_there_[of(t)] = false;
      }
    }
  }

  void tell() {
    for (std::uint32_t i = 0; i < board_.steps; ++i) {
      const StepRecord& step = board_.step[i];
      announce_waits(step.choices, i == 0 ? 0 : board_.step[i - 1].at);
      take(step);
      ++done_[of(step.thread)];
      for (int t = 0; t < kThreadsMost; ++t) {
        const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(t);
        if ((step.begun & bit) != 0) is_there_[of(t)] = true;
        if ((step.ended & bit) != 0) emit({.at_ns = step.at, .actor = t, .kind = EventKind::finish});
      }
    }
    announce_waits(0, board_.steps == 0 ? 0 : board_.step[board_.steps - 1].at);
  }

  std::vector<Event> take_events() { return std::move(events_); }
  const std::vector<std::uint64_t>& callers() const { return callers_; }
  void emit(Event event) {
    event.seq = events_.size() + 1;
    events_.push_back(std::move(event));
  }

 private:
  static std::size_t of(int thread) { return static_cast<std::size_t>(thread); }

  /// What the thread stands before; nullptr: it has ended, or is not there yet.
  const Operation* stands_before(int thread) const {
    if (!is_there_[of(thread)]) return nullptr;
    const auto& ahead = ahead_[of(thread)];
    if (done_[of(thread)] < ahead.size()) return &board_.step[ahead[done_[of(thread)]]].operation;
    const ThreadState& state = board_.model.thread(thread);
    return state.place == ThreadState::Place::at_gate ? &state.operation : nullptr;
  }

  std::string object_of(const Operation& operation) const {
    switch (operation.verb) {
      case Act::sleep:
      case Act::yield:
      case Act::exit:
        return {};
      default:
        return subject_.object_name(operation.object);
    }
  }

  void request(int thread, const Operation& operation, std::int64_t at) {
    callers_.push_back(operation.caller);
    number_[of(thread)] = static_cast<std::uint32_t>(callers_.size());
    const bool timed = operation.patience == Persistence::timed;
    emit({.at_ns = at,
          .actor = thread,
          .step = number_[of(thread)],
          .kind = EventKind::request,
          .verb = verb_of(operation),
          .object = object_of(operation),
          .detail = timed ? "with a time limit" : ""});
  }

  void wait(int thread, const Operation& operation, std::int64_t at) {
    std::vector<int> others;
    if (operation.verb == Act::join) {
      others.push_back(operation.argument);
    } else {
      const std::uint64_t object = operation.verb == Act::leave ? operation.mutex : operation.object;
      if (const auto held = holders_.find(object); held != holders_.end() && operation.verb != Act::leave)
        others.assign(held->second.begin(), held->second.end());
    }
    emit({.at_ns = at,
          .actor = thread,
          .step = number_[of(thread)],
          .kind = EventKind::wait,
          .verb = verb_of(operation),
          .object = object_of(operation),
          .others = std::move(others)});
    asked_[of(thread)] = true;
  }

  /// Everybody who stands before something that he cannot have, and has not said so.
  void announce_waits(std::uint64_t choices, std::int64_t at) {
    for (int t = 0; t < kThreadsMost; ++t) {
      const Operation* const operation = stands_before(t);
      const bool can_go = (choices & bit_of(t, false)) != 0;
      if (operation == nullptr || asked_[of(t)] || can_go || operation->verb == Act::exit) continue;
      request(t, *operation, at);
      wait(t, *operation, at);
    }
  }

  void take(const StepRecord& step) {
    const int thread = step.thread;
    const Operation& operation = step.operation;
    if (!asked_[of(thread)]) request(thread, operation, step.at);
    asked_[of(thread)] = false;
    note_holders(step);
    Event event{.at_ns = step.at,
                .actor = thread,
                .step = number_[of(thread)],
                .kind = EventKind::grant,
                .verb = verb_of(operation),
                .object = object_of(operation)};
    if (operation.verb == Act::wait || operation.verb == Act::futex_wait || operation.verb == Act::barrier ||
        operation.verb == Act::sig_wait || operation.verb == Act::file_lock) {
      // It goes on in its second half; the mutex is given back meanwhile.
      const auto& ahead = ahead_[of(thread)];
      const std::size_t next = done_[of(thread)] + 1;
      const Act second =
          next < ahead.size() ? board_.step[ahead[next]].operation.verb : board_.model.thread(thread).operation.verb;
      const bool goes_on =
          second == Act::leave || second == Act::in_futex || second == Act::in_sig_wait || second == Act::in_file_lock;
      if (operation.verb == Act::wait) {
        emit({.at_ns = step.at,
              .actor = thread,
              .kind = EventKind::release,
              .verb = "unlock",
              .object = subject_.object_name(operation.mutex)});
      }
      if (goes_on) {
        wait(thread, operation, step.at);
        return;
      }
    }
    if (step.result == ETIMEDOUT) {
      event.kind = EventKind::fault;
      event.fault = Fault::lock_timeout;
      event.detail = "timed out";
    } else if (step.result > 0 && operation.verb != Act::once && operation.verb != Act::futex_wake) {
      event.detail = fmt::format("refused: {}", ::strerrorname_np(step.result));
    }
    emit(std::move(event));
  }

  void note_holders(const StepRecord& step) {
    const Operation& operation = step.operation;
    switch (operation.verb) {
      case Act::lock:
      case Act::rdlock:
      case Act::wrlock:
        if (step.result == 0) holders_[operation.object].insert(step.thread);
        break;
      case Act::once:
        if (step.result == 1) holders_[operation.object].insert(step.thread);
        break;
      case Act::leave:
        holders_[operation.mutex].insert(step.thread);
        break;
      case Act::file_lock:
        if (operation.argument == 1) holders_[operation.object].insert(step.thread);
        break;
      case Act::file_unlock:
        holders_[operation.object].erase(step.thread);
        for (std::uint32_t in = step.touches.ran; in != 0; in &= in - 1)
          holders_[operation.object].insert(std::countr_zero(in));
        break;
      case Act::unlock:
      case Act::rwunlock:
        holders_[operation.object].erase(step.thread);
        break;
      case Act::wait:
        holders_[operation.mutex].erase(step.thread);
        break;
      default:
        break;
    }
  }

  ProgramSubject& subject_;
  const SharedBoard& board_;
  std::array<std::vector<std::uint32_t>, kThreadsMost> ahead_;  ///< the steps of each thread
  std::array<std::size_t, kThreadsMost> done_{};
  std::array<bool, kThreadsMost> is_there_{};
  std::array<bool, kThreadsMost> asked_{};  ///< its operation has been told of
  std::array<std::uint32_t, kThreadsMost> number_{};
  std::map<std::uint64_t, std::set<int>> holders_;
  std::vector<std::uint64_t> callers_;  ///< by the number of the operation
  std::vector<Event> events_;
};

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string names_text(const std::vector<int>& threads, const std::vector<std::string>& names) {
  std::string text;
  for (const int each : threads) text += (text.empty() ? "" : ", ") + names[static_cast<std::size_t>(each)];
  return text;
}

}  // namespace

std::vector<ScheduleStep> steps_of(ProgramSubject& subject) {
  const SharedBoard& board = subject.board();
  const std::vector<std::string>& actors = subject.actors();
  std::vector<ScheduleStep> steps;
  for (std::uint32_t i = 0; i < board.steps; ++i) {
    const StepRecord& record = board.step[i];
    ScheduleStep step{.choice = {record.thread, record.times_out},
                      .operation = verb_of(record.operation),
                      .object = {},
                      .enabled = {}};
    if (record.operation.object != 0) step.object = subject.object_name(record.operation.object);
    for (std::size_t t = 0; t < actors.size(); ++t) {
      const int index = static_cast<int>(t);
      if ((record.choices & bit_of(index, false)) != 0) step.enabled.push_back(actors[t]);
      if ((record.choices & bit_of(index, true)) != 0)
        step.enabled.push_back(lockstep::name_of({index, true}, actors[t]));
    }
    std::sort(step.enabled.begin(), step.enabled.end());
    steps.push_back(std::move(step));
  }
  return steps;
}

record::Run run_of(ProgramSubject& subject, const ProgramCall& call) {
  record::Run run;
  const Ended& ended = subject.ended();
  run.scenario = call.words.front();
  run.title = fmt::format("{}", fmt::join(call.words, " "));
  run.store = record::kNoStore;
  run.protocol = record::kNoProtocol;
  run.pattern = "program";
  run.executor = "process";
  run.actors = subject.actors();
  run.schedule = schedule_text(subject.taken(), run.actors);
  run.seed = 1;
  run.virtual_time = true;
  run.verdict = ended.verdict;
  run.expected = record::Verdict::clean;
  run.ending = ended.ending;
  run.started_at = utc_now();
  describe_environment(run);
  Narrator narrator(subject);
  narrator.tell();
  for (const auto& cycle : ended.cycles) {
    std::vector<std::string> names;
    for (const int each : cycle) names.push_back(run.actors[static_cast<std::size_t>(each)]);
    run.cycles.push_back(std::move(names));
    narrator.emit({.at_ns = subject.board().model.now(),
                   .actor = record::kNobody,
                   .kind = EventKind::cycle,
                   .detail = "nobody breaks it",
                   .others = cycle});
  }
  if (ended.verdict == record::Verdict::crashed) {
    narrator.emit({.at_ns = subject.board().model.now(),
                   .actor = subject.board().running,
                   .kind = EventKind::note,
                   .detail = ended.what});
  }
  switch (ended.verdict) {
    case record::Verdict::clean:
      run.summary = fmt::format("{} steps of {} threads, exit code 0", subject.board().steps, run.actors.size());
      break;
    case record::Verdict::deadlock:
      run.summary = fmt::format("{} wait for each other for ever", names_text(ended.cycles.front(), run.actors));
      break;
    default:
      run.summary = ended.what;
  }
  if (subject.board().from_outside) run.summary += "; not controlled here: it was let go on from outside";
  run.events = narrator.take_events();
  const std::vector<std::string> lines = lines_of(subject.symbols(), narrator.callers());
  if (std::any_of(lines.begin(), lines.end(), [](const std::string& each) { return !each.empty(); }))
    run.documents[record::kSitesDocument] = record::sites_to_json(lines);
  return run;
}

}  // namespace lockstep::foreign
