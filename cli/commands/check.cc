// check.cc: `lockstep check`: the whole catalogue against its expectations.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "cli/cells.h"
#include "cli/check_text.h"
#include "cli/command_line.h"
#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/program.h"
#include "cli/run_options.h"
#include "cli/text.h"
#include "engine/backends/postgres/server_binaries.h"
#include "engine/run.h"
#include "engine/suggest.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

using LeftOut = std::vector<std::pair<std::string, std::string>>;  ///< store, why

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

/// True for a fault of the store's environment as against one of the scenario.
bool is_unavailable(Fault fault) { return is_environment(fault) && fault != Fault::internal; }

/// One invocation of the command.
class Check {
 public:
  Check(Program& program, std::vector<Cell> cells, const RunRequest& base, std::vector<std::string> asked,
        LeftOut left_out)
      : program_(program),
        cells_(std::move(cells)),
        base_(base),
        asked_(std::move(asked)),
        left_out_(std::move(left_out)) {}

  int run() {
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t begin = 0; begin < cells_.size() && !program_.stopped();) {
      std::size_t end = begin;
      while (end < cells_.size() && cells_[end].store == cells_[begin].store &&
             cells_[end].executor == cells_[begin].executor) {
        ++end;
      }
      run_table(begin, end);
      begin = end;
    }
    wall_ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    report();
    const bool junit_written = write_junit();
    return exit_code(junit_written);
  }

 private:
  void run_table(std::size_t begin, std::size_t end) {
    bool announced = false;
    Progress progress(!program_.quiet);
    for (std::size_t i = begin; i < end && !program_.stopped(); ++i) {
      Cell& cell = cells_[i];
      RunRequest request = base_;
      request.store = cell.store;
      request.protocol = cell.protocol;
      request.pattern = cell.pattern;
      request.executor = cell.executor;
      if (!announced && !program_.quiet) announce_private_server(request);
      announced = true;
      progress.show(fmt::format("check {}/{}  {} {} {} {}", i + 1, cells_.size(), store_title(cell.store),
                                cell.protocol, cell.scenario->name, cell.pattern));
      if (!run_cell(cell, request)) break;
    }
    progress.erase();
    const std::span<const Cell> table(cells_.data() + begin, end - begin);
    const bool ran =
        std::any_of(table.begin(), table.end(), [](const Cell& c) { return c.state != Cell::State::waiting; });
    if (!program_.json && !program_.quiet && ran) program_.out.write(check_table(table, program_.look) + "\n");
  }

  /// False when the store is not there: the rest of its cells need not be tried.
  bool run_cell(Cell& cell, const RunRequest& request) {
    const Result<record::Run> ran = lockstep::run(*cell.scenario, request, &program_.stop);
    record::Run coordinates;
    coordinates.scenario = cell.scenario->name;
    coordinates.store = cell.store;
    coordinates.protocol = cell.protocol;
    coordinates.pattern = cell.pattern;
    coordinates.executor = cell.executor;
    coordinates.seed = request.seed;
    cell.command = command_of(coordinates, request);
    if (!ran) {
      if (program_.stopped()) return false;
      if (is_unavailable(ran.fault())) return leave_out(cell.store, ran.error().message);
      cell.state = Cell::State::failed;
      cell.summary = ran.error().message;
      return true;
    }
    if (ran->ending == record::Ending::interrupted) return false;
    if (ran->ending == record::Ending::unavailable) return leave_out(cell.store, ran->summary);
    cell.state = Cell::State::done;
    cell.verdict = ran->verdict;
    cell.summary = ran->summary;
    cell.wall_ms = ran->wall_ms;
    return true;
  }

  bool leave_out(const std::string& store, const std::string& why) {
    left_out_.emplace_back(store, why);
    for (Cell& cell : cells_) {
      if (cell.store == store && cell.state == Cell::State::waiting) cell.summary = why;
    }
    return false;
  }

  void report() {
    std::size_t done = 0, differing = 0, waiting = 0;
    for (const Cell& cell : cells_) {
      done += cell.state == Cell::State::waiting ? 0 : 1;
      waiting += cell.state == Cell::State::waiting ? 1 : 0;
      differing += cell.differs() ? 1 : 0;
    }
    if (program_.json) {
      program_.out.write(check_json(cells_, base_.seed, left_out_, wall_ms_));
    } else {
      const Look& look = program_.look;
      program_.out.write(check_failures(cells_, look));
      Line line;
      line.add(" ").add(differing == 0 ? Style::good : Style::fault,
                        differing == 0 ? look.glyphs().good : look.glyphs().fault);
      line.add(look.clean(fmt::format(" {} checked: {} as expected, {} not · seed {} · {:.1f} s",
                                      counted(done, "cell", "cells"), done - differing, differing, base_.seed,
                                      wall_ms_ / 1000)));
      program_.out.write(line.str(look));
    }
    for (const auto& [store, why] : left_out_) complain(fmt::format("{} was left out: {}", store, why));
    if (waiting > 0 && program_.stopped())
      complain(fmt::format("interrupted: {} not run", counted(waiting, "cell", "cells")));
  }

  bool write_junit() {
    if (!program_.arguments.has("junit")) return true;
    const std::string path = program_.arguments.value("junit");
    const std::string text = check_junit(cells_);
    std::FILE* const file = std::fopen(path.c_str(), "w");
    bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if (file != nullptr) written = std::fclose(file) == 0 && written;
    if (!written) complain(fmt::format("cannot write {}: {}", path, std::strerror(error)));
    return written;
  }

  int exit_code(bool junit_written) const {
    if (program_.stopped()) return kInterrupted;
    if (std::any_of(cells_.begin(), cells_.end(), [](const Cell& c) { return c.differs(); })) return kNotAsExpected;
    for (const auto& [store, why] : left_out_) {
      if (contains(asked_, store)) return kStoreUnavailable;
    }
    return junit_written ? kAsExpected : kInternal;
  }

  Program& program_;
  std::vector<Cell> cells_;
  const RunRequest base_;
  const std::vector<std::string> asked_;  ///< stores that must be there
  LeftOut left_out_;
  double wall_ms_ = 0;
};

