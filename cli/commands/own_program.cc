// own_program.cc: see own_program.h.
#include "cli/commands/own_program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/commands/budget.h"
#include "cli/commands/gdb_session.h"
#include "cli/commands/schedule_files.h"
#include "cli/text/explore_text.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/run_text.h"
#include "cli/text/text.h"
#include "cli/text/ticker.h"
#include "engine/explore/explore.h"
#include "engine/foreign/debugged.h"
#include "engine/foreign/test_names.h"
#include "reports/junit.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFindingsSaved = 8;
constexpr std::size_t kOutputLines = 12;
constexpr std::size_t kFramesShown = 12;

Result<foreign::ProgramCall> call_typed(const Program& program) {
  return foreign::call_of(program.arguments.all("--"));
}

foreign::ProgramLimits limits_of(const Program& program, const RunRequest& request) {
  foreign::ProgramLimits limits;
  if (program.arguments.has("timeout")) limits.of_operation = request.limit;
  return limits;
}

/// `lockstep run --schedule "T1 T2" -- ./server-test 8`
std::string command_of_program(const foreign::ProgramCall& call, const std::string& schedule) {
  std::string command = "lockstep run";
  if (!schedule.empty()) command += " --schedule " + shell_quoted(schedule);
  command += " --";
  for (const std::string& each : call.words) command += " " + shell_quoted(each);
  return command;
}

/// What the failing run printed, at its end.
std::string output_text(const record::Run& run, const Terminal& terminal) {
  const std::string output = foreign::output_of(run);
  if (output.empty()) return {};
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < output.size();) {
    const std::size_t end = std::min(output.find('\n', begin), output.size());
    lines.push_back(output.substr(begin, end - begin));
    begin = end + 1;
  }
  // A sanitizer says the most first.
  const auto report = std::find_if(lines.begin(), lines.end(), [](const std::string& each) {
    return each.find("ERROR: AddressSanitizer") != std::string::npos;
  });
  const std::size_t tail = lines.size() > kOutputLines ? lines.size() - kOutputLines : 0;
  const std::size_t first = std::min(tail, static_cast<std::size_t>(report - lines.begin()));
  const std::size_t end = std::min(first + kOutputLines, lines.size());
  std::string text = end < lines.size() ? "of its output\n" : first > 0 ? "its output ends with\n" : "its output\n";
  for (std::size_t i = first; i < end; ++i) text += "  " + terminal.clean(lines[i]) + "\n";
  return text;
}

/// Where a signal met it.
std::string stack_text(const record::Run& run, const Terminal& terminal) {
  const std::vector<std::string> stack = foreign::stack_of(run);
  if (stack.empty()) return {};
  std::string text = "its stack\n";
  for (std::size_t i = 0; i < std::min(stack.size(), kFramesShown); ++i)
    text += fmt::format("  #{:<2} {}\n", i, terminal.clean(stack[i]));
  if (stack.size() > kFramesShown) text += fmt::format("  and {} more\n", stack.size() - kFramesShown);
  return text;
}

/// Empty where it was not saved; then `code` says so.
std::string save(Program& program, record::Run& run, int& code) {
  if (program.arguments.has("no-record")) return {};
  const auto saved = record::save(run, runs_folder(program.arguments));
  if (saved) return *saved;
  complain(saved.error().message);
  if (code == kAsExpected) code = kInternal;
  return {};
}

Result<void> keep_schedule(const record::Run& run, OutputFile& file) {
  const Result<foreign::ProgramSchedule> schedule = foreign::program_schedule_of(run);
  if (!schedule) return schedule.error();
  return file.keep(foreign::to_text(*schedule));
}

/// What goes for scenarios alone.
std::string not_for_programs(const Arguments& arguments) {
  for (const char* const option :
       {"store", "protocol", "pattern", "dsn", "graph", "direct", "hold", "predict", "serve"}) {
    if (arguments.has(option)) return fmt::format("--{} is for scenarios, not for a program behind --", option);
  }
  return {};
}

