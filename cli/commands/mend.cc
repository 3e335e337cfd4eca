// mend.cc: `lockstep mend`: tries the usual remedies on a scenario file, each by a search of all orders.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/budget.h"
#include "cli/commands/commands.h"
#include "cli/commands/program.h"
#include "cli/text/ticker.h"
#include "engine/explore/explore.h"
#include "engine/run/run.h"
#include "engine/script/remedies.h"
#include "engine/store/backend.h"

namespace lockstep::cli {
namespace {

/// One way to ask, and what a search found of it.
struct Attempt {
  script::MendingPattern remedy;  ///< its text is empty for the pattern as it is
  std::string protocol;
  bool retries = false;  ///< a transaction that gave up is run again
  std::optional<Exploration> explored;
  std::string failed = {};  ///< why it could not be tried

  enum class Worth : std::uint8_t { free, retried, bad, unknown };
  Worth worth() const {
    using record::Verdict;
    if (!explored) return Worth::unknown;
    bool retried = false, bad = false;
    for (const Finding& finding : explored->findings) {
      const bool good = finding.verdict == Verdict::clean || finding.verdict == Verdict::avoided;
      const bool may_be_retried = retries && (finding.verdict == Verdict::deadlock ||
                                              finding.verdict == Verdict::abort || finding.verdict == Verdict::timeout);
      retried = retried || may_be_retried;
      bad = bad || (!good && !may_be_retried);
    }
    if (bad) return Worth::bad;
    if (!explored->complete) return Worth::unknown;
    return retried ? Worth::retried : Worth::free;
  }
};

Attempt tried(Program& program, const spec::SpecFile& file, script::MendingPattern remedy,
              const ExploreRequest& request) {
  Attempt attempt{.remedy = std::move(remedy), .protocol = request.run.protocol, .explored = {}};
  const std::string text = file.text + "\n" + attempt.remedy.text;
  attempt.retries = request.run.retries.value_or(0) > 0;
  spec::ParsedSpec parsed = spec::parse(file.path, text);
  if (!parsed.file) {
    attempt.failed = parsed.complaint.text(file.path);
    return attempt;
  }
  const auto script = script::Script::made_of(std::move(*parsed.file));
  if (!script) {
    attempt.failed = script.error().message;
    return attempt;
  }
  ExploreRequest its = request;
  if (!its.run.retries) {
    const spec::SpecPattern& pattern =
        (*script)->pattern_named(attempt.remedy.text.empty() ? request.run.pattern : attempt.remedy.name);
    for (const spec::Option& option : pattern.options) {
      if (option.name == "retries") its.run.retries = static_cast<int>(option.value);
    }
    attempt.retries = its.run.retries.value_or(0) > 0;
  }
  if (!attempt.remedy.text.empty()) its.run.pattern = attempt.remedy.name;
  Result<Exploration> explored = explore((*script)->scenario(), its, &program.stop);
  if (explored)
    attempt.explored = std::move(*explored);
  else
    attempt.failed = explored.error().message;
  return attempt;
}

std::string ends_of(const Attempt& attempt) {
  if (!attempt.explored) return attempt.failed;
  std::map<record::Verdict, std::uint64_t> classes;
  for (const Finding& finding : attempt.explored->findings) classes[finding.verdict] += finding.runs;
  std::vector<std::string> parts;
  for (const auto& [verdict, runs] : classes) parts.push_back(fmt::format("{} {}", runs, record::name_of(verdict)));
  return fmt::format("{}{}", fmt::join(parts, ", "), attempt.explored->complete ? "" : ", not all orders were seen");
}

const char* sign_of(Attempt::Worth worth) {
  switch (worth) {
    case Attempt::Worth::free:
      return "✓";
    case Attempt::Worth::retried:
      return "↻";
    case Attempt::Worth::bad:
      return "✗";
    case Attempt::Worth::unknown:
      break;
  }
  return "?";
}

std::string text_of(const std::vector<Attempt>& attempts, const std::string& before, const RunRequest& run,
                    const std::string& path) {
  std::string out = fmt::format("{}   {} · {}\n\n   {:<13} {:<18} classes of orders, by their end\n", path, run.store,
                                run.pattern, "pattern", "protocol");
  for (const Attempt& attempt : attempts) {
    const std::string name = attempt.remedy.text.empty() ? std::string("as it is") : attempt.remedy.name;
    out += fmt::format(" {} {:<13} {:<18} {}\n", sign_of(attempt.worth()), name, attempt.protocol, ends_of(attempt));
  }
  out += "\n ✓ no order ends badly   ↻ some give up and are run again   ✗ some end badly   ? not all were seen\n\n";
  if (attempts.front().worth() == Attempt::Worth::free)
    return out + " As it is no order of steps ends badly: there is nothing to mend.\n";
  bool any = false;
  for (const Attempt& each : attempts) {
    if (each.worth() != Attempt::Worth::free) continue;
    any = true;
    if (each.protocol != run.protocol) {
      out += fmt::format(" --protocol {}\n", each.protocol);
      continue;
    }
    out += fmt::format(" {}: {}\n", each.remedy.name, each.remedy.meaning);
    for (const std::string& line : script::difference(before, each.remedy.text.substr(each.remedy.text.find('\n') + 1)))
      out += "   " + line + "\n";
  }
  if (!any) return out + " None of these is free of bad ends in every order.\n";
  return out + " That the program may ask so is yours to judge; the orders of these steps are all that was searched.\n";
}

int mend(Program& program) {
  std::string error;
  const std::string path = program.arguments.value("FILE");
  const Scenario* const scenario = scenario_named(path, error);
  if (scenario == nullptr) return usage_error(error);
  const script::Script* const script = script_of(*scenario);
  if (script == nullptr)
    return usage_error(fmt::format("{} is written in C++: only text files can be rewritten", path));
  ExploreRequest request;
  if (error = read_run_options(program.arguments, request.run); !error.empty()) return usage_error(error);
  request.most_time = std::chrono::seconds(10);
  if (error = read_budget(program.arguments, request); !error.empty()) return usage_error(error);
  const Result<RunRequest> resolved = resolve(script->scenario(), request.run);
  if (!resolved) return fail_with(resolved.error());
  request.run = *resolved;
  request.fewest_preemptions = false;
  request.bodies_have_code = false;
  const spec::SpecPattern& pattern = script->pattern_named(request.run.pattern);
  const std::string before = script::script_lines(pattern);
  const std::vector<script::MendingPattern> made = script::remedies(script->file(), pattern);
  if (made.empty()) return usage_error(path + ": permutations of named steps cannot be rewritten; write script lines");
  if (!program.quiet) announce_store(request.run);

  std::vector<Attempt> attempts;
  Ticker ticker(!program.quiet, "mend " + path);
  attempts.push_back(tried(program, script->file(), {}, request));
  for (const script::MendingPattern& remedy : made) {
    if (program.stopped()) return kInterrupted;
    attempts.push_back(tried(program, script->file(), remedy, request));
  }
  // A stronger level costs runs that are made again.
  const BackendKind* const kind = backend_named(request.run.store);
  for (const ProtocolTraits& protocol : kind->protocols) {
    if (program.stopped()) return kInterrupted;
    if (protocol.name == request.run.protocol || program.arguments.has("protocol")) continue;
    ExploreRequest at_level = request;
    at_level.run.protocol = protocol.name;
    const auto retry = std::find_if(made.begin(), made.end(), [](const auto& each) { return each.name == "retry"; });
    attempts.push_back(tried(program, script->file(), *retry, at_level));
  }
  ticker.end();
  if (program.stopped()) return kInterrupted;
  program.out.write(text_of(attempts, before, request.run, path));
  return std::any_of(attempts.begin(), attempts.end(),
                     [](const Attempt& each) { return each.worth() == Attempt::Worth::free; })
             ? kAsExpected
             : kNotAsExpected;
}

}  // namespace

CommandSpec mend_command() {
  std::vector<OptionSpec> options = run_options();
  options.insert(
      options.begin() + 1,
      {"protocol", "NAME", "only at this level; default: as it is, and then at each other one", Names::protocol});
  options.insert(options.begin() + 2,
                 {"pattern", "NAME", "what is to be mended; default: the file's first", Names::pattern});
  options.push_back({"budget", "TIME", "of each search: 10s, or a number of runs such as 100000; default: 10s"});
  return {
      .name = "mend",
      .summary = "tries the usual remedies on a scenario file, and proves which of them help",
      .description =
          "Makes other ways of asking from the steps of a scenario file: rows taken in one order, all locks first, "
          "rows "
          "locked when they are read, a weaker lock, a limit for waits with a retry; and runs the file as it is at the "
          "store's other levels, with retries. Each is searched in every order of its steps, as `explore` does.\n\n"
          "✓ no order ends badly. ↻ in some orders a transaction gives up and is run again. ✗ some order ends "
          "badly. ? not all orders were seen, or it could not be tried. Those with ✓ are shown as what changes in the "
          "file. Whether the program may ask in that way is yours to judge.\n\n"
          "Ends with 0 when one of them is free of bad ends, else with 1.",
      .arguments = {{"FILE", "a scenario file", true, Names::file}},
      .options = std::move(options),
      .examples = {{"mend case.spec", "What would help?"},
                   {"mend case.spec --store postgres --protocol read-committed", "At this level alone."}},
      .run = mend,
  };
}

}  // namespace lockstep::cli