/// The stores to check, and those that must be there. Without --store: every one but a PostgreSQL that nobody named and
/// that cannot be started here.
std::vector<std::string> choose_stores(const Arguments& arguments, std::vector<std::string>& asked, LeftOut& left_out) {
  asked = arguments.listed("store");
  if (!asked.empty()) return asked;
  const char* dsn = std::getenv("LOCKSTEP_DSN");
  const bool named = arguments.has("dsn") || (dsn != nullptr && *dsn != '\0');
  std::vector<std::string> stores;
  for (const std::string& store : store_names()) {
    if (store == "postgres" && !named) {
      if (const auto binaries = postgres::find_server_binaries(); !binaries) {
        left_out.emplace_back(store, binaries.error().message);
        continue;
      }
    }
    stores.push_back(store);
  }
  if (named) asked.emplace_back("postgres");
  return stores;
}

int check(Program& program) {
  RunRequest base;
  std::string error = read_run_options(program.arguments, base);
  if (!error.empty()) return usage_error(error);
  CellFilter filter;
  filter.names = program.arguments.listed("scenario");
  if (program.arguments.has("NAME")) filter.names.push_back(program.arguments.value("NAME"));
  (void)scenarios_named(filter.names, error);
  if (!error.empty()) return usage_error(error);
  for (const std::string& store : program.arguments.listed("store")) {
    if (!contains(store_names(), store)) return usage_error(unknown_name("store", store, store_names()));
  }
  filter.executors = program.arguments.listed("executor");

  std::vector<std::string> asked;
  LeftOut left_out;
  filter.stores = choose_stores(program.arguments, asked, left_out);
  std::vector<Cell> cells = cells_of(scenarios::catalogue(), filter);
  for (const std::string& expectation : program.arguments.all("expect")) {
    if (error = apply_expectation(expectation, cells); !error.empty()) return usage_error(error);
  }
  if (cells.empty()) return usage_error("nothing to check: these scenarios do not run on these stores");
  return Check(program, std::move(cells), base, std::move(asked), std::move(left_out)).run();
}

}  // namespace

CommandSpec check_command() {
  std::vector<OptionSpec> options = run_options();
  for (OptionSpec& option : options) {
    if (option.name == "store") option.help = "only these stores, such as kv,sqlite,postgres; each must then be there";
    if (option.name == "executor") option.help = "threads (the default), coroutines, or both: threads,coroutines";
    if (option.name == "timeout") option.help = "the longest single run; default: 30s";
  }
  options.push_back(
      {"scenario", "NAMES", "only these scenarios or themes, such as deadlock,stock/oversell", Names::scenario});
  options.push_back({"expect",
                     "CELL",
                     "another expectation: \"NAME STORE PROTOCOL PATTERN=VERDICT\"; * for any store or protocol",
                     Names::nothing,
                     {},
                     true});
  options.push_back({"junit", "FILE", "also write JUnit XML", Names::file});
  options.push_back({"json", "", "the result as JSON, in place of the tables"});
  return {
      .name = "check",
      .summary = "the whole catalogue against its expectations, for CI",
      .description =
          "Runs every scenario with every pattern on every store and protocol that it says something about, and "
          "compares the "
          "verdicts. In-process scenarios need no store and are always in. Nothing is saved.\n\n"
          "Without --store, PostgreSQL is checked when a server is named (--dsn, LOCKSTEP_DSN) or can be started "
          "here.\n\n"
          "The exit code is 1 when a verdict is not as expected, 3 when a store that was asked for is not there.",
      .arguments = {{"NAME", "only this scenario or theme", false, Names::theme}},
      .options = std::move(options),
      .examples = {{"check", "Everything that can run here."},
                   {"check --store kv,sqlite,postgres --junit check.xml", "For CI."},
                   {"check deadlock --executor threads,coroutines", "One theme on both executors."},
                   {"check --expect \"deadlock/two-lock kv 2pl-detect plain=clean\"", "Exits 1: it is a deadlock."}},
      .run = check,
  };
}

}  // namespace lockstep::cli
