// board.h: the memory that a program under control shares with Lockstep, and who writes what of it.
//
// Three processes see it. The *driver* is Lockstep. It starts the program, whose preloaded library stops before main
// and becomes the *server*: it forks one *run* after the other. In the run one thread goes at a time, the one whose
// `turn` is set. The thread that gives its turn up finds out who may go (model.h). One choice: it takes it, and writes
// it down. Several: it follows the `plan` as far as that reaches, and then asks the driver.
//
//     driver                          server                      run
//     reset(), ++wanted, wakes  --->  forks                --->   main begins
//                                                                 ++asked, rings the bell
//     reads `step`s, sets `answer`, ++answered, wakes      --->   takes the step, writes it down
//                                     waits for its end    <---   ends, crashes, or is killed by the driver
//                               <---  status, ++ended, rings the bell
//
// Under a debugger there is no server: gdb starts the program, which is the run. It does ++arrived before its main, and
// waits until the driver has reset() the board. It asks before every step.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/foreign/model/model.h"
#include "engine/gdb/layout/registry_layout.h"

namespace lockstep::foreign {

inline constexpr std::uint32_t kBoardVersion = 3;
inline constexpr std::uint32_t kStepsMost = 20'000;  ///< of a run
/// Where the program finds the board: the number of a file descriptor, or a path. Taken out of its environment before
/// main.
inline constexpr const char* kBoardVariable = "LOCKSTEP_BOARD";
/// Under a debugger: the number of steps before which the run is to stop.
inline constexpr const char* kStepVariable = "LOCKSTEP_DEBUG";
/// Where the board lies in the program, and in every run of it.
inline constexpr std::uint64_t kBoardAddress = 0x2a00'0000'0000;
/// Stacks and heaps lie at the same place in every run, whichever thread makes its first one first: a room for each.
inline constexpr std::uint64_t kStacksAddress = 0x2b00'0000'0000;
inline constexpr std::uint64_t kStackRoom = std::uint64_t{1} << 30U;
inline constexpr std::uint64_t kHeapsAddress = 0x2c00'0000'0000;
/// What stands for a file: | FileKind << 24 | thread << 16 | which << 1, and 1 for the way back; of any file | its
/// number.
inline constexpr std::uint64_t kFilesAddress = 0x2d00'0000'0000;
/// What stands for a file that is locked: | a hash of its path << 4.
inline constexpr std::uint64_t kFileLocksAddress = 0x2e00'0000'0000;
/// Signals that are waited for: one thing for them all.
inline constexpr std::uint64_t kSignalsAddress = 0x2f00'0000'0000;
inline constexpr std::uint64_t kHeapRoom = std::uint64_t{1} << 34U;

/// A choice as a bit: thread * 2, and 1 more for a time-out.
constexpr std::uint64_t bit_of(int thread, bool times_out) noexcept {
  return std::uint64_t{1} << static_cast<unsigned>(thread * 2 + (times_out ? 1 : 0));
}

/// A step that was taken. It is whole once the next one begins, the driver is asked or the run has ended.
struct StepRecord {
  std::uint64_t choices = 0;  ///< what could have been taken, as bits
  std::int8_t thread = 0;
  bool times_out = false;
  Operation operation;  ///< as it stood before the step
  std::int32_t result = 0;
  std::int64_t at = 0;                 ///< virtual nanoseconds
  std::uint32_t begun = 0, ended = 0;  ///< threads that began or ended within it, a bit each
  Touches touches;
};

inline constexpr std::uint32_t kFramesMost = 48;

/// How a signal ended the run, as the thread that it came to has seen it.
struct CrashRecord {
  std::int32_t signal = 0;  ///< 0: none was seen
  std::int32_t thread = -1;
  std::uint64_t address = 0;  ///< what it is about, of a wrong access
  std::uint32_t depth = 0;
  std::uint64_t frame[kFramesMost] = {};  ///< return addresses, the innermost first; it is one behind where it stood
};

/// Which thread is meant by an index, in every run: the nth that its parent made.
struct Identity {
  std::int8_t parent = -1;
  std::uint16_t nth = 0;
};

inline constexpr std::uint32_t kNamedFilesMost = 32;

/// A file that is locked.
struct NamedFile {
  std::uint64_t object = 0;
  char path[120] = {};
};

enum class Refusal : std::uint32_t { none, unsupported, too_long, too_many, threads_before_main };

struct SharedBoard {
  std::uint32_t version = kBoardVersion;
  std::uint32_t size = 0;

  // -- bells: futexes --
  std::atomic<std::uint32_t> wanted{0};    ///< driver: the number of the run that is to begin
  std::atomic<std::uint32_t> bell{0};      ///< everybody: something has happened
  std::atomic<std::uint32_t> answered{0};  ///< driver
  std::atomic<std::uint32_t> turn[kThreadsMost] = {};

  // -- server --
  std::atomic<std::uint32_t> ready{0};  ///< 1: it stands before main
  std::atomic<std::uint32_t> ended{0};  ///< the number of the run that has ended
  std::int32_t server = 0, run = 0;     ///< process ids
  std::int32_t status = 0;              ///< as waitpid() gives it
  std::uint64_t anchor = 0;             ///< an address on the stack of main, where its frames begin
  std::int32_t output = -1;             ///< driver: the descriptor that takes what a run prints
  bool waits_by_itself = false;         ///< driver: its atomics matter, see sched_yield() in preload/clock.cc
  std::int32_t processor = -1;          ///< driver: that the program is to run on; below 0: any

  // -- run --
  std::atomic<std::uint32_t> asked{0};
  std::uint64_t choices = 0;  ///< of the question; 0: nobody can go
  std::uint32_t steps = 0;
  std::int32_t running = 0;
  Refusal refusal = Refusal::none;
  char refused[192] = {};        ///< what, for people
  std::uint64_t refused_at = 0;  ///< who called
  std::uint32_t stack_size = 0;
  std::int8_t stack[2 * kThreadsMost] = {};  ///< threads that go on within the step in hand, the next one last
  Touches before;                            ///< what is touched before the first step
  CrashRecord crash;
  bool waits_outside = false;  ///< nobody can go until something comes from outside of the process
  bool from_outside = false;   ///< that has happened
  bool at_outside = false;     ///< a step has asked a file that is not the process's own

  // -- driver --
  std::int32_t answer = 0;    ///< thread * 2, and 1 more for a time-out
  std::uint32_t planned = 0;  ///< as many choices are known beforehand
  std::uint8_t plan[kStepsMost] = {};

  // -- under a debugger --
  bool debugged = false;                  ///< driver
  std::atomic<std::uint32_t> arrived{0};  ///< run: how many have begun
  debugging::Registry registry;           ///< driver: how the run stands; stop_at and forced are the debugger's

  // -- kept from run to run --
  std::uint32_t identities = 0;
  Identity identity[kThreadsMost];
  std::uint64_t handles[kThreadsMost] = {};    ///< pthread_t, of this run
  std::int32_t kernel_ids[kThreadsMost] = {};  ///< of its threads

  std::uint32_t named_files = 0;
  NamedFile named_file[kNamedFilesMost];

  PrimitiveModel model;
  StepRecord step[kStepsMost];
};

}  // namespace lockstep::foreign
