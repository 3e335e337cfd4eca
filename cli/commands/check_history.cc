// check_history.cc: `lockstep check-history`: is this history of another system what its isolation level promises?
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <new>
#include <set>
#include <thread>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/nonce.h"
#include "cli/args/output_file.h"
#include "cli/commands/budget.h"
#include "cli/commands/commands.h"
#include "cli/commands/in_order.h"
#include "cli/commands/program.h"
#include "cli/text/history_page.h"
#include "cli/text/history_text.h"
#include "engine/base/suggest.h"
#include "engine/histories/file_text.h"
#include "engine/histories/judge.h"

namespace lockstep::cli {
namespace {

using check::Judgement;
using histories::JudgeRequest;

constexpr std::size_t kAnomaliesOfAll = 10;  // of each kind, with --all

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const histories::HistoryModel model : histories::all_models()) names.emplace_back(name_of(model));
  names.emplace_back("register");
  return names;
}

std::vector<std::string> level_names() {
  std::vector<std::string> names;
  for (const check::Claim claim : check::all_claims()) names.push_back(name_of(claim));
  names.emplace_back("linearizable");
  return names;
}

/// An error for people; empty: read.
std::string read_levels(const Arguments& arguments, JudgeRequest& request) {
  if (arguments.has("all")) {
    if (arguments.has("level")) return "--all judges every level: --level goes without it";
    request.claims = check::all_claims();
    request.anomalies_most = kAnomaliesOfAll;
    return {};
  }
  if (!arguments.has("level")) return {};
  request.claims.clear();
  for (const std::string& name : arguments.listed("level")) {
    if (name == "linearizable") {
      request.objects.linearizable = true;
      continue;
    }
    const auto claim = check::claim_named(name);
    if (!claim) return unknown_name("level", name, level_names());
    request.claims.push_back(*claim);
  }
  if (request.claims.empty() && !request.objects.linearizable) return "--level is empty; name at least one";
  if (request.claims.empty()) request.claims.push_back({check::Level::serializable, check::Ordering::real_time});
  return {};
}

std::string read_numbers(const Arguments& arguments, JudgeRequest& request) {
  if (arguments.has("total")) {
    const std::string text = arguments.value("total");
    std::int64_t total = 0;
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), total);
    if (wrong != std::errc() || rest != text.data() + text.size())
      return fmt::format("--total \"{}\" is no number", text);
    request.objects.total = total;
  }
  if (arguments.has("time-limit")) {
    const auto limit = duration_named(arguments.value("time-limit"));
    if (!limit)
      return fmt::format("--time-limit \"{}\" is no duration; write 500ms, 2s or 1m", arguments.value("time-limit"));
    request.objects.time_limit = *limit;
  }
  return {};
}

std::string read_request(const Arguments& arguments, JudgeRequest& request) {
  if (arguments.has("model")) request.model = histories::model_named(arguments.value("model"));
  if (arguments.has("format"))
    request.syntax = arguments.value("format") == "edn" ? histories::Syntax::edn : histories::Syntax::json;
  request.objects.allow_negative = arguments.has("allow-negative");
  request.objects.failed_cas_reads = arguments.value("failed-cas", "ignore") == "reads";
  request.versions.sequential_keys = arguments.has("sequential-keys");
  request.versions.linearizable_keys = arguments.has("linearizable-keys");
  request.versions.initial_state = !arguments.has("no-initial-state");
  request.versions.writes_follow_reads = !arguments.has("no-writes-follow-reads");
  std::string error = read_levels(arguments, request);
  return error.empty() ? read_numbers(arguments, request) : error;
}

