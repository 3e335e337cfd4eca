// explore.cc: `lockstep explore`: searches the interleavings of a scenario.
#include "engine/explore/explore.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/budget.h"
#include "cli/commands/commands.h"
#include "cli/commands/named_scenario.h"
#include "cli/commands/own_code.h"
#include "cli/commands/own_program.h"
#include "cli/commands/program.h"
#include "cli/commands/schedule_files.h"
#include "cli/text/explore_text.h"
#include "cli/text/hints.h"
#include "cli/text/json.h"
#include "cli/text/text.h"
#include "cli/text/ticker.h"
#include "engine/explore/grain.h"
#include "engine/record/exploration.h"

namespace lockstep::cli {
namespace {

constexpr std::size_t kSavedMost = 8;
constexpr std::size_t kStatesMost = 2000;  ///< of the state graph: about what a page can show

/// True when the promised verdict was seen, and no finding beside it. A finding is a broken invariant, or an actor that
/// waits for ever.
bool as_expected(const Scenario& scenario, const Exploration& explored) {
  using record::Verdict;
  const Pattern& pattern = *scenario.pattern_named(explored.run.pattern);
  const std::optional<Verdict> expected = pattern.expected(explored.run.store, explored.run.protocol);
  if (!expected) return true;
  for (const Finding& each : explored.findings) {
    const bool for_ever = each.verdict == Verdict::hung ||
                          (each.verdict == Verdict::deadlock && each.shortest.ending == record::Ending::stuck);
    if (each.shortest.documents.contains(record::kProgramErrorDocument)) return false;
    if ((each.verdict == Verdict::anomaly || each.verdict == Verdict::error || for_ever) && expected != each.verdict)
      return false;
  }
  return true;
}

/// Saves the first run for each way in which the database parts from the model, and notes its id.
void save_disagreements(Program& program, Exploration& explored, const std::string& folder, int& code) {
  if (program.arguments.has("no-record")) return;
  for (std::size_t i = 0; i < std::min(kSavedMost, explored.disagreements.size()); ++i) {
    record::Run& run = explored.disagreements[i].run;
    RunRequest request = explored.run;
    request.schedule = run.schedule;
    run.command = command_of(run, request);
    const auto saved = record::save(run, folder);
    if (saved) continue;
    complain(saved.error().message);
    if (code == kAsExpected) code = kInternal;
    return;
  }
}

record::ExplorationSummary summary_of(const Scenario& scenario, const Exploration& explored,
                                      const std::vector<std::string>& ids, bool is_as_expected) {
  const auto known = [](double number) { return number < 0 ? std::nullopt : std::optional<double>(number); };
  record::ExplorationSummary summary;
  summary.strategy = name_of(explored.strategy);
  summary.model = explored.model;
  summary.sampled = is_sampling(explored.strategy);
  summary.complete = explored.complete;
  summary.as_expected = is_as_expected;
  summary.expected = scenario.pattern_named(explored.run.pattern)->expected(explored.run.store, explored.run.protocol);
  if (!summary.sampled) summary.interleavings = known(explored.interleavings);
  if (!explored.model.empty()) {
    summary.classes = explored.classes;
  } else if (explored.strategy == Strategy::exhaustive || explored.strategy == Strategy::bounded) {
    summary.classes = explored.runs;
  }
  summary.runs = explored.runs;
  summary.pruned = explored.pruned;
  summary.left_out = explored.left_out;
  summary.seconds = explored.seconds;
  summary.seed = explored.run.seed;
  summary.grain = explored.grain;
  const double whole = summary.sampled ? static_cast<double>(explored.runs) : explored.interleavings;
  for (std::size_t i = 0; i < explored.findings.size(); ++i) {
    const Finding& each = explored.findings[i];
    const double part = summary.sampled ? static_cast<double>(each.runs) : each.interleavings;
    record::ExplorationSummary::WayToEnd& finding = summary.findings.emplace_back();
    finding.verdict = each.verdict;
    finding.what = each.what;
    finding.runs = each.runs;
    if (!summary.sampled) finding.interleavings = known(each.interleavings);
    if (part >= 0 && whole > 0) finding.share = part / whole;
    finding.preemptions = each.preemptions;
    finding.fewest_steps = each.fewest_steps;
    finding.schedule = each.shortest.schedule;
    finding.run = ids[i];
  }
  return summary;
}

/// Saves the shortest run of every way to end badly (of any way when none is bad), the first with the state graph and
/// what the search has found. Answers their ids, in the order of the findings; empty: not saved.
std::vector<std::string> save_all(Program& program, const Scenario& scenario, Exploration& explored,
                                  bool is_as_expected, int& code) {
  std::vector<std::string> ids;
  const std::string folder = runs_folder(program.arguments);
  const bool all_good = std::all_of(explored.findings.begin(), explored.findings.end(),
                                    [](const Finding& each) { return is_good(each.verdict); });
  for (Finding& each : explored.findings) {
    ids.emplace_back();
    const bool first = ids.size() == 1;
    const bool wanted = !is_good(each.verdict) || (all_good && first);
    if (!wanted || program.arguments.has("no-record") || ids.size() > kSavedMost) continue;
    each.shortest.documents[kGrainDocument] = grain_json(explored.grain);
    if (first && explored.graph)
      each.shortest.documents[record::kStateGraphDocument] = record::to_json(*explored.graph);
    RunRequest request = explored.run;
    request.schedule = each.shortest.schedule;
    each.shortest.command = command_of(each.shortest, request);
    const auto saved = record::save(each.shortest, folder);
    if (saved) {
      ids.back() = each.shortest.id;
    } else {
      complain(saved.error().message);
      if (code == kAsExpected) code = kInternal;
      break;
    }
  }
  ids.resize(explored.findings.size());
  if (!ids.empty() && !ids.front().empty()) {
    // Once more, now that the ids of the others are known.
    record::Run& first = explored.findings.front().shortest;
    first.documents[record::kExplorationDocument] =
        record::to_json(summary_of(scenario, explored, ids, is_as_expected));
    if (const auto saved = record::save(first, folder); !saved) {
      complain(saved.error().message);
      if (code == kAsExpected) code = kInternal;
    }
  }
  save_disagreements(program, explored, folder, code);
  return ids;
}

/// The state graph, for graphviz when the file's name ends in .dot, else as JSON.
Result<void> write_graph(const Exploration& explored, OutputFile& file) {
  if (!explored.graph) {
    return Error{Fault::invalid,
                 {},
                 fmt::format("--graph: no state graph on {}: what its steps touch is not known", explored.run.store)};
  }
  return file.keep(file.path().ends_with(".dot") ? record::to_dot(*explored.graph)
                                                 : record::to_json(*explored.graph) + "\n");
}

int explore_scenario(Program& program) {
  Ranks& ranks = program.ranks();
  if (is_own_program(program)) return explore_own_program(program);
  int code = kAsExpected;
  const Scenario* const scenario = scenario_or_complaint(program, program.arguments.value("NAME"), code);
  if (scenario == nullptr) return code;
  std::string error;
  ExploreRequest request;
  if (error = read_run_options(program.arguments, request.run); !error.empty()) return usage_error(error);
  if (error = read_budget(program.arguments, request); !error.empty()) return usage_error(error);
  request.run.on_own_code = end_at_own_code(program);
  request.strategy = *strategy_named(program.arguments.value("strategy", "exhaustive"));
  request.direct = program.arguments.has("direct");
  const script::Script* const script = script_of(*scenario);
  request.bodies_have_code = script == nullptr;
  // A permutation is one order of some steps; a search goes through all of all.
  const bool has_permutations = script != nullptr && !script->file().patterns.front().permutations.empty();
  if (has_permutations && request.run.pattern.empty()) request.run.pattern = script::kEveryStep;
  if (error = read_jobs(program.arguments, request.jobs); !error.empty()) return usage_error(error);
  if (program.arguments.has("junit"))
    return usage_error("--junit is for a program behind --; for scenarios: lockstep check");
  if (program.arguments.has("each-test")) return usage_error("--each-test is for a program behind --");
  request.until_failure = program.arguments.has("until-failure");
  request.ranks = &ranks;
  if (!ranks.leads()) {
    const Result<Exploration> shared = explore(*scenario, request, &program.stop);
    return shared ? int{kAsExpected} : fail_with(shared.error());
  }
  const auto graph_file = file_asked_for(program.arguments, "graph");
  if (!graph_file) return fail_with(graph_file.error());
  const auto schedule_file = file_asked_for(program.arguments, "save-schedule");
  if (!schedule_file) return fail_with(schedule_file.error());
  if (*graph_file || !program.arguments.has("no-record")) request.most_states = kStatesMost;
  std::atomic<std::uint64_t> runs{0};
  request.progress = [&runs](std::uint64_t done) { runs.store(done, std::memory_order_relaxed); };
  if (!program.quiet) announce_store(request.run);
  Ticker ticker(!program.quiet, "explore " + scenario->name,
                [&runs] { return counted(runs.load(std::memory_order_relaxed), "run", "runs"); });
  Result<Exploration> result = explore(*scenario, request, &program.stop);
  ticker.end();
  if (!result) return fail_with(result.error());
  Exploration& explored = *result;
  note_ranks_without_work(program, explored);

  const bool sampled = is_sampling(request.strategy);
  const bool partial = !explored.complete && !sampled;  // what was missed may lie in the part that was not seen
  const bool expected = as_expected(*scenario, explored) && (!explored.missed || partial);
  code = explored.interrupted ? int{kInterrupted}
         : !expected          ? int{kNotAsExpected}
         : partial            ? int{kTimeBudgetHit}
                              : int{kAsExpected};
  for (Finding& each : explored.findings) note_script(*scenario, each.shortest);
  for (auto& each : explored.disagreements) note_script(*scenario, each.run);
  const std::vector<std::string> ids = save_all(program, *scenario, explored, expected, code);
  if (*schedule_file && !explored.findings.empty()) {
    const Result<void> saved =
        save_schedule(*scenario, explored.findings.front().shortest, **schedule_file, request.run.dsn);
    if (!saved) return fail_with(saved.error());
  }
  // After an interrupted search the graph would be a part at best.
  if (*graph_file && !explored.interrupted) {
    if (const Result<void> written = write_graph(explored, **graph_file); !written) return fail_with(written.error());
  }
  if (program.json) {
    program.out.write(explore_json(scenario->name, explored, ids, expected));
  } else if (program.quiet) {
    program.out.write(explore_line(explored));
  } else {
    const auto worst = std::find_if(ids.begin(), ids.end(), [](const std::string& id) { return !id.empty(); });
    program.out.write(explore_text(
        explored, program.terminal,
        worst == ids.end() ? std::vector<Hint>{}
                           : hints_for(explored.findings[static_cast<std::size_t>(worst - ids.begin())].shortest,
                                       short_id(*worst, runs_folder(program.arguments)))));
  }
  return code;
}

}  // namespace

CommandSpec explore_command() {
  std::vector<OptionSpec> options = run_options();
  std::erase_if(options, [](const OptionSpec& option) {
    return option.name == "workers" || option.name == "executor" || option.name == "record-every";
  });
  for (OptionSpec& option : options) {
    if (option.name == "retries") option.help = "how often a body that gave up is run again; default: 1";
  }
  options.insert(options.begin() + 1,
                 {"protocol", "NAME", "how the store isolates (lockstep list --protocols); default: the store's first",
                  Names::protocol});
  options.insert(
      options.begin() + 2,
      {"pattern", "NAME", "how the application asks for what it needs; default: the scenario's first", Names::pattern});
  options.push_back(
      {"strategy",
       "NAME",
       "exhaustive (one run for each class of interleavings), unreduced (every interleaving), bounded (no preemption "
       "first, then one, two …), or by chance: walk, pct, pos; default: exhaustive",
       Names::choices,
       {"exhaustive", "unreduced", "bounded", "walk", "pct", "pos"}});
  options.push_back({"direct", "", "on SQLite and PostgreSQL: their own interleavings one by one, without a model"});
  options.push_back({"jobs", "N", "threads that draw samples (walk, pct, pos) side by side; default: the cores"});
  options.push_back({"budget", "TIME|RUNS", "when to stop, such as 10s or 100000 runs; default: 60s"});
  options.push_back({"until-failure", "", "stop at the first run that ends badly"});
  options.push_back({"each-test", "", "of a program made with GoogleTest: a search for each of its tests"});
  options.push_back(out_option());
  options.push_back({"no-record", "", "do not save the shortest bad runs"});
  options.push_back(save_schedule_option());
  options.push_back({"graph", "FILE",
                     "write the state graph (states, moves, lock tables, wait-for graphs), at most 2000 states and the "
                     "ways of the shortest runs: JSON, or for graphviz when the name ends in .dot",
                     Names::file});
  options.push_back({"junit", "FILE", "of a program of yours: also write JUnit XML, for CI", Names::file});
  options.push_back({"json", "", "the result as JSON, in place of the table"});
  return {
      .name = "explore",
      .summary = "searches the interleavings: which of them deadlock or break the invariant, and the shortest one",
      .description =
          "Runs the scenario again and again under virtual time, each time in another order of steps, on the "
          "in-process "
          "locks and the real kv. Orders that differ only in steps which touch nothing in common are one class, and "
          "one "
          "run stands for all of them; the numbers of interleavings are exact. A wait with a deadline may also time "
          "out. "
          "A body that gives up is run again once (--retries).\n\n"
          "On SQLite and PostgreSQL the search goes through a model in this process: kv's snapshot for PostgreSQL's "
          "read-committed (each operation with a snapshot of its own) and repeatable-read, ssi for serializable, "
          "serial for SQLite's immediate and exclusive. One schedule of each class is then run on the real thing, and "
          "the first step that is not as on the model is said and saved. With --direct, with another strategy than "
          "exhaustive and where no model stands for the database, its own interleavings are run one by one.\n\n"
          "The shortest run of each way to end badly is saved: with the fewest preemptions, then the fewest steps. (A "
          "preemption: another actor goes although the last one could go on.) Exit code 5: the budget was "
          "spent before everything had been seen; 1: an invariant broken, or an actor that waits for ever, where the "
          "scenario does not promise that, or a bad end that it promises and that was never seen.",
      .arguments =
          {{"NAME",
            "the scenario (lockstep list), or a text file (docs/files.md); a program of yours: -- PROGRAM ARGUMENTS",
            true, Names::scenario}},
      .options = std::move(options),
      .examples = {{"explore threads/dining-philosophers", "How many orders starve them all?"},
                   {"explore threads/dining-philosophers --pattern ordered", "The fix, proved: complete, no deadlock."},
                   {"explore deadlock/two-lock --protocol occ", "The same transfers under another protocol of kv."},
                   {"explore deadlock/three-cycle --strategy bounded --budget 2s",
                    "All schedules with few preemptions, however many there are in all."},
                   {"explore isolation/write-skew --store postgres --protocol serializable",
                    "On a real PostgreSQL, held against a model of it."},
                   {"explore -- ./server-test 8", "Your own program: its pthread operations in every order."},
                   {"explore money/hot-counter --strategy pct --budget 5s", "Too large to exhaust: by chance."}},
      .run = explore_scenario,
      .passes_on = true};
}

}  // namespace lockstep::cli
