// cell_runner.cc: one store after the other, so that a private server is started once.
#include "cli/commands/cell_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/args/command_line.h"
#include "cli/args/exit_code.h"
#include "cli/args/names.h"
#include "cli/args/run_options.h"
#include "cli/args/script_files.h"
#include "cli/commands/announcement.h"
#include "cli/commands/own_code.h"
#include "cli/text/script_text.h"
#include "engine/base/suggest.h"
#include "engine/ranks/pack.h"
#include "engine/run/remedy.h"
#include "engine/store/backend.h"
#include "scenarios/catalogue.h"

namespace lockstep::cli {
namespace {

/// True for a fault of the store's environment, false for one of the scenario.
bool is_unavailable(Fault fault) { return is_environment(fault) && fault != Fault::internal; }

/// What --store names, else every store that can be had here. An error for people, or empty, in `error`.
StoreChoice choose_stores(const Arguments& arguments, std::string& error) {
  StoreChoice choice;
  choice.asked = stores_asked_for(arguments);
  for (const std::string& store : choice.asked) {
    if (!contains(store_names(), store)) error = unknown_name("store", store, store_names());
  }
  choice.stores = choice.asked;
  if (!choice.asked.empty()) return choice;
  const Dsns dsns = arguments.all("dsn");
  for (const BackendKind& kind : backends()) {
    const std::string name(kind.name);
    const std::string dsn = dsns.of(kind);
    if (const auto available = kind.available(dsn); !available) {
      choice.left_out.emplace_back(name, available.error().message);
      continue;
    }
    choice.stores.push_back(name);
    if (kind.is_server_named(dsn)) choice.asked.push_back(name);
  }
  return choice;
}

/// What came of a cell; what it is, every rank knows.
void pack(const Cell& cell, Packer& into) {
  into.put(cell.state).put(cell.verdict).put(cell.summary).put(cell.command).put(cell.how).put(cell.run);
  into.put(cell.wall_ms).put(cell.is_program_error).put(cell.missed).put(cell.gave_up).put(cell.fix_command);
  into.put(cell.fix_mends.has_value()).put(cell.fix_mends.value_or(false)).put(cell.fix_summary);
}

void unpack(Unpacker& from, Cell& cell) {
  from.get(cell.state);
  from.get(cell.verdict);
  from.get(cell.summary);
  from.get(cell.command);
  from.get(cell.how);
  from.get(cell.run);
  from.get(cell.wall_ms);
  from.get(cell.is_program_error);
  from.get(cell.missed);
  from.get(cell.gave_up);
  from.get(cell.fix_command);
  const bool was_tried = from.get<bool>(), mends = from.get<bool>();
  cell.fix_mends = was_tried ? std::optional<bool>(mends) : std::nullopt;
  from.get(cell.fix_summary);
}

}  // namespace

bool agree_on_stores(Ranks& ranks, CellFilter& filter, StoreChoice& choice) {
  if (!ranks.are_several()) return true;
  const RankAnswer answer = ranks.ask({}, [&choice](const RankPieces&) {
    Packer stores;
    for (const std::string& store : choice.stores) stores.put(store);
    return stores.take();
  });
  if (!ranks.lost().empty()) return false;
  Unpacker stores(answer.text);
  choice.stores.clear();
  while (!stores.at_end()) choice.stores.push_back(stores.text());
  filter.stores = choice.stores;
  return true;
}

std::vector<OptionSpec> cell_options() {
  std::vector<OptionSpec> options = run_options();
  for (OptionSpec& option : options) {
    if (option.name == "store") {
      option.value = "NAMES";
      option.help =
          fmt::format("only these stores, such as {}; each must then be there", fmt::join(store_names_in_prose(), ","));
    }
    if (option.name == "executor") option.value = "NAMES";
    if (option.name == "executor") option.help = "threads (the default), coroutines, or both: threads,coroutines";
    if (option.name == "timeout") option.help = "the longest single run; default: 30s";
  }
  options.push_back({"scenario", "NAMES", "only these scenarios or themes, such as deadlock,stock/oversell",
                     Names::scenario_or_theme});
  return options;
}

std::string read_cell_options(const Arguments& arguments, RunRequest& base, CellFilter& filter, StoreChoice& choice) {
  std::string error = read_run_options(arguments, base);
  if (!error.empty()) return error;
  std::vector<std::string> names = arguments.listed("scenario");
  if (arguments.has("NAME")) names.push_back(arguments.value("NAME"));
  for (const std::string& name : names) {
    const std::vector<std::string> files = script_files_in(name);
    filter.names.insert(filter.names.end(), files.begin(), files.end());
    if (files.empty()) filter.names.push_back(name);
  }
  (void)scenarios_named(filter.names, error);
  if (!error.empty()) return error;
  filter.executors = arguments.listed("executor");
  choice = choose_stores(arguments, error);
  filter.stores = choice.stores;
  return error;
}

std::vector<Cell> wanted_cells(const CellFilter& filter) {
  CellFilter of_catalogue = filter;
  std::erase_if(of_catalogue.names, is_script_file);
  std::vector<Cell> cells;
  if (filter.names.empty() || !of_catalogue.names.empty()) cells = cells_of(scenarios::catalogue(), of_catalogue);
  for (const std::string& name : filter.names) {
    std::string error;
    const script::Script* const file = is_script_file(name) ? script_at(name, error) : nullptr;
    if (file == nullptr) continue;
    for (Cell& cell : told_of(cells_of(std::span(&file->scenario(), 1), filter))) cells.push_back(std::move(cell));
  }
  return cells;
}

void CellRunner::run(std::vector<Cell>& cells) {
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t begin = 0; begin < cells.size() && !program_.stopped() && !told_to_stop_;) {
    std::size_t end = begin;
    while (end < cells.size() && cells[end].store == cells[begin].store &&
           cells[end].executor == cells[begin].executor) {
      ++end;
    }
    run_table(cells, begin, end);
    begin = end;
  }
  wall_ms_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

void CellRunner::run_table(std::vector<Cell>& cells, std::size_t begin, std::size_t end) {
  Ranks& ranks = program_.ranks();
  const auto step = static_cast<std::size_t>(ranks.size());
  why_left_out_.clear();
  bool announced = false;
  Progress progress(!program_.quiet);
  for (std::size_t i = begin + static_cast<std::size_t>(ranks.rank()); i < end && !program_.stopped(); i += step) {
    Cell& cell = cells[i];
    RunRequest request = base_;
    request.store = cell.store;
    request.protocol = cell.protocol;
    request.pattern = cell.pattern;
    request.executor = cell.executor;
    if (!announced && !program_.quiet) announce_store(request);
    announced = true;
    progress.show(fmt::format("{} {}/{}  {} {} {} {}", word_, i + 1, cells.size(), store_title(cell.store),
                              cell.protocol, cell.scenario->name, cell.pattern));
    if (!run_cell(cells, cell, request)) break;
  }
  progress.erase();
  if (ranks.are_several()) gather_table(cells, begin, end);
  const std::span<const Cell> table(cells.data() + begin, end - begin);
  const bool ran =
      std::any_of(table.begin(), table.end(), [](const Cell& c) { return c.state != Cell::State::waiting; });
  // Of a rank that has died the launcher leaves no time for a table with holes.
  if (ran && each_table && ranks.leads() && ranks.lost().empty()) each_table(table);
}

/// Rank 0 gets what the others have run; all hear whether to go on.
void CellRunner::gather_table(std::vector<Cell>& cells, std::size_t begin, std::size_t end) {
  Ranks& ranks = program_.ranks();
  const std::string store = cells[begin].store;
  Packer piece;
  piece.put(why_left_out_);
  for (std::size_t i = begin; i < end; ++i) {
    if (cells[i].state == Cell::State::waiting) continue;
    pack(cells[i], piece.put(static_cast<std::uint64_t>(i)));
  }
  const RankAnswer answer = ranks.ask(piece.take(), [&](const RankPieces& pieces) {
    for (std::size_t rank = 1; rank < pieces.size(); ++rank) {
      if (!pieces[rank]) continue;
      Unpacker from(*pieces[rank]);
      const std::string why = from.text();
      while (!from.at_end()) unpack(from, cells[from.get<std::uint64_t>()]);
      const auto is_known = [&store](const auto& left_out) { return left_out.first == store; };
      if (!why.empty() && std::none_of(choice_.left_out.begin(), choice_.left_out.end(), is_known))
        leave_out(cells, store, why);
    }
    return std::string();
  });
  told_to_stop_ = answer.stopped || !ranks.lost().empty();
}

/// False when the store is not there: the rest of its cells need not be tried.
bool CellRunner::run_cell(std::vector<Cell>& cells, Cell& cell, const RunRequest& request) {
  RunRequest watched = request;
  watched.on_own_code = end_at_own_code(program_);
  Result<record::Run> ran = lockstep::run(*cell.scenario, watched, &program_.stop);
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
    if (is_unavailable(ran.fault())) return leave_out(cells, cell.store, ran.error().message);
    cell.state = Cell::State::failed;
    cell.summary = ran.error().message;
    return true;
  }
  if (ran->ending == record::Ending::interrupted) return false;
  if (ran->ending == record::Ending::unavailable) return leave_out(cells, cell.store, ran->summary);
  cell.state = Cell::State::done;
  cell.verdict = ran->verdict;
  cell.summary = ran->summary;
  cell.wall_ms = ran->wall_ms;
  cell.is_program_error = ran->documents.contains(record::kProgramErrorDocument);
  cell.gave_up = gave_up(*ran);
  if (const script::Script* const script = script_of(*cell.scenario)) {
    script->note_source(*ran);
    cell.missed = missed_text(script->file().path, script::check(*script, *ran, script->latest()));
    if (!cell.missed.empty()) cell.summary = cell.missed;
  }
  cell.fix_command = ran->fix_command;
  ran->command = cell.command;
  if (each_run) each_run(cell, *ran);
  return true;
}

bool CellRunner::leave_out(std::vector<Cell>& cells, const std::string& store, const std::string& why) {
  choice_.left_out.emplace_back(store, why);
  why_left_out_ = why;
  for (Cell& cell : cells) {
    if (cell.store == store && cell.state == Cell::State::waiting) cell.summary = why;
  }
  return false;
}

int exit_code_of(const Program& program, std::span<const Cell> cells, const StoreChoice& choice) {
  if (program.stopped()) return kInterrupted;
  if (std::any_of(cells.begin(), cells.end(), [](const Cell& c) { return c.differs(); })) return kNotAsExpected;
  for (const auto& [store, why] : choice.left_out) {
    if (contains(choice.asked, store)) return kStoreUnavailable;
  }
  return kAsExpected;
}

}  // namespace lockstep::cli