/// For CI: a case has failed when a run ends badly, and is skipped when the budget was spent before.
reports::JunitCase junit_case(const foreign::ProgramCall& call, const std::string& name, const Exploration& explored,
                              int code) {
  using Status = reports::JunitCase::Status;
  reports::JunitCase one{.scenario = call.words.front(), .name = name, .seconds = explored.seconds};
  for (const Finding& each : explored.findings) {
    if (is_good(each.verdict)) continue;
    const std::string text = fmt::format("{} {}", record::name_of(each.verdict), each.what);
    if (one.message.empty()) one.message = text;
    one.lines.push_back(text);
    one.lines.push_back(each.shortest.command);
  }
  if (!one.message.empty()) {
    one.status = Status::failed;
  } else if (code == kTimeBudgetHit || code == kInterrupted) {
    one.status = Status::skipped;
    one.message =
        fmt::format("{} without a bad end; not all of them have been run", counted(explored.runs, "run", "runs"));
  }
  return one;
}

Result<Exploration> search(Program& program, const foreign::ProgramCall& call, ExploreRequest& request) {
  RunRequest coordinates = request.run;
  coordinates.store = record::kNoStore;
  coordinates.protocol = record::kNoProtocol;
  coordinates.pattern = "program";
  coordinates.retries.reset();
  const foreign::ProgramExplorable explorable(call, limits_of(program, request.run), &program.stop);
  std::atomic<std::uint64_t> runs{0};
  request.progress = [&runs](std::uint64_t done) { runs.store(done, std::memory_order_relaxed); };
  Ticker ticker(!program.quiet, "explore " + call.words.front(),
                [&runs] { return counted(runs.load(std::memory_order_relaxed), "run", "runs"); });
  // Every other search is one worker's.
  const int jobs = !is_sampling(request.strategy) ? 1 : request.jobs > 0 ? request.jobs : jobs_by_default(request);
  Result<Exploration> result = explore(explorable, coordinates, request, jobs, &program.stop, RealClock().now());
  ticker.end();
  if (result) result->grain = foreign::grain_of(call, explorable.met_outside());
  return result;
}

Result<void> keep_junit(OutputFile& file, std::vector<reports::JunitCase> cases) {
  return file.keep(reports::junit_document({.name = "lockstep explore", .cases = std::move(cases)}));
}

/// A search, and what is kept of it.
struct Searched {
  Exploration explored;
  std::vector<std::string> ids = {};  ///< of the findings that are saved, in their places
  bool is_clean = false;
  int code = kAsExpected;
};

Result<Searched> search_and_save(Program& program, const foreign::ProgramCall& call, ExploreRequest& request) {
  Result<Exploration> result = search(program, call, request);
  if (!result) return result.error();
  Searched searched{.explored = std::move(*result)};
  Exploration& explored = searched.explored;
  note_ranks_without_work(program, explored);
  searched.is_clean = std::all_of(explored.findings.begin(), explored.findings.end(),
                                  [](const Finding& each) { return is_good(each.verdict); });
  const bool is_partial = !explored.complete && !is_sampling(request.strategy);
  searched.code = explored.interrupted ? int{kInterrupted}
                  : !searched.is_clean ? int{kNotAsExpected}
                  : is_partial         ? int{kTimeBudgetHit}
                                       : int{kAsExpected};
  for (Finding& each : explored.findings) {
    searched.ids.emplace_back();
    each.shortest.command = command_of_program(call, each.shortest.schedule);
    const bool wanted = !is_good(each.verdict) || (searched.is_clean && searched.ids.size() == 1);
    if (wanted && searched.ids.size() <= kFindingsSaved && !save(program, each.shortest, searched.code).empty())
      searched.ids.back() = each.shortest.id;
  }
  return searched;
}

