// ending.cc: see ending.h.
#include "engine/foreign/ending.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <cstring>
#include <iterator>

#include "engine/foreign/names.h"

namespace lockstep::foreign {
namespace {

bool is_lock(const Operation& operation) {
  switch (operation.verb) {
    case Act::lock:
    case Act::rdlock:
    case Act::wrlock:
    case Act::once:
    case Act::leave:
    case Act::in_file_lock:
      return true;
    default:
      return false;
  }
}

bool stands(const PrimitiveModel& model, int thread) {
  return model.thread(thread).place == ThreadState::Place::at_gate;
}

/// Where nobody is known who could end a wait, everybody could who waits for a lock: with the locks let go he would go
/// on.
std::vector<std::vector<int>> edges_of(PrimitiveModel& model) {
  std::vector<std::vector<int>> edges(kThreadsMost);
  std::vector<int> at_locks;
  for (int i = 0; i < kThreadsMost; ++i) {
    if (!stands(model, i)) continue;
    edges[static_cast<std::size_t>(i)] = waits_for(model, i);
    if (is_lock(model.thread(i).operation) && !edges[static_cast<std::size_t>(i)].empty()) at_locks.push_back(i);
  }
  for (int i = 0; i < kThreadsMost; ++i) {
    auto& mine = edges[static_cast<std::size_t>(i)];
    if (!stands(model, i) || !mine.empty() || model.thread(i).operation.verb == Act::exit) continue;
    for (const int other : at_locks) {
      if (other != i) mine.push_back(other);
    }
  }
  return edges;
}

/// The shortest cycle through each thread that none before has been on.
std::vector<std::vector<int>> cycles_of(PrimitiveModel& model) {
  const auto edges = edges_of(model);
  std::vector<std::vector<int>> cycles;
  std::array<bool, kThreadsMost> on_one{};
  for (int start = 0; start < kThreadsMost; ++start) {
    if (on_one[static_cast<std::size_t>(start)]) continue;
    std::array<int, kThreadsMost> from{};
    from.fill(-1);
    std::vector<int> reached{start};
    bool closed = false;
    for (std::size_t i = 0; i < reached.size() && !closed; ++i) {
      for (const int next : edges[static_cast<std::size_t>(reached[i])]) {
        if (next == start) {
          std::vector<int> cycle;
          for (int at = reached[i]; at != -1; at = at == start ? -1 : from[static_cast<std::size_t>(at)])
            cycle.push_back(at);
          std::reverse(cycle.begin(), cycle.end());
          for (const int each : cycle) on_one[static_cast<std::size_t>(each)] = true;
          cycles.push_back(std::move(cycle));
          closed = true;
          break;
        }
        if (from[static_cast<std::size_t>(next)] != -1 || next == start) continue;
        from[static_cast<std::size_t>(next)] = reached[i];
        reached.push_back(next);
      }
    }
  }
  return cycles;
}

/// Without what differs from one run to the next: addresses, and the process id of a sanitizer's "==7==ERROR".
std::string without_numbers_of_the_run(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < line.size();) {
    const auto length = [&line, i](std::size_t head, const char* digits) {
      return std::min(line.find_first_not_of(digits, i + head), line.size()) - i;
    };
    if (line.compare(i, 2, "0x") == 0) {
      text += "0x…";
      i += length(2, "0123456789abcdefABCDEF");
    } else if (line.compare(i, 2, "==") == 0 && line.compare(i + length(2, "0123456789"), 2, "==") == 0) {
      i += length(2, "0123456789") + 2;
    } else {
      text += line[i++];
    }
  }
  return text;
}

/// What a sanitizer says in short; what it says beside are addresses.
constexpr const char* kOfSanitizers[] = {"SUMMARY: AddressSanitizer: ", "ERROR: AddressSanitizer: ",
                                         "ERROR: LeakSanitizer: ", "runtime error: ", "WARNING: MemorySanitizer: "};

/// The line in which a program says what it died of.
std::string last_words(const std::string& output) {
  const auto line_with = [&output](const char* sign) {
    const std::size_t at = output.find(sign);
    if (at == std::string::npos) return std::string();
    const std::size_t begin = at == 0 ? 0 : output.rfind('\n', at) + 1;
    std::string line = without_numbers_of_the_run(output.substr(begin, output.find('\n', at) - begin));
    constexpr std::size_t kLineMost = 160;
    if (line.size() > kLineMost) line.resize(kLineMost);
    return line;
  };
  for (const char* const sign : kOfSanitizers) {
    std::string line = line_with(sign);
    if (!line.empty()) return line.substr(0, line.find(" on address"));
  }
  for (const char* const sign : {"Assertion", "assertion", ": Failure", "what():", "terminate called", "panicked"}) {
    if (std::string line = line_with(sign); !line.empty()) return line;
  }
  return {};
}

bool is_of_sanitizer(const std::string& words) {
  return std::any_of(std::begin(kOfSanitizers), std::end(kOfSanitizers),
                     [&words](const char* sign) { return words.find(sign) != std::string::npos; });
}

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

/// "SIGINT, SIGTERM"
std::string signals_text(std::uint64_t bits) {
  constexpr int kSignalsNamed = 3;
  if (std::popcount(bits) > kSignalsNamed) return "a signal";
  std::string text;
  for (; bits != 0; bits &= bits - 1) text += (text.empty() ? "" : ", ") + signal_name(std::countr_zero(bits) + 1);
  return text;
}

std::string misuse_of(const SharedBoard& board, const NameOf& name_of) {
  const PrimitiveModel& model = board.model;
  const std::string who = thread_name(board, model.misuser());
  if (model.misuse() == Misuse::none) return {};
  return fmt::format("{} unlocks {}, which {}", who, name_of(model.misused()),
                     model.misuse() == Misuse::unlocks_free ? "nobody holds" : "it does not hold");
}

/// The order of names: what is found does not depend on which thread has which index.
bool comes_before(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

/// Each begins with the first of its names; the first one first.
void put_in_order(const SharedBoard& board, std::vector<std::vector<int>>& cycles) {
  const auto before = [&board](int a, int b) { return comes_before(thread_name(board, a), thread_name(board, b)); };
  for (auto& cycle : cycles)
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end(), before), cycle.end());
  std::sort(cycles.begin(), cycles.end(),
            [&before](const auto& a, const auto& b) { return before(a.front(), b.front()); });
}

