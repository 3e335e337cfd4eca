// process.h: a program under control, as its driver sees it (model/board.h): started once, stopped before its main, and
// forked from there for every run.
//
// The program and all its runs are a session of their own, so that ^C in the terminal does not reach them. They end
// with this process, however it ends.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/foreign/model/board.h"
#include "engine/schedule/schedule.h"
#include "kv/base/clock.h"
#include "kv/base/result.h"

namespace lockstep::foreign {

/// What is to be run.
struct ProgramCall {
  std::vector<std::string> words;  ///< the program as it was typed, and its arguments
  std::string path;                ///< of the program: absolute
  std::string folder;              ///< where it runs
};

/// The file that a program of this name is run from, looked for in PATH when it has no slash; empty: there is none.
std::string program_in_path(const std::string& name);

/// The program that the words name, looked for in PATH when it has no slash. Fault::invalid, in one sentence: it is not
/// there, no program of this machine, statically linked, or has rights of its own.
Result<ProgramCall> call_of(const std::vector<std::string>& words);

/// True when code of the program itself waits in futexes, as std::barrier, std::latch and std::atomic::wait are
/// compiled into it. Then its atomics decide what its threads do, and no step shows which.
bool waits_by_itself(const ProgramCall& call);

/// The library that is loaded into programs; empty: it is not where this program can find it.
std::string library_path();
/// What goes into the environment of the program, so that it is under control: "LD_PRELOAD=…".
std::vector<std::string> environment_of_control(const ProgramCall& call, const std::string& board);

/// Not thread-safe, and for the thread that started it: it ends with that one.
class Process {
 public:
  /// Fault::invalid: the program ends or stands before its main is reached. Fault::unavailable: this machine does not
  /// give what is needed.
  static Result<std::unique_ptr<Process>> start(const ProgramCall& call);
  /// A program that a debugger is to start, with board_path() and library_path() in its environment.
  static Result<std::unique_ptr<Process>> await();
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  SharedBoard& board() noexcept { return *board_; }
  const SharedBoard& board() const noexcept { return *board_; }
  pid_t server() const noexcept { return server_; }

  /// Lets a run begin; the one before has ended. The first `planned` choices are taken without a question.
  void begin(const std::vector<Choice>& planned);
  /// For another process.
  std::string board_path() const;

  enum class News : std::uint8_t {
    asks,     ///< board().choices has what could be next; none: nobody can go
    ended,    ///< board().status says how
    refused,  ///< board().refusal says why; it stands still
    nothing,  ///< nothing has happened within the time
    lost,     ///< the server is gone
    arrived,  ///< a debugger has started the program: begin() lets it go on
  };
  /// What has happened since, or within `most`.
  News wait(Nanos most);
  void answer(const Choice& choice);
  /// Lets the thread write down where it is, which ends the run; nothing happens when it cannot within a second.
  void interrupt(int thread);
  /// Ends the run in hand. Returns when it has ended.
  void end_run();

  /// What the run has printed, at most so many bytes of its end.
  std::string output(std::size_t most = 64 * 1024) const;

 private:
  Process() = default;
  Result<void> open_board();
  Result<void> spawn(const ProgramCall& call);

  SharedBoard* board_ = nullptr;
  int board_file_ = -1, output_file_ = -1;
  pid_t server_ = -1;
  std::uint32_t runs_ = 0;
  std::uint32_t heard_ = 0;    ///< questions
  std::uint32_t arrived_ = 0;  ///< runs under a debugger
  bool refused_ = false;
};

}  // namespace lockstep::foreign
