// compare.cc: `lockstep compare`: strategies side by side under load.
#include "engine/load/compare.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/output_file.h"
#include "cli/args/run_options.h"
#include "cli/args/runs_folder.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/compare_text.h"
#include "cli/text/json.h"
#include "engine/base/suggest.h"
#include "engine/histories/write.h"
#include "engine/load/history_probe.h"
#include "engine/record/comparison_change.h"
#include "engine/run/verdict.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

constexpr int kSessionsMost = 100'000;
constexpr int kRoundsMost = 1000;

/// A scenario of the catalogue that runs under load, or that of a file. nullptr: the complaint is in `error`.
const Scenario* workload_named(const std::string& name, std::string& error) {
  if (is_script_file(name)) {
    const script::Script* const file = script_at(name, error);
    if (file == nullptr) return nullptr;
    if (!file->file().is_load()) {
      error = fmt::format("{} has no `load`, which says what many sessions do again and again (docs/files.md)", name);
      return nullptr;
    }
    return &file->scenario();
  }
  const Scenario* const scenario = scenarios::find(name);
  if (scenario != nullptr) return scenario;  // resolve() says why it cannot run under load
  std::vector<std::string> names = workload_names();
  if (is_theme(name)) {
    std::erase_if(names, [&name](const std::string& each) { return !each.starts_with(name + "/"); });
    error = names.empty() ? fmt::format("{} is a theme without workloads: {}", name, fmt::join(workload_names(), ", "))
                          : fmt::format("{} is a theme; its workloads: {}", name, fmt::join(names, ", "));
    return nullptr;
  }
  error = unknown_name("workload", name, names);
  return nullptr;
}

/// Every value of a list, a number from `least` to `most`. `list` keeps its default when the option is not there.
template <class T>
std::string read_list(const Arguments& arguments, const char* option, T least, T most, std::vector<T>& list) {
  if (!arguments.has(option)) return {};
  list.clear();
  for (const std::string& text : arguments.listed(option)) {
    T number{};
    const char* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, number);
    if (wrong != std::errc() || rest != end || !(number >= least && number <= most)) {
      return fmt::format("--{} \"{}\" is no number from {} to {}", option, text, least, most);
    }
    list.push_back(number);
  }
  return list.empty() ? fmt::format("--{} is empty; name at least one value", option) : std::string();
}

template <class T>
std::string read_one(const Arguments& arguments, const char* option, T least, T most, T& value) {
  std::vector<T> list{value};
  std::string error = read_list(arguments, option, least, most, list);
  if (error.empty()) value = list.back();
  return error;
}

std::string read_time(const Arguments& arguments, const char* option, Nanos& time) {
  if (!arguments.has(option)) return {};
  const std::string text = arguments.value(option);
  if (text == "0") {
    time = Nanos(0);
    return {};
  }
  const auto read = duration_named(text);
  if (!read) return fmt::format("--{} \"{}\" is no duration; write 500ms, 2s or 1m (up to a day)", option, text);
  time = *read;
  return {};
}

/// The default store, or the first one that the scenario runs on: a file in SQL does not run on every one.
std::string usual_store(const Scenario& scenario) {
  std::vector<std::string> stores = scenario.stores();
  std::erase_if(stores, [](const std::string& store) { return backend_named(store) == nullptr; });
  const std::string usual(default_backend().name);
  const bool runs_there = stores.empty() || std::find(stores.begin(), stores.end(), usual) != stores.end();
  return runs_there ? usual : stores.front();
}

