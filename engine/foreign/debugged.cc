// debugged.cc: see debugged.h.
#include "engine/foreign/debugged.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "engine/foreign/ending.h"
#include "engine/gdb/layout/registry_layout.h"

namespace lockstep::foreign {
namespace {

constexpr Nanos kListenToProgram = std::chrono::milliseconds(50);

template <std::size_t N>
void put(char (&to)[N], std::string_view text) {
  const std::size_t length = std::min(text.size(), N - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, N - length);
}

/// For a shell, whatever it holds.
std::string in_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char each : text) quoted += each == '\'' ? std::string("'\\''") : std::string(1, each);
  return quoted + "'";
}

bool takes(const Operation& operation, std::uint64_t object) {
  switch (operation.verb) {
    case Act::lock:
    case Act::rdlock:
    case Act::wrlock:
    case Act::once:
      return operation.object == object;
    case Act::leave:
      return operation.mutex == object;
    default:
      return false;
  }
}

const char* state_name(PrimitiveModel& model, int thread) {
  switch (model.thread(thread).place) {
    case ThreadState::Place::none:
      return "not started";
    case ThreadState::Place::runs:
      return "runs";
    case ThreadState::Place::ended:
      return "finished";
    case ThreadState::Place::at_gate:
      break;
  }
  const Options options = model.options(thread);
  return options.goes || options.times_out ? "ready" : "waits";
}

}  // namespace

Result<std::unique_ptr<DebuggedProgram>> DebuggedProgram::open(const ProgramSchedule& written) {
  Result<ProgramCall> found = call_of({written.call.path});
  if (!found) return found.error();
  std::unique_ptr<DebuggedProgram> debugged(new DebuggedProgram(written));
  debugged->written_.call.path = found->path;
  Result<std::unique_ptr<ProgramSubject>> subject = ProgramSubject::await(debugged->written_.call);
  if (!subject) return subject.error();
  if (!(*subject)->know_threads(written.actors)) return Error{Fault::invalid, {}, "the schedule names no threads"};
  debugged->subject_ = std::move(*subject);
  return debugged;
}

std::size_t DebuggedProgram::fatal_step() const {
  using record::Verdict;
  const std::size_t steps = written_.steps.size();
  const bool stands_or_crashes = written_.verdict == Verdict::deadlock || written_.verdict == Verdict::crashed ||
                                 (written_.verdict == Verdict::hung && steps < kStepsMost);
  return stands_or_crashes || steps == 0 ? steps : steps - 1;
}

std::vector<std::string> DebuggedProgram::commands_for_gdb() const {
  const ProgramCall& call = written_.call;
  // By way of `env`, so that gdb's shell is not under control; what gdb puts in by itself is taken out.
  std::string wrapper = "env -u LINES -u COLUMNS";
  for (const std::string& each : environment_of_control(call, subject_->process().board_path()))
    wrapper += " " + in_quotes(each);
  return {"set startup-with-shell on", "set cwd " + call.folder, "set exec-wrapper " + wrapper};
}

void DebuggedProgram::serve(const std::atomic<bool>& ended) {
  Process& process = subject_->process();
  while (!ended.load(std::memory_order_relaxed)) {
    switch (process.wait(kListenToProgram)) {
      case Process::News::arrived:
        process.begin({});
        subject_->forget_names();
        break;
      case Process::News::asks:
        answer();
        break;
      case Process::News::refused:
        fmt::print(stderr, "lockstep: {}\n", subject_->refusal().message);
        break;
      case Process::News::ended:
      case Process::News::nothing:
      case Process::News::lost:
        break;
    }
  }
}

/// As it is written, as long as that has been followed; then as in a run without a schedule.
Choice DebuggedProgram::choose(std::uint64_t choices) {
  const SharedBoard& board = subject_->board();
  const std::size_t at = board.steps;
  bool follows = at < written_.steps.size();
  for (std::size_t i = 0; i < at && follows; ++i)
    follows = Choice{board.step[i].thread, board.step[i].times_out} == written_.steps[i].choice;
  if (follows) {
    const Choice next = written_.steps[at].choice;
    if ((choices & bit_of(next.actor, next.timeout)) != 0) return next;
  }
  const int last = at == 0 ? -1 : board.step[at - 1].thread;
  for (const bool times_out : {false, true}) {
    if (last >= 0 && (choices & bit_of(last, times_out)) != 0 && !times_out) return {last, false};
    for (int i = kThreadsMost - 1; i >= 0; --i) {
      if ((choices & bit_of(i, times_out)) != 0) return {i, times_out};
    }
  }
  return {0, false};
}