/// "Accounts.TransferCrosswise  3 orders, complete: deadlock T1 → T2 → T1; lockstep debug 7f3a"
std::string test_line(const Program& program, const std::string& test, std::size_t width, const Searched& searched) {
  const Exploration& explored = searched.explored;
  std::string text = fmt::format("{:{}}  {}, {}: ", test, width, counted(explored.runs, "run", "runs"),
                                 explored.complete                ? "all orders"
                                 : is_sampling(explored.strategy) ? "samples"
                                                                  : "not all orders");
  if (searched.is_clean) return text + "none ends badly\n";
  const Finding& worst = explored.findings.front();
  text += fmt::format("{} {}", record::name_of(worst.verdict), program.terminal.clean(worst.what));
  if (!searched.ids.front().empty())
    text += "; lockstep debug " + short_id(searched.ids.front(), runs_folder(program.arguments));
  return text + "\n";
}

/// Each test of a test program by itself: its orders are its own, and so is what is wrong with it.
int explore_each_test(Program& program, const foreign::ProgramCall& call, ExploreRequest& request,
                      const std::unique_ptr<OutputFile>& junit_file) {
  const Result<std::vector<std::string>> tests = foreign::tests_of(call);
  if (!tests) return fail_with(tests.error());
  std::size_t width = 0, bad = 0, partial = 0;
  for (const std::string& each : *tests) width = std::max(width, each.size());
  std::vector<reports::JunitCase> cases;
  bool is_interrupted = false;
  for (const std::string& test : *tests) {
    const foreign::ProgramCall one = foreign::call_of_test(call, test);
    const Result<Searched> searched = search_and_save(program, one, request);
    if (!searched) return fail_with(searched.error());
    const Exploration& explored = searched->explored;
    bad += searched->is_clean ? 0 : 1;
    partial += searched->is_clean && searched->code == kTimeBudgetHit ? 1 : 0;
    cases.push_back(junit_case(call, test, explored, searched->code));
    program.out.write(program.json ? explore_json(test, explored, searched->ids, searched->is_clean)
                                   : test_line(program, test, width, *searched));
    is_interrupted = explored.interrupted || program.stopped();
    if (is_interrupted) break;
  }
  if (!program.json && !program.quiet) {
    program.out.write(fmt::format("{}: {} in some order{}\n", counted(cases.size(), "test", "tests"),
                                  bad == 0 ? "none ends badly" : counted(bad, "ends badly", "end badly"),
                                  partial == 0 ? "" : fmt::format("; of {} not all orders were run", partial)));
  }
  if (junit_file) {
    if (const Result<void> kept = keep_junit(*junit_file, std::move(cases)); !kept) return fail_with(kept.error());
  }
  return is_interrupted ? int{kInterrupted}
         : bad > 0      ? int{kNotAsExpected}
         : partial > 0  ? int{kTimeBudgetHit}
                        : int{kAsExpected};
}

/// Says first what gdb is to do, up to an empty line.
int serve(Program& program, foreign::DebuggedProgram& debugged) {
  for (const std::string& each : debugged.commands_for_gdb()) program.out.write(each + "\n");
  program.out.write("\n");
  std::atomic<bool> ended{false};
  std::thread server([&] { debugged.serve(ended); });
  char ignored[64];
  ssize_t got = 0;
  do {
    got = ::read(STDIN_FILENO, ignored, sizeof ignored);
  } while (got > 0 || (got < 0 && errno == EINTR));
  ended.store(true, std::memory_order_relaxed);
  server.join();
  return kAsExpected;
}

}  // namespace

bool is_own_program(const Program& program, const std::string& argument) {
  return !program.arguments.has(argument) && program.arguments.has("--");
}

bool is_of_program(const record::Run& run) { return run.documents.contains(foreign::kProgramDocument); }

