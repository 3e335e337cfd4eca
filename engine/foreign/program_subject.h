// program_subject.h: a program of its own, as what a search runs (engine/explore/subject.h).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/explore/subject.h"
#include "engine/foreign/ending.h"
#include "engine/foreign/names.h"
#include "engine/foreign/process.h"

namespace lockstep::foreign {

struct ProgramLimits {
  Nanos of_operation = std::chrono::seconds(10);  ///< between two operations of a thread, in real time
};

/// Not thread-safe; for the thread that opened it.
class ProgramSubject final : public Subject {
 public:
  /// Faults: as Process::start(). `stop` outlives it.
  static Result<std::unique_ptr<ProgramSubject>> open(const ProgramCall& call, const ProgramLimits& limits,
                                                      const StopSource* stop = nullptr);

  /// A program that a debugger will start: nothing is performed, and what it does is named.
  static Result<std::unique_ptr<ProgramSubject>> await(const ProgramCall& call);

  std::string name() const override { return call_.words.front(); }
  const std::vector<std::string>& actors() const noexcept override { return actors_; }
  bool is_deterministic() const noexcept override { return true; }
  bool is_quick() const noexcept override { return false; }
  void tell(Footprint* footprint) override { footprint_ = footprint; }
  void give_up_at(Nanos until) override { give_up_at_ = until; }
  Result<void> perform(Schedule& schedule) override;
  void find_blocked(Footprint& footprint, std::vector<Step>& blocked) override;
  std::string untold() const override;
  record::Ending ending() const noexcept override { return ending_; }
  const std::vector<Choice>& taken() const noexcept override { return taken_; }
  RunEnd judge(record::Run& run) override;

  /// The threads of a schedule from another time. False: there are no such names.
  bool know_threads(const std::vector<std::string>& names);
  /// Becomes true when a run has asked a file that is not its process's own. It outlives the subject.
  void tell_of_outside(std::atomic<bool>* met) { met_outside_ = met; }
  /// Who could take a step, of the choices as bits.
  std::vector<Candidate>& candidates(std::uint64_t choices);
  /// What has been named is not known any more: another process has begun.
  void forget_names();
  /// Why the program cannot be controlled any further.
  Error refusal();

  /// The first choices of the next runs, which the program takes without a question; perform()'s schedule must say the
  /// same.
  void plan(std::vector<Choice> choices) { plan_ = std::move(choices); }

  Process& process() noexcept { return *process_; }
  const SharedBoard& board() const noexcept { return process_->board(); }
  /// After perform(), once: how it ended.
  const Ended& ended();
  std::string output() const { return process_->output(); }
  /// The stack of the thread that a signal met, the innermost first: "withdraw() at bank.cc:12". Empty: none did.
  std::vector<std::string> crash_stack();
  /// What people call the thing.
  std::string object_name(std::uint64_t address);
  Symbols& symbols();

 private:
  ProgramSubject(ProgramCall call, const ProgramLimits& limits, const StopSource* stop)
      : call_(std::move(call)), limits_(limits), stop_(stop), waits_by_itself_(waits_by_itself(call_)) {}

  Result<void> restart();
  Result<void> feed(Schedule& schedule);
  Result<void> follow(Schedule& schedule);
  void tell_step(const StepRecord& step);
  void learn_threads();
  std::string what_it_is_in();
  std::string place_of_crash();

  const ProgramCall call_;
  const ProgramLimits limits_;
  const StopSource* const stop_;
  const bool waits_by_itself_;  ///< no two of its steps commute
  std::unique_ptr<Process> process_;
  std::unique_ptr<Symbols> symbols_;
  Footprint* footprint_ = nullptr;
  Nanos give_up_at_ = kNever;
  std::vector<std::string> actors_;
  std::vector<Choice> plan_;
  std::atomic<bool>* met_outside_ = nullptr;
  std::unordered_map<std::uint64_t, std::string> names_;
  std::vector<Candidate> candidates_;

  // Of the latest run.
  std::vector<Choice> taken_;
  bool asked_ahead_ = false;  ///< the schedule has already said which step comes behind those that are fed
  std::optional<Stop> stopped_;
  std::string late_;
  record::Ending ending_ = record::Ending::complete;
  std::optional<Ended> ended_;
};

}  // namespace lockstep::foreign