std::string read_request(const Arguments& arguments, const Scenario& scenario, load::CompareRequest& request) {
  load::RoundRequest& round = request.round;
  const std::vector<std::string> stores = stores_asked_for(arguments);
  if (stores.size() > 1) return "--store takes one store; a comparison is of strategies on one";
  if (std::string wrong = wrong_dsn(arguments, stores); !wrong.empty()) return wrong;
  round.store = stores.empty() ? usual_store(scenario) : stores.front();
  round.dsn = arguments.all("dsn");
  round.durable = arguments.value("fsync") == "on";
  if (arguments.has("strategy")) {
    request.strategies = arguments.listed("strategy");
    if (request.strategies.empty()) return "--strategy is empty; name at least one";
  }
  if (arguments.has("executor")) request.executors = arguments.listed("executor");
  if (request.executors.empty()) return "--executor is empty; name at least one";
  if (arguments.has("claim")) round.claim = load::level_named(arguments.value("claim"));
  if (arguments.has("retry")) round.retry = *load::retry_named(arguments.value("retry"));
  if (arguments.has("quick")) {
    round.measured = std::chrono::milliseconds(300);
    round.warmup = std::chrono::milliseconds(100);
    request.rounds = 3;
  }
  std::string error;
  const auto keep = [&error](std::string found) {
    if (error.empty()) error = std::move(found);
  };
  keep(read_list(arguments, "sessions", 1, kSessionsMost, request.sessions));
  keep(read_list(arguments, "theta", 0.0, 0.9999, request.thetas));
  keep(read_list(arguments, "read", 0, 100, request.read_percents));
  keep(read_one<std::uint64_t>(arguments, "rows", 1, 10'000'000, request.rows));
  keep(read_one(arguments, "rounds", 1, kRoundsMost, request.rounds));
  keep(read_one(arguments, "workers", 1, 256, round.workers));
  keep(read_one(arguments, "history", 0.0, 100.0, request.history_percent));
  keep(read_one(arguments, "rate", 0.001, 1e9, round.rate));
  keep(read_one<std::uint64_t>(arguments, "seed", 0, UINT64_MAX, round.shape.seed));
  keep(read_time(arguments, "for", round.measured));
  keep(read_time(arguments, "warmup", round.warmup));
  keep(read_time(arguments, "ramp", round.ramp));
  keep(read_time(arguments, "think", round.think));
  if (error.empty() && round.measured <= Nanos(0)) error = "--for must be more than nothing";
  return error;
}

/// A file for each round's history, numbered in their order.
class HistoryFiles {
 public:
  HistoryFiles(std::string folder, histories::Syntax syntax) : folder_(std::move(folder)), syntax_(syntax) {}

  /// An error for people; empty: the folder is there.
  std::string make_folder() const {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    return error ? fmt::format("--history-out {}: {}", folder_, error.message()) : std::string();
  }

  void write(const record::ComparedRow& row, const check::History& history) {
    std::string name = fmt::format("{:03}-{}-{}", ++number_, row.protocol, row.pattern);
    std::replace(name.begin(), name.end(), '/', '-');
    OutputFile file(fmt::format("{}/{}.{}", folder_, name, syntax_ == histories::Syntax::json ? "json" : "edn"));
    Result<void> kept = file.ready();
    if (kept) kept = file.keep(histories::text_of(history, syntax_, load::session_of));
    if (!kept && error_.empty()) error_ = kept.error().message;
  }

  /// Of the first file that could not be written.
  const std::string& error() const noexcept { return error_; }

 private:
  const std::string folder_;
  const histories::Syntax syntax_;
  int number_ = 0;
  std::string error_;
};

/// What was typed, so that it gives this comparison again. A data source name stands there without its password.
std::string typed_command(const Program& program, const load::CompareRequest& request) {
  std::string command = "lockstep compare " + shell_quoted(program.arguments.value("NAME"));
  for (const OptionSpec& option : program.command.options) {
    const std::string& name = option.name;
    if (name == "baseline" || name == "tolerance" || name == "dsn" || name == "out" || name == "json" ||
        name == "no-record" || name == "seed" || name == "history-out")
      continue;
    if (program.arguments.has(name) && option.value.empty()) {
      command += " --" + name;
    } else if (program.arguments.has(name)) {
      command +=
          fmt::format(" --{} {}", name, shell_quoted(fmt::format("{}", fmt::join(program.arguments.all(name), ","))));
    }
  }
  const BackendKind* const kind = backend_named(request.round.store);
  if (const std::string dsn = kind == nullptr ? std::string() : request.round.dsn.shown_of(*kind); !dsn.empty())
    command += " --dsn " + shell_quoted(dsn);
  return command + fmt::format(" --seed {}", request.round.shape.seed);
}