void DebuggedProgram::answer() {
  const SharedBoard& board = subject_->board();
  const std::uint64_t choices = board.choices;
  (void)subject_->candidates(choices);  // learns the threads that are new
  const Choice next = choose(choices);
  say_how_it_stands(choices == 0 ? nullptr : &next);
  subject_->process().answer(next);
}

void DebuggedProgram::say_how_it_stands(const Choice* next) {
  debugging::Registry& to = subject_->process().board().registry;
  put(to.magic, "LOCKSTEP-RUN");
  to.version = debugging::kVersion;
  to.size = sizeof to;
  to.step = subject_->board().steps;
  to.next = next == nullptr ? -1 : next->actor;
  put(to.run, fmt::format("{}", fmt::join(written_.call.words, " ")));
  write_actors();
  write_edges();
  write_locks();
  write_history();
}

void DebuggedProgram::write_actors() {
  SharedBoard& board = subject_->process().board();
  debugging::Registry& to = board.registry;
  const std::vector<std::string>& names = subject_->actors();
  to.actors = 0;
  for (std::size_t i = 0; i < names.size() && to.actors < debugging::kActors; ++i) {
    const ThreadState& thread = board.model.thread(static_cast<int>(i));
    debugging::ActorEntry& entry = to.actor[to.actors++];
    put(entry.name, names[i]);
    put(entry.state, state_name(board.model, static_cast<int>(i)));
    put(entry.doing,
        thread.place != ThreadState::Place::at_gate
            ? std::string()
            : text_of(thread.operation, board, [this](std::uint64_t a) { return subject_->object_name(a); }));
    put(entry.waits, "");
  }
}

void DebuggedProgram::write_edges() {
  SharedBoard& board = subject_->process().board();
  debugging::Registry& to = board.registry;
  const std::vector<std::string>& names = subject_->actors();
  to.edges = 0;
  for (std::size_t i = 0; i < to.actors; ++i) {
    const auto index = static_cast<int>(i);
    if (std::string_view(to.actor[i].state) != "waits") continue;
    const Operation& operation = board.model.thread(index).operation;
    const std::uint64_t object = operation.verb == Act::leave ? operation.mutex : operation.object;
    const std::string what = operation.verb == Act::join ? std::string() : subject_->object_name(object);
    std::string waits;
    for (const int other : waits_for(board.model, index)) {
      if (to.edges == debugging::kEdges) return;
      debugging::EdgeEntry& entry = to.edge[to.edges++];
      put(entry.from, names[i]);
      put(entry.to, names[static_cast<std::size_t>(other)]);
      put(entry.object, what);
      waits += (waits.empty() ? "" : ", ") + names[static_cast<std::size_t>(other)];
    }
    put(to.actor[i].waits, waits.empty() ? "somebody who wakes it" : waits);
  }
}

void DebuggedProgram::write_locks() {
  const SharedBoard& board = subject_->board();
  debugging::Registry& to = subject_->process().board().registry;
  to.locks = 0;
  board.model.for_each_hold([&](std::uint64_t address, int thread, bool reads) {
    if (to.locks == debugging::kLocks) return;
    debugging::LockEntry& entry = to.lock[to.locks++];
    put(entry.name, subject_->object_name(address));
    put(entry.how,
        fmt::format("{} {}", subject_->actors()[static_cast<std::size_t>(thread)], reads ? "shared" : "exclusive"));
    std::uint64_t caller = 0;
    for (std::uint32_t i = board.steps; i > 0 && caller == 0; --i) {
      const StepRecord& step = board.step[i - 1];
      if (step.thread == thread && takes(step.operation, address)) caller = step.operation.caller;
    }
    put(entry.where, place_of(caller));
  });
}

const std::string& DebuggedProgram::place_of(std::uint64_t caller) {
  const auto [known, is_new] = places_.try_emplace(caller);
  if (is_new && caller != 0) {
    const std::string line = lines_of(subject_->symbols(), {caller}).front();
    known->second = line.empty() ? subject_->symbols().function(caller) : line;
  }
  return known->second;
}

void DebuggedProgram::write_history() {
  const SharedBoard& board = subject_->board();
  debugging::Registry& to = subject_->process().board().registry;
  const auto name = [this](std::uint64_t address) { return subject_->object_name(address); };
  to.lines = 0;
  for (std::uint32_t i = board.steps > debugging::kLines ? board.steps - debugging::kLines : 0; i < board.steps; ++i) {
    const StepRecord& step = board.step[i];
    put(to.line[to.lines++].text,
        fmt::format("{:>4} {:>9.2f} ms  {} {}{}", i + 1, static_cast<double>(step.at) / 1e6,
                    subject_->actors()[static_cast<std::size_t>(step.thread)], text_of(step.operation, board, name),
                    step.times_out ? " times out" : ""));
  }
}

}  // namespace lockstep::foreign