JudgedFile judged_file(const std::string& path, const JudgeRequest& request) {
  JudgedFile file{.path = path, .judged = {}, .error = {}};
  const Result<histories::FileText> text = histories::FileText::open(path);
  if (!text) {
    file.error = text.error().message;
    return file;
  }
  try {
    Result<histories::Judged> judged = histories::judge_text(text->text(), request);
    if (judged)
      file.judged = std::move(*judged);
    else
      file.error = path + ":" + judged.error().message;
  } catch (const std::bad_alloc&) {
    file.error = path + ": there is not enough memory to judge it";
  }
  return file;
}

// ---- pages

/// What was typed, so that it judges `path` again.
std::string command_for(const Program& program, const std::string& path) {
  std::string command = "lockstep check-history " + shell_quoted(path);
  for (const OptionSpec& option : program.command.options) {
    const std::string& name = option.name;
    if (name == "report" || name == "out" || name == "json" || name == "jobs" || !program.arguments.has(name)) continue;
    command += " --" + name;
    if (!option.value.empty())
      command += " " + shell_quoted(fmt::format("{}", fmt::join(program.arguments.all(name), ",")));
  }
  return command;
}

/// Where the pages of the files go.
class Pages {
 public:
  explicit Pages(const Program& program)
      : program_(program),
        wanted_(program.arguments.has("report") || program.arguments.has("out")),
        folder_(program.arguments.value("out")) {}

  bool to_stdout() const noexcept { return wanted_ && folder_ == "-"; }
  bool failed() const noexcept { return failed_; }

  /// An error for people; empty: pages can be written, or none are wanted.
  std::string ready() const {
    if (to_stdout() && program_.arguments.all("FILE").size() > 1) return "--out - writes one page: name one FILE";
    if (to_stdout() && program_.json) return "--out - and --json both write to standard output";
    if (!wanted_ || folder_.empty() || to_stdout()) return {};
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    return error ? fmt::format("--out {}: {}", folder_, error.message()) : std::string();
  }

  void write(JudgedFile& file) {
    if (!wanted_ || !file.error.empty()) return;
    const std::string page = history_page(file, command_for(program_, file.path), chance_letters());
    if (to_stdout()) return program_.out.write(page);
    const std::string path = path_for(file.path);
    OutputFile output(path);
    if (const Result<void> kept = output.keep(page); !kept) {
      complain(kept.error().message);
      failed_ = true;
      return;
    }
    file.page = path;
  }

 private:
  /// Beside the history or in the folder, under its name; numbered where two have one name.
  std::string path_for(const std::string& history) {
    std::filesystem::path path(history);
    if (!folder_.empty()) path = std::filesystem::path(folder_) / path.filename();
    const std::string stem = path.replace_extension().string();
    std::string name = stem + ".html";
    for (int number = 2; !taken_.insert(name).second || name == history; ++number)
      name = fmt::format("{}-{}.html", stem, number);
    return name;
  }

  const Program& program_;
  const bool wanted_;
  const std::string folder_;
  std::set<std::string> taken_;
  bool failed_ = false;
};

int code_of(const std::vector<JudgedFile>& files) {
  bool broken = false, unknown = false;
  for (const JudgedFile& file : files) {
    if (!file.error.empty()) return kUsage;
    broken |= file.judged.answer() == Judgement::broken;
    unknown |= file.judged.answer() == Judgement::unknown;
  }
  return broken ? kNotAsExpected : unknown ? kNotKnown : kAsExpected;
}