record::Run recording_of(const Program& program, const load::CompareRequest& request, const load::Compared& compared,
                         const std::string& started_at) {
  const record::Comparison& comparison = compared.comparison;
  record::Run run;
  run.scenario = comparison.workload;
  run.title = comparison.title;
  run.store = request.round.store;
  run.store_version = compared.store_version;
  run.protocol = run.pattern = "compared";
  run.executor = fmt::format("{}", fmt::join(request.executors, ","));
  run.schedule = "free";
  run.seed = request.round.shape.seed;
  run.verdict = comparison.as_expected() ? record::Verdict::clean : record::Verdict::anomaly;
  run.expected = record::Verdict::clean;
  run.ending = comparison.ending;
  run.summary = fmt::format("{}", fmt::join(comparison.verdict, "; "));
  for (const record::ComparedGroup& group : comparison.groups) {
    for (const record::ComparedRow& row : group.strategies) {
      run.outcomes.committed += row.committed;
      run.outcomes.retries += row.retries;
      for (const auto& [fault, count] : row.aborts) {
        run.outcomes.aborted += count;
        run.outcomes.faults[fault] += count;
      }
      for (const record::ComparedRound& round : row.rounds) run.wall_ms += round.seconds * 1000;
    }
  }
  run.started_at = started_at;
  run.command = typed_command(program, request);
  describe_environment(run);
  for (const auto& [name, value] : compared.environment) run.environment[name] = value;
  run.environment["lockstep"] = kVersion;
  run.documents[record::kComparisonDocument] = record::to_json(comparison);
  return run;
}

int code_of(const record::Comparison& comparison) {
  switch (comparison.ending) {
    case record::Ending::interrupted:
      return kInterrupted;
    case record::Ending::unavailable:
      return kStoreUnavailable;
    default:
      return comparison.as_expected() ? kAsExpected : kNotAsExpected;
  }
}

/// The comparison that --baseline names, and how much slower counts as a regression.
struct Baseline {
  record::Comparison comparison;
  std::string id;
  double tolerance = 0.05;
};

/// nullopt: none was asked for.
Result<std::optional<Baseline>> baseline_asked_for(const Arguments& arguments, const Scenario& scenario) {
  if (!arguments.has("baseline")) {
    if (arguments.has("tolerance")) return Error{Fault::invalid, {}, "--tolerance goes with --baseline"};
    return std::optional<Baseline>();
  }
  Baseline baseline;
  double percent = 100 * baseline.tolerance;
  if (const std::string wrong = read_one(arguments, "tolerance", 0.0, 100.0, percent); !wrong.empty())
    return Error{Fault::invalid, {}, wrong};
  baseline.tolerance = percent / 100;
  const Result<std::string> path = record::find(runs_folder(arguments), arguments.value("baseline"));
  if (!path) return path.error();
  const Result<record::Run> run = record::load(*path);
  if (!run) return run.error();
  const auto document = run->documents.find(record::kComparisonDocument);
  if (document == run->documents.end()) {
    return Error{
        Fault::invalid, {}, fmt::format("the baseline {} is a run of {}, no comparison", run->id, run->scenario)};
  }
  Result<record::Comparison> comparison = record::comparison_of(document->second);
  if (!comparison) return comparison.error();
  if (comparison->workload != scenario.name) {
    return Error{
        Fault::invalid,
        {},
        fmt::format("the baseline {} is of the workload {}, not {}", run->id, comparison->workload, scenario.name)};
  }
  baseline.comparison = std::move(*comparison);
  baseline.id = run->id;
  return std::optional<Baseline>(std::move(baseline));
}

