// program_subject.cc: see program_subject.h.
#include "engine/foreign/program_subject.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#include "engine/foreign/touches.h"

namespace lockstep::foreign {
namespace {

constexpr Nanos kListen = std::chrono::milliseconds(50);
constexpr Nanos kOutsideMost = std::chrono::seconds(2);

/// As the kernel sees it.
std::string what_thread_does(int process, int thread) {
  static const std::map<long, const char*> kCalls = {{SYS_read, "read"},
                                                     {SYS_write, "write"},
                                                     {SYS_connect, "connect"},
                                                     {SYS_flock, "flock"},
                                                     {SYS_fcntl, "fcntl"},
                                                     {SYS_futex, "futex"},
                                                     {SYS_wait4, "wait4"},
                                                     {SYS_waitid, "waitid"},
                                                     {SYS_rt_sigtimedwait, "sigwait"},
                                                     {SYS_rt_sigsuspend, "sigsuspend"},
                                                     {SYS_ppoll, "poll"},
                                                     {SYS_epoll_pwait, "epoll_wait"},
                                                     {SYS_msgrcv, "msgrcv"},
                                                     {SYS_semtimedop, "semop"},
                                                     {SYS_recvfrom, "recv"},
                                                     {SYS_clock_nanosleep, "sleep"}};
  std::ifstream file(fmt::format("/proc/{}/task/{}/syscall", process, thread));
  std::string word;
  file >> word;
  long number = 0;
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (word == "running" || error != std::errc() || number < 0) return "it runs on, as in a loop that waits by looking";
  const auto known = kCalls.find(number);
  return fmt::format("it waits in {}, which is no operation here",
                     known != kCalls.end() ? known->second : fmt::format("system call {}", number));
}

/// "pipe 2 of T1": the second of these things that T1 has made.
std::string file_name(const SharedBoard& board, std::uint64_t address) {
  const std::uint64_t rest = address - kFilesAddress;
  const auto kind = static_cast<FileKind>(rest >> 24U & 0xffU);
  const std::string which =
      fmt::format("{} of {}", rest >> 1U & 0x7fU, thread_name(board, static_cast<int>(rest >> 16U & 0xffU)));
  switch (kind) {
    case FileKind::pipe:
      return "pipe " + which;
    case FileKind::sockets:
      return fmt::format("sockets {}{}", which, (rest & 1U) != 0 ? ", back" : "");
    case FileKind::event:
      return "eventfd " + which;
    case FileKind::any:
      break;
  }
  return fmt::format("file {}", rest & 0xffffU);
}

std::string locked_file_name(const SharedBoard& board, std::uint64_t address, const std::string& folder) {
  for (std::uint32_t i = 0; i < board.named_files; ++i) {
    if (board.named_file[i].object != address) continue;
    const std::string path = board.named_file[i].path;
    return path.starts_with(folder + "/") ? path.substr(folder.size() + 1) : path;
  }
  return fmt::format("a file {:#x}", address - kFileLocksAddress);
}

constexpr const char* kAtomics = "atomics";

}  // namespace

Result<std::unique_ptr<ProgramSubject>> ProgramSubject::open(const ProgramCall& call, const ProgramLimits& limits,
                                                             const StopSource* stop) {
  std::unique_ptr<ProgramSubject> subject(new ProgramSubject(call, limits, stop));
  if (Result<void> started = subject->restart(); !started) return started.error();
  return subject;
}

Result<std::unique_ptr<ProgramSubject>> ProgramSubject::await(const ProgramCall& call) {
  std::unique_ptr<ProgramSubject> subject(new ProgramSubject(call, {}, nullptr));
  Result<std::unique_ptr<Process>> process = Process::await();
  if (!process) return process.error();
  subject->process_ = std::move(*process);
  subject->process_->board().waits_by_itself = subject->waits_by_itself_;
  subject->learn_threads();
  return subject;
}

void ProgramSubject::forget_names() {
  symbols_.reset();
  names_.clear();
}

Result<void> ProgramSubject::restart() {
  process_.reset();
  Result<std::unique_ptr<Process>> process = Process::start(call_);
  if (!process) return process.error();
  process_ = std::move(*process);
  process_->board().waits_by_itself = waits_by_itself_;
  forget_names();
  if (!actors_.empty()) foreign::know_threads(process_->board(), actors_);
  learn_threads();
  return {};
}

bool ProgramSubject::know_threads(const std::vector<std::string>& names) {
  actors_.clear();
  if (!foreign::know_threads(process_->board(), names)) return false;
  learn_threads();
  return true;
}

void ProgramSubject::learn_threads() {
  while (actors_.size() < board().identities) actors_.push_back(thread_name(board(), static_cast<int>(actors_.size())));
}

std::vector<Candidate>& ProgramSubject::candidates(std::uint64_t choices) {
  learn_threads();
  candidates_.clear();
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    const int index = static_cast<int>(i);
    candidates_.push_back({.actor = index,
                           .name = actors_[i],
                           .enabled = (choices & bit_of(index, false)) != 0,
                           .may_time_out = (choices & bit_of(index, true)) != 0,
                           .finished = board().model.thread(index).place == ThreadState::Place::ended});
  }
  return candidates_;
}