int check_histories(Program& program) {
  JudgeRequest request;
  if (const std::string error = read_request(program.arguments, request); !error.empty()) return usage_error(error);
  Pages pages(program);
  if (const std::string error = pages.ready(); !error.empty()) return usage_error(error);
  const bool speaks = !program.json && !pages.to_stdout();
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (const std::string error = read_jobs(program.arguments, jobs); !error.empty()) return usage_error(error);
  const std::vector<std::string> paths = program.arguments.all("FILE");
  std::vector<JudgedFile> files;
  make_in_order<JudgedFile>(
      paths.size(), static_cast<std::size_t>(jobs),
      [&](std::size_t i) { return program.stopped() ? JudgedFile() : judged_file(paths[i], request); },
      [&](std::size_t, JudgedFile file) {
        if (program.stopped()) return false;
        if (!file.error.empty()) complain(file.error);
        if (file.error.empty() && speaks) program.out.write(history_lines(file, program.terminal));
        pages.write(file);
        files.push_back(std::move(file));
        return true;
      });
  if (program.stopped() && files.size() < paths.size()) return kInterrupted;
  if (program.json) program.out.write(histories_json(files));
  if (speaks && !program.quiet)
    for (const JudgedFile& file : files)
      if (file.error.empty()) program.out.write(history_text(file, program.terminal));
  const int code = code_of(files);
  return pages.failed() && code == kAsExpected ? int{kInternal} : code;
}

}  // namespace

CommandSpec check_history_command() {
  return {
      .name = "check-history",
      .summary = "is a recorded history of another system what an isolation level promises?",
      .description =
          "Reads histories as Jepsen and Elle write them: EDN or JSON, a list of operations or one after another, and "
          "the lines that Jepsen logs. Says of each file on a line whether it is valid: true, false or unknown; then "
          "the weakest level that is broken, the strongest that holds, and the anomaly with its proof.\n\n"
          "The model is recognised, unless --model names it. list-append and rw-register are judged by levels: "
          "read-uncommitted, read-committed, read-atomic, repeatable-read, snapshot-isolation, serializable. With "
          "strong-session- before it a level keeps the order of each process, with strong- that of real time "
          "(strict-serializable). The others are judged by their own definition; registers, kv and mutex by "
          "linearizability.\n\n"
          "\"true\" is said only where something was inferred: a history in which no transaction saw another is "
          "unknown. The versions of rw-register are ordered by rules, which the answer names; where they leave the "
          "order open, one that fits is looked for.\n\n"
          "Ends with 0 when every file is valid, 1 when one is not, 2 when one is no history (with file and line), 3 "
          "when one is not known to be either.",
      .arguments = {{"FILE", "a history", true, Names::file, {}, true}},
      .options = {{"model", "NAME", "what the operations are; default: recognised", Names::choices, model_names()},
                  {"level", "LIST",
                   "what it is held against; default: serializable. linearizable: a stale read of a set-full is wrong"},
                  {"all", "", "every level, a line each, and more anomalies"},
                  {"format", "NAME", "the syntax; default: recognised", Names::choices, {"edn", "json"}},
                  {"sequential-keys", "", "rw-register: each process meets a key's versions in their order"},
                  {"linearizable-keys", "", "rw-register: each key by itself follows the order of real time"},
                  {"no-initial-state", "", "rw-register: a read of nil need not come before every write"},
                  {"no-writes-follow-reads", "",
                   "rw-register: what was read need not come before what the reader writes"},
                  {"failed-cas",
                   "HOW",
                   "ignore (the default), or reads: it saw another value",
                   Names::choices,
                   {"ignore", "reads"}},
                  {"time-limit", "TIME", "of a search for a linear order; default: 60s"},
                  {"total", "N", "bank: what all balances make; default: what the first read gives"},
                  {"allow-negative", "", "bank: balances may be negative"},
                  {"report", "",
                   "also a page of each history, beside it: verdict, levels, the anomaly with its proof and picture"},
                  {"out", "DIR", "the pages are written there; \"-\": standard output", Names::folder},
                  {"jobs", "N", "files that are judged side by side; default: the cores"},
                  {"json", "", "the verdicts as JSON"}},
      .examples = {{"check-history history.edn --level snapshot-isolation", "Is it snapshot isolation?"},
                   {"check-history store/*/history.edn --all", "Every level, of every run."},
                   {"check-history history.edn --report", "Also history.html, a page to pass on."},
                   {"check-history etcd.json --model cas-register --time-limit 5m", "Is it linearizable?"}},
      .run = check_histories,
  };
}

}  // namespace lockstep::cli