int run_own_program(Program& program) {
  if (const std::string wrong = not_for_programs(program.arguments); !wrong.empty()) return usage_error(wrong);
  RunRequest request;
  if (const std::string error = read_run_options(program.arguments, request); !error.empty()) return usage_error(error);
  const Result<foreign::ProgramCall> call = call_typed(program);
  if (!call) return fail_with(call.error());
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  Ticker ticker(!program.quiet, "run " + call->words.front());
  Result<record::Run> ran = foreign::run(*call, request.schedule, limits_of(program, request), &program.stop);
  ticker.end();
  if (!ran) return program.stopped() ? int{kInterrupted} : fail_with(ran.error());
  record::Run& run = *ran;
  run.command = command_of_program(*call, run.schedule);
  if (program.arguments.has("expect")) run.expected = record::verdict_named(program.arguments.value("expect"));
  int code = run.as_expected() ? kAsExpected : kNotAsExpected;
  const std::string path = save(program, run, code);
  if (program.json) {
    program.out.write(run_json(run, path));
  } else if (program.quiet) {
    program.out.write(verdict_line(run, program.terminal));
  } else {
    RunTextOptions options{.lanes = {.full = program.arguments.has("full")}, .path = path, .hints = {}};
    if (!path.empty()) options.hints = hints_for(run, short_id(run.id, runs_folder(program.arguments)));
    program.out.write(run_text(run, program.terminal, options));
    program.out.write(stack_text(run, program.terminal));
    program.out.write(output_text(run, program.terminal));
  }
  if (*schedule_file) {
    if (const Result<void> kept = keep_schedule(run, **schedule_file); !kept) return fail_with(kept.error());
  }
  return code;
}

int explore_own_program(Program& program) {
  if (const std::string wrong = not_for_programs(program.arguments); !wrong.empty()) return usage_error(wrong);
  std::string error;
  ExploreRequest request;
  if (error = read_run_options(program.arguments, request.run); !error.empty()) return usage_error(error);
  if (error = read_budget(program.arguments, request); !error.empty()) return usage_error(error);
  if (error = read_jobs(program.arguments, request.jobs); !error.empty()) return usage_error(error);
  request.strategy = *strategy_named(program.arguments.value("strategy", "exhaustive"));
  request.until_failure = program.arguments.has("until-failure");
  request.ranks = &program.ranks();
  if (request.ranks->are_several() && program.arguments.has("each-test"))
    return usage_error("--each-test is for one process; a job of several ranks makes one search");
  const Result<foreign::ProgramCall> call = call_typed(program);
  if (!call) return fail_with(call.error());
  if (!request.ranks->leads()) {
    const Result<Exploration> shared = search(program, *call, request);
    return shared ? int{kAsExpected} : fail_with(shared.error());
  }
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  const auto junit_file = file_asked_for(program.arguments, "junit");
  if (!junit_file) return fail_with(junit_file.error());
  if (program.arguments.has("each-test")) {
    if (*schedule_file) return usage_error("--save-schedule is for one search, --each-test makes several");
    return explore_each_test(program, *call, request, *junit_file);
  }
  Result<Searched> result = search_and_save(program, *call, request);
  if (!result) return fail_with(result.error());
  const auto& [explored, ids, is_clean, code] = *result;
  if (*schedule_file && !explored.findings.empty()) {
    const Result<void> kept = keep_schedule(explored.findings.front().shortest, **schedule_file);
    if (!kept) return fail_with(kept.error());
  }
  if (*junit_file) {
    if (const Result<void> kept = keep_junit(
            **junit_file, {junit_case(*call, fmt::format("{}", fmt::join(call->words, " ")), explored, code)});
        !kept)
      return fail_with(kept.error());
  }
  if (program.json) {
    program.out.write(explore_json(call->words.front(), explored, ids, is_clean));
  } else if (program.quiet) {
    program.out.write(explore_line(explored));
  } else {
    const auto worst = std::find_if(ids.begin(), ids.end(), [](const std::string& id) { return !id.empty(); });
    std::vector<Hint> hints;
    if (worst != ids.end()) {
      const record::Run& saved = explored.findings[static_cast<std::size_t>(worst - ids.begin())].shortest;
      hints = hints_for(saved, short_id(*worst, runs_folder(program.arguments)));
    }
    program.out.write(explore_text(explored, program.terminal, hints));
    if (!is_clean) {
      program.out.write(stack_text(explored.findings.front().shortest, program.terminal));
      program.out.write(output_text(explored.findings.front().shortest, program.terminal));
    }
  }
  return code;
}