void ProgramSubject::tell_step(const StepRecord& step) {
  if (footprint_ == nullptr) return;
  add_touches(*footprint_, step.touches);
  // Any of its code may have looked at what the waits are made of, or changed it, between two operations.
  if (waits_by_itself_) footprint_->global(kAtomics, Touch::changes);
}

/// Tells the schedule of the steps that the program has taken without a question. Each is whole by now.
Result<void> ProgramSubject::feed(Schedule& schedule) {
  const SharedBoard& board = this->board();
  while (taken_.size() < board.steps) {
    const StepRecord& step = board.step[taken_.size()];
    if (asked_ahead_) {
      asked_ahead_ = false;
    } else {
      if (!taken_.empty()) tell_step(board.step[taken_.size() - 1]);
      const Result<Choice> choice = schedule.next(candidates(step.choices));
      if (!choice) return choice.error();
      if (!(*choice == Choice{step.thread, step.times_out})) {
        return Error{Fault::invalid,
                     {},
                     fmt::format("step {}: the schedule says {}, and {} took it", taken_.size() + 1,
                                 lockstep::name_of(*choice, actors_[static_cast<std::size_t>(choice->actor)]),
                                 actors_[static_cast<std::size_t>(step.thread)])};
      }
    }
    taken_.push_back({step.thread, step.times_out});
  }
  return {};
}

Result<void> ProgramSubject::perform(Schedule& schedule) {
  if (!process_) {
    if (Result<void> started = restart(); !started) return started.error();
  }
  taken_.clear();
  asked_ahead_ = false;
  stopped_.reset();
  late_.clear();
  ended_.reset();
  ending_ = record::Ending::complete;
  process_->begin(plan_);
  Result<void> followed = follow(schedule);
  if (!followed) process_->end_run();
  if (met_outside_ != nullptr && process_ && board().at_outside) met_outside_->store(true, std::memory_order_relaxed);
  learn_threads();
  return followed;
}

std::string ProgramSubject::untold() const {
  for (std::size_t i = 0; process_ && i < taken_.size(); ++i) {
    if (!board().step[i].touches.too_many) continue;
    return fmt::format(
        "{}: step {}, of {}, touches more than {} things, such as pipes that it closes, so nothing tells what it "
        "commutes with; --strategy unreduced and --strategy walk do not need to know",
        name(), i + 1, actors_[static_cast<std::size_t>(taken_[i].actor)], kTouchesMost);
  }
  return {};
}