int compare_strategies(Program& program) {
  Ranks& ranks = program.ranks();
  std::string error;
  const Scenario* const scenario = workload_named(program.arguments.value("NAME"), error);
  if (scenario == nullptr) return usage_error(error);
  load::CompareRequest request;
  if (error = read_request(program.arguments, *scenario, request); !error.empty()) return usage_error(error);
  request.round.ranks = &ranks;
  if (Result<load::CompareRequest> known = resolve(*scenario, request); !known) return fail_with(known.error());
  if (!ranks.leads()) {
    const Result<load::Compared> shared = load::compare(*scenario, request, &program.stop, {});
    return shared ? int{kAsExpected} : fail_with(shared.error());
  }
  const Result<std::optional<Baseline>> baseline = baseline_asked_for(program.arguments, *scenario);
  if (!baseline) return fail_with(baseline.error());
  HistoryFiles files(program.arguments.value("history-out"), program.arguments.value("history-format", "edn") == "json"
                                                                 ? histories::Syntax::json
                                                                 : histories::Syntax::edn);
  if (program.arguments.has("history-out")) {
    if (error = files.make_folder(); !error.empty()) return usage_error(error);
    request.on_history = [&files](const record::ComparedRow& row, const check::History& history) {
      files.write(row, history);
    };
  }
  if (!program.quiet) announce_store({.store = request.round.store, .dsn = request.round.dsn});

  const std::string started_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::now()));
  Progress line(!program.quiet && !program.json);
  const Result<load::Compared> compared =
      load::compare(*scenario, request, &program.stop, [&line](const load::CompareProgress& progress) {
        line.show(fmt::format(" round {}/{}  {:.0f} %  {}  eta {:.0f} s", progress.done + 1, progress.all,
                              100.0 * progress.done / progress.all, progress.doing, std::ceil(progress.left_s)));
      });
  line.erase();
  if (!compared) return fail_with(compared.error());

  int code = code_of(compared->comparison);
  std::optional<BaselineChanges> since;
  if (*baseline) {
    const record::Comparison& before = (*baseline)->comparison;
    if (error = record::why_not_comparable(before, compared->comparison); !error.empty()) complain(error);
    since = BaselineChanges{.id = short_id((*baseline)->id, runs_folder(program.arguments)),
                            .tolerance = (*baseline)->tolerance,
                            .changes = record::changes_since(before, compared->comparison)};
    if (!error.empty() && code == kAsExpected) code = kUsage;
    if (since->regressions() > 0 && code == kAsExpected) code = kNotAsExpected;
  }
  if (!files.error().empty()) {
    complain(files.error());
    code = kInternal;
  }
  record::Run run = recording_of(program, request, *compared, started_at);
  if (const script::Script* const file = script_of(*scenario)) file->note_text(run);
  std::string path;
  if (!program.arguments.has("no-record")) {
    Result<std::string> saved = record::save(run, runs_folder(program.arguments));
    if (saved) {
      path = *saved;
    } else {
      complain(saved.error().message);
      code = kInternal;
    }
  }
  if (program.json) {
    program.out.write(compare_json(compared->comparison, run, path, since));
  } else if (program.quiet) {
    program.out.write(compare_line(compared->comparison));
    if (since) program.out.write(changes_line(*since) + "\n");
  } else {
    std::vector<Hint> hints{{"again", run.command}};
    if (!path.empty()) hints.push_back({"saved", path});
    program.out.write(compare_text(compared->comparison, program.terminal, since, hints));
  }
  return code;
}

}  // namespace