std::string cycle_text(const SharedBoard& board, const std::vector<int>& cycle) {
  std::string text;
  for (const int each : cycle) text += thread_name(board, each) + " → ";
  return text + thread_name(board, cycle.front());
}

std::string call_name(FileCall call) {
  switch (call) {
    case FileCall::none:
      break;
    case FileCall::read:
      return "read";
    case FileCall::recv:
      return "recv";
    case FileCall::accept:
      return "accept";
    case FileCall::write:
      return "write";
    case FileCall::send:
      return "send";
    case FileCall::poll:
      return "poll";
    case FileCall::select:
      return "select";
    case FileCall::epoll_wait:
      return "epoll_wait";
    case FileCall::flock:
      return "flock";
    case FileCall::fcntl:
      return "fcntl";
  }
  return {};
}

/// "in T2, in withdraw(), after unlock A": who had the turn, and what it announced last.
std::string crash_text(const SharedBoard& board, const std::string& place, const NameOf& name_of) {
  const std::string who = thread_name(board, board.running);
  Operation last = board.model.thread(board.running).operation;
  if (last.verb == Act::leave) last.verb = Act::wait;  // it has left it
  if (last.verb == Act::in_futex) last.verb = Act::futex_wait;
  if (last.verb == Act::at_barrier) last.verb = Act::barrier;
  if (last.verb == Act::in_sig_wait) last.verb = Act::sig_wait;
  if (last.verb == Act::in_file_lock) last.verb = Act::file_lock;
  return fmt::format(
      "in {}{}{}", who, place.empty() ? "" : ", in " + place,
      last.verb == Act::none ? ", before its first operation" : ", after " + text_of(last, board, name_of));
}

}  // namespace

std::string waits_text(const SharedBoard& board, const NameOf& name_of) {
  std::vector<std::pair<std::string, std::string>> waits;
  for (int i = 0; i < kThreadsMost; ++i) {
    const ThreadState& thread = board.model.thread(i);
    if (thread.place != ThreadState::Place::at_gate) continue;
    const Operation& operation = thread.operation;
    const bool joins_living =
        operation.verb == Act::join && board.model.thread(operation.argument).place == ThreadState::Place::at_gate;
    if (joins_living || operation.verb == Act::exit) continue;
    waits.emplace_back(thread_name(board, i), text_of(operation, board, name_of));
  }
  std::sort(waits.begin(), waits.end(), [](const auto& a, const auto& b) { return comes_before(a.first, b.first); });
  std::string text;
  for (const auto& [who, what] : waits) text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", who, what);
  return text;
}

std::vector<int> waits_for(PrimitiveModel& model, int thread) {
  const Operation& operation = model.thread(thread).operation;
  switch (operation.verb) {
    case Act::lock:
    case Act::once: {
      const int holder = model.holder(operation.object);
      return holder < 0 ? std::vector<int>{} : std::vector<int>{holder};
    }
    case Act::rdlock:
    case Act::wrlock:
    case Act::in_file_lock: {
      const int holder = model.holder(operation.object, thread);
      return holder < 0 ? std::vector<int>{} : std::vector<int>{holder};
    }
    case Act::leave: {
      const int holder = model.holder(operation.mutex);
      return !model.thread(thread).woken || holder < 0 ? std::vector<int>{} : std::vector<int>{holder};
    }
    case Act::join:
      return {operation.argument};
    default:
      return {};
  }
}