Result<void> ProgramSubject::follow(Schedule& schedule) {
  const RealClock clock;
  Nanos heard = clock.now();
  std::uint32_t steps = 0;
  const auto finish = [&](Stop stop) {
    stopped_ = stop;
    if (!taken_.empty()) tell_step(board().step[taken_.size() - 1]);
    schedule.nothing_left();
    if (stop != Stop::none) process_->end_run();  // what it printed is kept until the next run begins
  };
  for (;;) {
    const Process::News news = process_->wait(kListen);
    if (news == Process::News::asks || news == Process::News::ended) {
      if (Result<void> fed = feed(schedule); !fed) return fed;
    }
    if (news == Process::News::asks) {
      heard = clock.now();
      const std::uint64_t choices = board().choices;
      if (choices == 0) {
        finish(Stop::stuck);
        return {};
      }
      if (!taken_.empty()) tell_step(board().step[taken_.size() - 1]);
      const Result<Choice> choice = schedule.next(candidates(choices));
      if (!choice) return choice.error();
      if ((choices & bit_of(choice->actor, choice->timeout)) == 0) {
        return Error{Fault::invalid,
                     {},
                     fmt::format("step {}: {} cannot go", taken_.size() + 1,
                                 lockstep::name_of(*choice, actors_[static_cast<std::size_t>(choice->actor)]))};
      }
      asked_ahead_ = true;
      process_->answer(*choice);
    } else if (news == Process::News::ended) {
      finish(Stop::none);
      return {};
    } else if (news == Process::News::lost) {
      process_.reset();
      return Error{Fault::unavailable, {}, fmt::format("{} was ended from outside", call_.words.front())};
    } else if (news == Process::News::refused) {
      if (board().refusal != Refusal::too_long) return refusal();
      if (Result<void> fed = feed(schedule); !fed) return fed;
      finish(Stop::too_long);
      return {};
    } else {
      const Nanos now = clock.now();
      if (board().steps != steps) {
        steps = board().steps;
        heard = now;
      }
      if ((stop_ != nullptr && stop_->requested()) || (give_up_at_ != kNever && now > give_up_at_)) {
        ending_ = record::Ending::interrupted;
        return Error{Fault::cancelled, {}, {}};
      }
      const Nanos most = board().waits_outside ? std::min(limits_.of_operation, kOutsideMost) : limits_.of_operation;
      if (now - heard < most) continue;
      late_ = what_it_is_in();
      if (!board().waits_outside) process_->interrupt(board().running);
      if (Result<void> fed = feed(schedule); !fed) return fed;
      finish(Stop::late);
      return {};
    }
  }
}

Error ProgramSubject::refusal() {
  const SharedBoard& board = this->board();
  const std::string who = thread_name(board, board.running);
  std::string text;
  switch (board.refusal) {
    case Refusal::too_many:
      text = std::string_view(board.refused) == "threads"
                 ? fmt::format("{} has more than {} threads; at most so many can be told apart", name(), kThreadsMost)
                 : fmt::format("{} has more than {} locks and the like", name(), kObjectsMost / 2);
      break;
    default: {
      const std::string function = symbols().function(board.refused_at);
      text = fmt::format("{}: {} calls {}{}, which is not supported", name(), who, board.refused,
                         function.empty() ? "" : fmt::format(" in {}", function));
      break;
    }
  }
  return {Fault::invalid, {}, std::move(text)};
}

/// The thread that keeps its turn, and the system call that it is in.
std::string ProgramSubject::what_it_is_in() {
  const SharedBoard& board = this->board();
  if (board.waits_outside) {
    return fmt::format("nobody goes on unless something comes from outside: {}",
                       waits_text(board, [this](std::uint64_t address) { return object_name(address); }));
  }
  const auto seconds = std::chrono::duration<double>(limits_.of_operation).count();
  return fmt::format("{} came to no operation within {} s: {}", thread_name(board, board.running), seconds,
                     what_thread_does(board.run, board.kernel_ids[board.running]));
}

/// The innermost function of the program itself: those of the libraries that end a process say nothing.
std::string ProgramSubject::place_of_crash() {
  const CrashRecord& crash = board().crash;
  for (std::uint32_t i = 0; i < crash.depth; ++i) {
    const auto place = symbols().place_in_file(crash.frame[i] - 1);
    if (place && place->first == call_.path) return symbols().function(crash.frame[i]);
  }
  return {};
}