CommandSpec compare_command() {
  std::vector<std::string> stores = store_names_in_prose();
  for (std::string& store : stores) {
    if (store == default_backend().name) store += " (the default)";
  }
  std::string names;
  for (const std::string& name : workload_names()) names += (names.empty() ? "" : ", ") + name;
  CommandSpec command{
      .name = "compare",
      .summary = "compares strategies under load: throughput, latency, and whether they are right",
      .description =
          "Runs a workload with each strategy in turn, round after round, on a store made anew for every round. A "
          "strategy is a protocol of the store, a pattern of the workload, or PROTOCOL/PATTERN. After every round "
          "the invariants are checked on the final state: a strategy that breaks one is WRONG and is not ranked.\n\n"
          "So is one whose protocol does not isolate as it promises. After the measured time of each round the load "
          "goes on for a moment (--history), in which every transaction also reads and writes rows made for this. The "
          "reads and writes make a graph, and a cycle in it that the level forbids is the proof. Anomalies can be "
          "missed this way, none is invented.\n\n"
          "The ratio to the best comes from rounds that ran next to each other, with a 99 % interval; where the "
          "interval holds 1, or with fewer than 3 rounds, the answer is \"no clear difference\". Latency goes from "
          "the intended start of a transaction to its commit, retries included.\n\n"
          "--sessions, --theta, --read and --executor take lists: every combination is a group of its own.\n\n"
          "--baseline holds the result against an older comparison: each strategy's change with a 99 % interval. The "
          "exit "
          "code is 1 when a regression is proved: a strategy that has become WRONG, or one whose whole interval lies "
          "below "
          "the old throughput and that is slower by at least --tolerance. Compare on the same machine, with as many "
          "rounds; the interval knows nothing of what else the machine did.\n\n"
          "Workloads: " +
          names + ".",
      .arguments = {{"NAME", "a scenario that runs under load, or a file with `load`", true, Names::workload}},
      .options = {{"store", "NAME", listed_in_prose(stores), Names::store},
                  {"strategy", "LIST", "what is compared; default: every pattern, and every protocol", Names::strategy},
                  {"sessions", "LIST", "sessions at once; default: 8"},
                  {"theta", "LIST", "how uneven rows are chosen: 0 all alike, up to 0.9999 (Zipf); default: 0"},
                  {"read", "LIST", "percent of reads, where the workload has some; default: the workload's (50, 95)"},
                  {"rows", "N", "among how many rows is chosen (the hot set); default: the workload's"},
                  {"executor", "LIST", "threads (the default), coroutines", Names::choices, {"threads", "coroutines"}},
                  {"workers", "N", "threads of the coroutines executor; default: 2"},
                  {"for", "TIME", "the measured time of each round; default: 2s"},
                  {"warmup", "TIME", "before it; default: 500ms"},
                  {"ramp", "TIME", "the sessions start spread over this time; default: 0"},
                  {"think", "TIME", "a session's pause between two transactions; default: 0"},
                  {"rounds", "N", "of each strategy; default: 5"},
                  {"quick", "", "a first look: 3 rounds of 300ms, unless --for, --warmup or --rounds say otherwise"},
                  {"rate", "N", "an open loop: transactions a second of all sessions together"},
                  {"retry",
                   "HOW",
                   "after an abort: jitter (the default: a random pause, the limit doubles from 0.1 to 10 ms) or "
                   "immediate",
                   Names::choices,
                   {"jitter", "immediate"}},
                  {"history", "PERCENT",
                   "of a round's measured time, added after it with the history on record; 0: none; default: 5"},
                  {"history-out", "DIR", "write each round's history there, for check-history and Elle", Names::folder},
                  {"history-format", "NAME", "of these files; default: edn", Names::choices, {"edn", "json"}},
                  {"claim",
                   "LEVEL",
                   "hold the histories against this level; default: what each protocol promises",
                   Names::choices,
                   {"read-committed", "snapshot", "serializable"}},
                  {"seed", "N", "the seed of the keys; default: 1"},
                  {"baseline", "ID", "hold the result against this saved comparison", Names::run},
                  {"tolerance", "PERCENT", "with --baseline: how much slower is no regression yet; default: 5"},
                  {"no-record", "", "do not save the comparison"},
                  out_option(),
                  {"json", "", "the result as JSON"}},
      .examples = {{"compare stock/oversell --store postgres --sessions 32 --for 10s", "Which way to sell the last."},
                   {"compare money/transfer --strategy 2pl-detect,occ --theta 0,0.9,0.99", "Locks or validation."},
                   {"compare money/hot-counter --baseline 5c1e --strategy plain",
                    "For CI: exits 1 when a strategy has become slower or WRONG."},
                   {"compare money/hot-counter --rate 5000 --sessions 64", "Tail latency in an open loop."}},
      .run = compare_strategies};
  const auto seed = std::find_if(command.options.begin(), command.options.end(),
                                 [](const OptionSpec& option) { return option.name == "seed"; });
  std::vector<OptionSpec> server = dsn_option();
  server.push_back(fsync_option());
  command.options.insert(seed, server.begin(), server.end());
  return command;
}

}  // namespace lockstep::cli