int replay_own_program(Program& program, const foreign::ProgramSchedule& schedule, const std::string& name) {
  ReplayOptions options;
  for (const auto& [option, number] : {std::pair{"until", &options.until}, std::pair{"times", &options.times}}) {
    if (!program.arguments.has(option)) continue;
    const std::string text = program.arguments.value(option);
    char* end = nullptr;
    *number = std::strtoull(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0') return usage_error(fmt::format("--{} \"{}\" is no number", option, text));
  }
  if (options.times == 0) return usage_error("--times 0: once at least");
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  Ticker ticker(!program.quiet, "replay " + name);
  const Result<Replay> replayed = foreign::replay(schedule, options, {}, &program.stop);
  ticker.end();
  if (!replayed) return program.stopped() ? int{kInterrupted} : fail_with(replayed.error());
  if (program.json) {
    program.out.write(replay_json(*replayed, is_schedule_file(name) ? "" : name));
  } else if (program.quiet) {
    program.out.write(replay_line(*replayed, program.terminal));
  } else {
    program.out.write(replay_text(*replayed, program.terminal, {.full = program.arguments.has("full")}));
  }
  if (program.stopped()) return kInterrupted;
  if (replayed->divergence) return kNotAsExpected;
  if (*schedule_file && !replayed->stopped) {
    if (const Result<void> kept = keep_schedule(replayed->run, **schedule_file); !kept) return fail_with(kept.error());
  }
  return kAsExpected;
}

int debug_own_program(Program& program, const foreign::ProgramSchedule& schedule, const std::string& path) {
  const Result<std::unique_ptr<foreign::DebuggedProgram>> debugged = foreign::DebuggedProgram::open(schedule);
  if (!debugged) return fail_with(debugged.error());
  if (program.arguments.has("serve")) return serve(program, **debugged);
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = fs::absolute(path, error).parent_path();
  GdbSession session{
      .title = fmt::format("{}: {}, {}", folder.filename().string(), fmt::join(schedule.call.words, " "),
                           record::name_of(schedule.verdict)),
      .folder = folder.string(),
      .command = schedule.call.words,
      .server = {self.string(), "debug", folder.filename().string(), "--serve", "--out", folder.parent_path().string()},
      .working_folder = schedule.call.folder,
      .step = (*debugged)->fatal_step()};
  session.command.front() = schedule.call.path;
  if (const std::string wrong = read_step(program.arguments, session.step); !wrong.empty()) return usage_error(wrong);
  return debug_in_gdb(program, session);
}

int debug_own_program(Program& program) {
  if (const std::string wrong = not_for_programs(program.arguments); !wrong.empty()) return usage_error(wrong);
  const Result<foreign::ProgramCall> call = call_typed(program);
  if (!call) return fail_with(call.error());
  ExploreRequest request;
  Result<Exploration> explored = search(program, *call, request);
  if (!explored) return fail_with(explored.error());
  for (Finding& each : explored->findings) {
    if (is_good(each.verdict)) continue;
    int code = kAsExpected;
    each.shortest.command = command_of_program(*call, each.shortest.schedule);
    const std::string path = save(program, each.shortest, code);
    if (path.empty()) return code;
    const Result<foreign::ProgramSchedule> schedule = foreign::program_schedule_of(each.shortest);
    return schedule ? debug_own_program(program, *schedule, path) : fail_with(schedule.error());
  }
  return usage_error(fmt::format("{}: no run ends badly ({} runs{})", call->words.front(), explored->runs,
                                 explored->complete ? ", which is all of them" : ""));
}

}  // namespace lockstep::cli