std::vector<std::string> ProgramSubject::crash_stack() {
  const CrashRecord& crash = board().crash;
  const std::vector<std::uint64_t> frames(crash.frame, crash.frame + crash.depth);
  const std::vector<std::string> lines = lines_of(symbols(), frames);
  std::vector<std::string> stack;
  std::size_t own = 0;  // what called the program's own code says nothing
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto place = symbols().place_in_file(frames[i] - 1);
    if (!place && i > 0) break;  // what is no code is no stack
    if (place && place->first == call_.path) own = i + 1;
    std::string name = symbols().function(frames[i]);
    if (name.empty()) name = fmt::format("{:#x}", frames[i] - 1);
    const std::string file = place ? place->first.substr(place->first.rfind('/') + 1) : "no code";
    stack.push_back(fmt::format("{} {}", name, lines[i].empty() ? "in " + file : "at " + lines[i]));
    if (name == "main") break;
  }
  if (own > 0) stack.resize(std::min(own, stack.size()));
  return stack;
}

void ProgramSubject::find_blocked(Footprint& footprint, std::vector<Step>& blocked) {
  add_blocked(process_->board().model, static_cast<int>(actors_.size()), footprint, blocked);
}

const Ended& ProgramSubject::ended() {
  if (!ended_) {
    ended_ =
        ending_of(board(), stopped_.value_or(Stop::none), output(), stopped_ == Stop::late ? late_ : place_of_crash(),
                  [this](std::uint64_t address) { return object_name(address); });
    ending_ = ended_->ending;
  }
  return *ended_;
}

Subject::RunEnd ProgramSubject::judge(record::Run& run) {
  const Ended& how = ended();
  run.verdict = how.verdict;
  run.ending = how.ending;
  run.virtual_time = true;
  run.actors = actors_;
  return {{badness_of(how.verdict), how.what}, how.verdict};
}

Symbols& ProgramSubject::symbols() {
  if (!symbols_) symbols_ = std::make_unique<Symbols>(board().debugged ? board().run : process_->server());
  return *symbols_;
}

std::string ProgramSubject::object_name(std::uint64_t address) {
  if (const auto known = names_.find(address); known != names_.end()) return known->second;
  std::string name;
  constexpr std::uint64_t kStackMost = std::uint64_t{64} << 20U;
  if (address <= static_cast<std::uint64_t>(kThreadsMost)) {
    name = thread_name(board(), static_cast<int>(address) - 1);
  } else if (const auto variable = symbols().variable(address)) {
    name = *variable;
  } else if (address >= kFilesAddress && address < kFilesAddress + kStackRoom) {
    name = file_name(board(), address);
  } else if (address == kSignalsAddress) {
    name = "signals";
  } else if (address >= kFileLocksAddress && address < kSignalsAddress) {
    name = locked_file_name(board(), address, call_.folder);
  } else if (address < board().anchor && board().anchor - address < kStackMost) {
    name = fmt::format("stack of main-{:#x}", board().anchor - address);
  } else if (address >= kStacksAddress && address < kStacksAddress + kThreadsMost * kStackRoom) {
    const std::uint64_t index = (address - kStacksAddress) / kStackRoom;
    name = fmt::format("stack of {}-{:#x}", thread_name(board(), static_cast<int>(index)),
                       kStacksAddress + (index + 1) * kStackRoom - address);
  } else if (address >= kHeapsAddress && address < kHeapsAddress + kThreadsMost * kHeapRoom) {
    const std::uint64_t index = (address - kHeapsAddress) / kHeapRoom;
    name = fmt::format("heap of {}+{:#x}", thread_name(board(), static_cast<int>(index)),
                       (address - kHeapsAddress) % kHeapRoom);
  } else {
    name = fmt::format("{:#x}", address);
  }
  return names_.emplace(address, std::move(name)).first->second;
}

}  // namespace lockstep::foreign
