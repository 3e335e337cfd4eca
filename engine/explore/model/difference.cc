// difference.cc: the events of two runs, held against each other from one step of the schedule to the next.
#include "engine/explore/model/difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

namespace lockstep {
namespace {

using record::Event;
using record::EventKind;

/// An operation that has ended, well or not.
struct Answer {
  std::string operation;
  std::string outcome;  ///< "succeeds", or the fault
  std::string value;    ///< what came back
};

/// One step of the schedule: who asked for what, and what ended before the next step, by actor. What wakes several of
/// them does so in an order of its own, so each has its own list.
struct Window {
  int actor = record::kNobody;
  std::string operation;
  std::string detail;  ///< what is written …
  std::map<int, std::vector<Answer>> answers;
};

constexpr const char* kSucceeds = "succeeds";
constexpr const char* kWaits = "waits";

std::string operation_of(const Event& event) {
  return event.object.empty() ? event.verb : fmt::format("{} {}", event.verb, event.object);
}

/// SQLite's word for a lock that was waited for too long is another one than kv's.
std::string said_of(Fault fault) { return std::string(name_of(fault == Fault::busy ? Fault::lock_timeout : fault)); }

std::vector<Window> windows_of(const record::Run& run) {
  std::vector<Window> windows;
  for (const Event& event : run.events) {
    // Nobody could go on, and everybody was told to stop: that is no doing of the store.
    if (event.fault == Fault::hung || event.fault == Fault::cancelled) break;
    if (event.kind == EventKind::request) {
      windows.push_back(
          {.actor = event.actor, .operation = operation_of(event), .detail = event.detail, .answers = {}});
    } else if (event.kind == EventKind::grant && !windows.empty()) {
      windows.back().answers[event.actor].push_back({operation_of(event), kSucceeds, event.detail});
    } else if (event.kind == EventKind::fault && !windows.empty()) {
      windows.back().answers[event.actor].push_back(
          {operation_of(event), event.fault ? said_of(*event.fault) : "fails", {}});
    }
  }
  return windows;
}

std::string actor_of(const record::Run& run, int actor) {
  const auto index = static_cast<std::size_t>(actor);
  return actor >= 0 && index < run.actors.size() ? run.actors[index] : "somebody";
}

/// What ends for one actor between two steps. `at`: the step before, from 1.
std::optional<Difference> compare(std::size_t at, const std::string& actor, const std::vector<Answer>& model,
                                  const std::vector<Answer>& database) {
  for (std::size_t i = 0; i < std::max(model.size(), database.size()); ++i) {
    Difference found{.step = at, .actor = actor, .operation = {}, .model = kWaits, .database = kWaits};
    if (i >= model.size() || i >= database.size()) {
      const bool in_model = i < model.size();
      const Answer& answer = in_model ? model[i] : database[i];
      found.operation = answer.operation;
      (in_model ? found.model : found.database) = answer.outcome;
      return found;
    }
    found.operation = model[i].operation;
    found.model = model[i].outcome;
    found.database = database[i].outcome;
    found.kind = Difference::Kind::outcome;
    if (found.model != found.database) return found;
    found.kind = Difference::Kind::answer;
    found.model = model[i].value;
    found.database = database[i].value;
    if (found.model != found.database) return found;
  }
  return std::nullopt;
}

std::optional<Difference> compare(std::size_t at, const record::Run& run, const Window& model, const Window& database) {
  if (model.actor != database.actor || model.operation != database.operation || model.detail != database.detail) {
    const auto says = [&run, &model, &database](const Window& window) {
      const std::string what = window.operation + (window.detail.empty() ? "" : " " + window.detail);
      return model.actor == database.actor ? what : fmt::format("{}: {}", actor_of(run, window.actor), what);
    };
    return Difference{.kind = Difference::Kind::request,
                      .step = at,
                      .actor = actor_of(run, model.actor),
                      .operation = "next operation",
                      .model = says(model),
                      .database = says(database)};
  }
  static const std::vector<Answer> kNone;
  const auto answers_of = [](const Window& window, int actor) -> const std::vector<Answer>& {
    const auto found = window.answers.find(actor);
    return found == window.answers.end() ? kNone : found->second;
  };
  // Whose step it is comes first: what happens to the others follows from it.
  if (auto found =
          compare(at, actor_of(run, model.actor), answers_of(model, model.actor), answers_of(database, model.actor))) {
    return found;
  }
  for (int actor = 0; actor < static_cast<int>(run.actors.size()); ++actor) {
    if (auto found = compare(at, actor_of(run, actor), answers_of(model, actor), answers_of(database, actor)))
      return found;
  }
  return std::nullopt;
}

/// The first row that is not the same, as "key = value".
std::optional<Difference> compare_rows(const State& model, const State& database) {
  const std::map<std::string, std::string> mine(model.begin(), model.end()), its(database.begin(), database.end());
  if (mine == its) return std::nullopt;
  const auto differs = [&](const std::string& key) {
    return mine.count(key) != its.count(key) || mine.at(key) != its.at(key);
  };
  const auto says = [](const std::map<std::string, std::string>& rows, const std::string& key) {
    const auto row = rows.find(key);
    return row == rows.end() ? std::string("nothing") : row->second;
  };
  for (const auto* rows : {&mine, &its}) {
    for (const auto& [key, value] : *rows) {
      if (!differs(key)) continue;
      return Difference{.kind = Difference::Kind::end,
                        .actor = {},
                        .operation = "row " + key,
                        .model = says(mine, key),
                        .database = says(its, key)};
    }
  }
  return std::nullopt;
}

std::optional<Difference> compare_ends(const Performed& model, const Performed& database) {
  Difference found{.kind = Difference::Kind::end,
                   .actor = {},
                   .operation = "verdict",
                   .model = std::string(record::name_of(model.run.verdict)),
                   .database = std::string(record::name_of(database.run.verdict))};
  if (found.model != found.database) return found;
  const auto& invariants = model.run.invariants;
  for (std::size_t i = 0; i < std::min(invariants.size(), database.run.invariants.size()); ++i) {
    if (invariants[i].held == database.run.invariants[i].held) continue;
    found.operation = "invariant \"" + invariants[i].text + "\"";
    found.model = invariants[i].held ? "held" : "broken";
    found.database = invariants[i].held ? "broken" : "held";
    return found;
  }
  return compare_rows(model.rows, database.rows);
}

}  // namespace

std::string_view name_of(Difference::Kind kind) noexcept {
  static constexpr std::array<std::string_view, 5> names = {"wait", "outcome", "answer", "request", "end"};
  return names[static_cast<std::size_t>(kind)];
}

std::optional<Difference> first_difference(const Performed& model, const Performed& database) {
  const std::vector<Window> mine = windows_of(model.run), its = windows_of(database.run);
  for (std::size_t i = 0; i < std::min(mine.size(), its.size()); ++i) {
    if (auto found = compare(i + 1, model.run, mine[i], its[i])) return found;
  }
  if (mine.size() != its.size()) {
    const bool in_model = mine.size() > its.size();
    const std::size_t at = std::min(mine.size(), its.size());
    const Window& extra = in_model ? mine[at] : its[at];
    Difference found{.kind = Difference::Kind::request,
                     .step = at + 1,
                     .actor = actor_of(model.run, extra.actor),
                     .operation = "next operation",
                     .model = "nothing more",
                     .database = "nothing more"};
    (in_model ? found.model : found.database) = extra.operation;
    return found;
  }
  return compare_ends(model, database);
}

std::string text_of(const Difference& difference, std::string_view database) {
  const std::string what =
      difference.actor.empty() ? difference.operation : fmt::format("{}'s {}", difference.actor, difference.operation);
  const auto said = [](const std::string& text) { return text.empty() ? "nothing" : text; };
  return fmt::format("{}: the model says {}, {} says {}, {}", what, said(difference.model), database,
                     said(difference.database),
                     difference.step == 0 ? "at the end" : fmt::format("at step {}", difference.step));
}

std::string to_json(const Difference& difference, std::string_view model) {
  return nlohmann::json{{"schema", 1},
                        {"model", model},
                        {"kind", name_of(difference.kind)},
                        {"step", difference.step},
                        {"actor", difference.actor},
                        {"operation", difference.operation},
                        {"model_says", difference.model},
                        {"database_says", difference.database}}
      .dump();
}

}  // namespace lockstep