std::string verb_of(const Operation& operation) {
  const bool tries = operation.patience == Persistence::tries;
  switch (operation.verb) {
    case Act::lock:
      return tries ? "try_lock" : "lock";
    case Act::unlock:
    case Act::rwunlock:
      return "unlock";
    case Act::wait:
    case Act::leave:
      return "wait";
    case Act::signal:
      return "signal";
    case Act::broadcast:
      return "broadcast";
    case Act::rdlock:
      return tries ? "try_lock_shared" : "lock_shared";
    case Act::wrlock:
      return tries ? "try_lock" : "lock";
    case Act::sem_wait:
      return tries ? "sem_trywait" : "sem_wait";
    case Act::sem_post:
      return "sem_post";
    case Act::barrier:
    case Act::at_barrier:
      return "barrier";
    case Act::once:
      return "once";
    case Act::join:
      return "join";
    case Act::sleep:
      return "sleep";
    case Act::yield:
      return "yield";
    case Act::exit:
      return "exit";
    case Act::futex_wait:
    case Act::in_futex:
      return "futex_wait";
    case Act::futex_wake:
      return "futex_wake";
    case Act::take_in:
    case Act::give_out:
    case Act::look_out:
    case Act::file_lock:
    case Act::in_file_lock:
      return call_name(operation.call);
    case Act::file_unlock:
      return "unlock";
    case Act::sig_wait:
    case Act::in_sig_wait:
      return "sigwait";
    case Act::sig_send:
      return "send";
    case Act::none:
      break;
  }
  return {};
}

std::string text_of(const Operation& operation, const SharedBoard& board, const NameOf& name_of) {
  const std::string verb = verb_of(operation);
  switch (operation.verb) {
    case Act::join:
      return fmt::format("join {}", thread_name(board, operation.argument));
    case Act::leave:
    case Act::in_futex:
    case Act::at_barrier:
      return fmt::format("waits at {}", name_of(operation.object));
    case Act::sleep:
    case Act::yield:
    case Act::exit:
      return verb;
    case Act::sig_wait:
    case Act::in_sig_wait:
    case Act::sig_send:
      return fmt::format("{} {}", verb, signals_text(operation.mutex));
    default:
      return fmt::format("{} {}", verb, name_of(operation.object));
  }
}

Ended ending_of(const SharedBoard& board, Stop stop, const std::string& output, const std::string& place,
                const NameOf& name_of) {
  using record::Verdict;
  PrimitiveModel& model = const_cast<SharedBoard&>(board).model;  // it keeps things that it is asked of
  Ended ended;
  if (stop == Stop::late || stop == Stop::too_long) {
    ended.verdict = Verdict::hung;
    ended.ending = record::Ending::stuck;
    ended.what = stop == Stop::late ? place : fmt::format("no end after {} steps", kStepsMost);
    return ended;
  }
  if (stop == Stop::stuck) {
    ended.ending = record::Ending::stuck;
    ended.cycles = cycles_of(model);
    put_in_order(board, ended.cycles);
    ended.verdict = ended.cycles.empty() ? Verdict::hung : Verdict::deadlock;
    for (const auto& cycle : ended.cycles)
      ended.what += fmt::format("{}{}", ended.what.empty() ? "" : ", ", cycle_text(board, cycle));
    if (ended.cycles.empty()) ended.what = fmt::format("nobody is left to wake {}", waits_text(board, name_of));
    return ended;
  }
  if (WIFSIGNALED(board.status)) {
    ended.verdict = Verdict::crashed;
    ended.what = fmt::format("{} {}", signal_name(WTERMSIG(board.status)), crash_text(board, place, name_of));
    if (const std::string words = last_words(output); !words.empty()) ended.what += ": " + words;
    return ended;
  }
  // Somebody may wait for ever without keeping main from its end. A thread that only waits to be woken does no harm.
  ended.cycles = cycles_of(model);
  put_in_order(board, ended.cycles);
  if (!ended.cycles.empty()) {
    ended.verdict = Verdict::deadlock;
    ended.what = fmt::format("{}, while main ends", cycle_text(board, ended.cycles.front()));
    return ended;
  }
  if (const int code = WEXITSTATUS(board.status); code != 0) {
    const std::string words = last_words(output);
    ended.verdict = is_of_sanitizer(words) ? Verdict::crashed : Verdict::error;
    ended.what = fmt::format("exit code {}", code);
    if (ended.verdict == Verdict::crashed) ended.what += " " + crash_text(board, place, name_of);
    if (!words.empty()) ended.what += ": " + words;
    return ended;
  }
  if (std::string misuse = misuse_of(board, name_of); !misuse.empty()) {
    ended.verdict = Verdict::error;
    ended.what = std::move(misuse);
  }
  return ended;
}

}  // namespace lockstep::foreign
