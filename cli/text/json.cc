// json.cc: what commands say as JSON. Of others only history_json.cc knows the JSON library.
#include "cli/text/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/text/kv_text.h"
#include "engine/record/run_json.h"

namespace lockstep::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

double rounded(double ms) { return std::isfinite(ms) ? std::round(ms * 1000) / 1000 : 0; }

bool is_utf8(const std::string& bytes) {
  try {
    (void)Json(bytes).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

/// As text when it is some, else as hexadecimal digits under NAME_hex.
void add_bytes(Json& object, const std::string& name, const std::string& bytes) {
  if (is_utf8(bytes)) {
    object[name] = bytes;
    return;
  }
  std::string digits;
  for (const char c : bytes) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  object[name + "_hex"] = digits;
}

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json lock_orders_json(const record::Run& run) {
  const auto document = run.documents.find(record::kLockOrderDocument);
  return document == run.documents.end() ? Json::array() : Json::parse(document->second, nullptr, false);
}

Json pattern_of(const Pattern& pattern) {
  Json actors = Json::array();
  for (const ActorSpec& actor : pattern.actors) actors.push_back(actor.name);
  Json expected = Json::array();
  for (const std::string& store : pattern.stores()) {
    const BackendKind* kind = backend_named(store);
    const auto add = [&](const std::string& protocol) {
      if (const auto verdict = pattern.expected(store, protocol)) {
        expected.push_back({{"store", store}, {"protocol", protocol}, {"verdict", record::name_of(*verdict)}});
      }
    };
    if (kind == nullptr) {
      add(std::string(record::kNoProtocol));
    } else {
      for (const std::string& name : kind->protocol_names()) add(name);
    }
  }
  return {{"name", pattern.name}, {"summary", pattern.summary},         {"stores", pattern.stores()},
          {"actors", actors},     {"schedule", pattern.schedule},       {"why", pattern.why()},
          {"fix", pattern.fix},   {"fix_pattern", pattern.fix_pattern}, {"expected", expected}};
}

}  // namespace

std::string run_json(const record::Run& run, const std::string& path, const std::string& history) {
  Json json = {{"schema", kJsonSchema}};
  json.update(record::json_of(run));
  if (path.empty()) json["id"] = nullptr;
  json["events"] = run.events.size();
  json["wall_ms"] = rounded(run.wall_ms);
  json["recording"] = or_null(path);
  json["summary"] = run.summary;
  json["why"] = run.why;
  json["fix"] = run.fix;
  json["fix_command"] = run.fix_command;
  Json figures = Json::array();
  for (const record::Event& event : run.events) {
    if (event.kind != record::EventKind::figure) continue;
    Json figure = {{"row", event.object}, {"column", event.verb}};
    figure.update(record::measured_json(event.detail));
    figures.push_back(std::move(figure));
  }
  if (!figures.empty()) json["figures"] = figures;  // only of runs that have measured something
  if (const Json potential = lock_orders_json(run); !potential.empty()) json["potential_deadlocks"] = potential;
  if (!history.empty()) json["history"] = Json::parse(history)["files"][0];
  return line(json);
}

std::string explore_json(const std::string& scenario, const Exploration& explored, const std::vector<std::string>& ids,
                         bool as_expected) {
  // A count is a whole number as long as a double can hold it.
  const auto counted = [](double number) {
    return number < 0 ? Json(nullptr) : number < 9e15 ? Json(static_cast<std::uint64_t>(number)) : Json(number);
  };
  Json findings = Json::array();
  Json shortest = nullptr;
  for (std::size_t i = 0; i < explored.findings.size(); ++i) {
    const Finding& each = explored.findings[i];
    if (shortest.is_null() && !ids[i].empty()) shortest = ids[i];
    findings.push_back({{"verdict", record::name_of(each.verdict)},
                        {"what", each.what},
                        {"runs", each.runs},
                        {"interleavings", counted(each.interleavings)},
                        {"preemptions", each.preemptions ? Json(*each.preemptions) : Json(nullptr)},
                        {"fewest_steps", each.fewest_steps},
                        {"schedule", each.shortest.schedule},
                        {"shortest", or_null(ids[i])}});
  }
  Json potential = Json::array();
  for (const record::OrderViolation& each : explored.potential) {
    potential.push_back(Json::parse(record::to_json({each})).front());
  }
  Json graph = nullptr;
  if (explored.graph) {
    graph = {{"states", explored.graph->states.size()},
             {"moves", explored.graph->moves()},
             {"deadlock_states", explored.graph->ends_as(record::Verdict::deadlock)},
             {"complete", explored.graph->complete}};
  }
  Json model = nullptr;
  if (!explored.model.empty()) {
    model = {{"name", explored.model}, {"classes", explored.classes}, {"complete", explored.is_model_complete}};
  }
  Json disagreements = Json::array();
  for (const Disagreement& each : explored.disagreements) {
    const Difference& found = each.difference;
    disagreements.push_back({{"kind", name_of(found.kind)},
                             {"step", found.step == 0 ? Json(nullptr) : Json(found.step)},
                             {"actor", or_null(found.actor)},
                             {"operation", found.operation},
                             {"model_says", found.model},
                             {"database_says", found.database},
                             {"classes", each.classes},
                             {"schedule", each.schedule},
                             {"run", or_null(each.run.id)}});
  }
  const bool has_classes = explored.strategy == Strategy::exhaustive || explored.strategy == Strategy::bounded;
  Json shares = Json::object();
  for (const Finding& each : explored.findings) {
    const double share = explored.share_ending(each.verdict);
    shares[std::string(record::name_of(each.verdict))] = share < 0 ? Json(nullptr) : Json(share);
  }
  return line({{"schema", kJsonSchema},
               {"scenario", scenario},
               {"store", explored.run.store},
               {"protocol", explored.run.protocol},
               {"pattern", explored.run.pattern},
               {"strategy", name_of(explored.strategy)},
               {"retries", explored.run.retries.value_or(0)},
               {"seed", explored.run.seed},
               {"interleavings", counted(explored.interleavings)},
               {"classes", has_classes ? Json(explored.runs) : Json(nullptr)},
               {"runs", explored.runs},
               {"pruned", explored.pruned},
               {"left_out", explored.left_out},
               {"complete", explored.complete},
               {"deadlocks", explored.runs_ending(record::Verdict::deadlock)},
               {"anomalies", explored.runs_ending(record::Verdict::anomaly)},
               {"model", model},
               {"no_model", or_null(explored.why_no_model)},
               {"disagreements", disagreements},
               {"shares", shares},
               {"preemptions_seen", explored.preemptions_seen < 0 ? Json(nullptr) : Json(explored.preemptions_seen)},
               {"jobs", explored.jobs},
               {"shortest", shortest},
               {"schedules_per_s", rounded(explored.runs_per_second())},
               {"as_expected", as_expected},
               {"missed_expected", explored.missed.has_value()},
               {"grain", explored.grain},
               {"state_graph", graph},
               {"potential_deadlocks", potential},
               {"findings", findings}});
}

std::string grain_json(const std::vector<std::string>& grain) {
  return Json(grain).dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

Json changes_json(const BaselineChanges& since) {
  Json all = Json::array();
  for (const record::ComparisonChange& each : since.changes) {
    Json ratio = nullptr;
    if (each.ratio) ratio = {{"median", each.ratio->median}, {"low", each.ratio->low}, {"high", each.ratio->high}};
    all.push_back({{"load", each.load},
                   {"strategy", each.strategy},
                   {"change", name_of(each.kind)},
                   {"before_per_s", each.before_per_s},
                   {"now_per_s", each.now_per_s},
                   {"ratio", std::move(ratio)},
                   {"regression", record::is_regression(each, since.tolerance)}});
  }
  return {{"id", since.id}, {"tolerance", since.tolerance}, {"regressions", since.regressions()}, {"changes", all}};
}

}  // namespace

std::string compare_json(const record::Comparison& comparison, const record::Run& run, const std::string& path,
                         const std::optional<BaselineChanges>& since) {
  Json json{{"schema", kJsonSchema}, {"id", nullptr}, {"recording", nullptr}};
  if (!path.empty()) {
    json["id"] = run.id;
    json["recording"] = path;
  }
  json["command"] = run.command;
  json["seed"] = run.seed;
  json["store_version"] = run.store_version;
  json["environment"] = record::environment_json(run.environment);
  json["as_expected"] = comparison.as_expected();
  if (since) json["baseline"] = changes_json(*since);
  json.update(Json::parse(record::to_json(comparison)));
  return line(json);
}

std::string replay_json(const Replay& replayed, const std::string& id) {
  Json divergence = nullptr;
  if (replayed.divergence) {
    const Divergence& at = *replayed.divergence;
    divergence = {{"event", at.step > 0 ? Json(nullptr) : Json(at.seq)},
                  {"step", at.step > 0 ? Json(at.step) : Json(nullptr)},
                  {"recorded", replayed.divergence->recorded},
                  {"happened", replayed.divergence->happened}};
  }
  return line({{"schema", kJsonSchema},
               {"id", or_null(id)},
               {"scenario", replayed.run.scenario},
               {"executor", replayed.run.executor},
               {"steps", replayed.steps},
               {"events", replayed.run.events.size()},
               {"stopped", replayed.stopped},
               {"identical", !replayed.divergence},
               {"times_identical", replayed.identical},
               {"other_victims", replayed.other_victims},
               {"replays_per_s",
                replayed.seconds > 0 ? rounded(static_cast<double>(replayed.identical) / replayed.seconds) : 0},
               {"divergence", divergence}});
}

std::string list_json(const std::vector<const Scenario*>& scenarios) {
  Json all = Json::array();
  for (const Scenario* scenario : scenarios) {
    Json patterns = Json::array();
    for (const Pattern& pattern : scenario->patterns()) patterns.push_back(pattern.name);
    all.push_back({{"name", scenario->name},
                   {"title", scenario->title()},
                   {"stores", scenario->stores()},
                   {"patterns", patterns},
                   {"source", scenario->source}});
  }
  return line({{"schema", kJsonSchema}, {"scenarios", all}});
}

std::string show_json(const Scenario& scenario) {
  Json given = Json::array(), holds = Json::array(), patterns = Json::array();
  for (const auto& [key, value] : scenario.rows()) given.push_back({{"key", key}, {"value", value}});
  for (const InvariantSpec& invariant : scenario.invariants()) holds.push_back(invariant.text);
  for (const Pattern& pattern : scenario.patterns()) patterns.push_back(pattern_of(pattern));
  return line({{"schema", kJsonSchema},
               {"name", scenario.name},
               {"title", scenario.title()},
               {"story", scenario.story()},
               {"source", scenario.source},
               {"stores", scenario.stores()},
               {"given", given},
               {"invariants", holds},
               {"patterns", patterns}});
}

std::string stores_json(std::span<const BackendKind> kinds) {
  Json all = Json::array();
  for (const BackendKind& kind : kinds) {
    Json protocols = Json::array();
    for (const ProtocolTraits& each : kind.protocols)
      protocols.push_back({{"name", each.name}, {"summary", each.summary}});
    all.push_back({{"name", kind.name}, {"summary", kind.summary}, {"protocols", protocols}});
  }
  return line({{"schema", kJsonSchema}, {"stores", all}});
}

std::string runs_json(const std::string& folder, const std::vector<record::SavedRun>& runs, std::size_t hidden,
                      const std::vector<std::string>& unreadable) {
  Json all = Json::array();
  for (const record::SavedRun& run : runs) {
    all.push_back({{"id", run.id},
                   {"scenario", run.scenario},
                   {"store", run.store},
                   {"protocol", run.protocol},
                   {"pattern", run.pattern},
                   {"executor", run.executor},
                   {"started_at", run.started_at},
                   {"verdict", record::name_of(run.verdict)},
                   {"as_expected", run.as_expected},
                   {"events", run.events},
                   {"recording", run.path}});
  }
  return line(
      {{"schema", kJsonSchema}, {"folder", folder}, {"runs", all}, {"hidden", hidden}, {"unreadable", unreadable}});
}

std::string matrix_json(const std::string& id, const std::vector<Cell>& cells, std::uint64_t seed,
                        const std::vector<std::pair<std::string, std::string>>& left_out, double wall_ms) {
  Json all = Json::array(), out = Json::array();
  for (const Cell& cell : cells) {
    all.push_back({{"scenario", cell.scenario->name},
                   {"pattern", cell.pattern},
                   {"store", cell.store},
                   {"protocol", cell.protocol},
                   {"executor", cell.executor},
                   {"expected", cell.expected ? Json(record::name_of(*cell.expected)) : Json(nullptr)},
                   {"verdict", cell.state == Cell::State::done ? Json(record::name_of(cell.verdict)) : Json(nullptr)},
                   {"how", cell.how},
                   {"as_expected", cell.as_expected()},
                   {"summary", cell.summary},
                   {"run", or_null(cell.run)},
                   {"command", cell.command}});
  }
  for (const auto& [store, why] : left_out) out.push_back({{"store", store}, {"why", why}});
  return line({{"schema", kJsonSchema},
               {"id", or_null(id)},
               {"seed", seed},
               {"left_out", out},
               {"wall_ms", rounded(wall_ms)},
               {"cells", all}});
}

std::string report_json(const std::vector<std::string>& ids, const std::vector<ReportFile>& files) {
  Json all = Json::array();
  for (const ReportFile& file : files) {
    all.push_back({{"format", file.format}, {"path", file.path}, {"bytes", file.bytes}});
  }
  return line({{"schema", kJsonSchema}, {"runs", ids}, {"files", all}});
}

std::string prune_json(const std::string& folder, const std::vector<std::string>& pruned, std::size_t kept,
                       bool dry_run, const std::vector<std::string>& left, const std::vector<std::string>& unreadable) {
  return line({{"schema", kJsonSchema},
               {"folder", folder},
               {"pruned", pruned},
               {"kept", kept},
               {"dry_run", dry_run},
               {"left", left},
               {"unreadable", unreadable}});
}

std::string export_json(const std::string& file, const std::vector<std::string>& paths) {
  return line({{"schema", kJsonSchema}, {"file", file}, {"exported", paths}});
}

std::string import_json(const std::string& folder, const std::vector<std::string>& imported,
                        const std::vector<std::string>& there_already, const std::vector<std::string>& refused) {
  return line({{"schema", kJsonSchema},
               {"folder", folder},
               {"imported", imported},
               {"there_already", there_already},
               {"refused", refused}});
}

std::string check_json(const std::vector<Cell>& cells, std::uint64_t seed,
                       const std::vector<std::pair<std::string, std::string>>& left_out, double wall_ms) {
  Json all = Json::array(), out = Json::array();
  std::size_t differing = 0, waiting = 0;
  for (const Cell& cell : cells) {
    differing += cell.differs() ? 1 : 0;
    waiting += cell.state == Cell::State::waiting ? 1 : 0;
    all.push_back({{"scenario", cell.scenario->name},
                   {"store", cell.store},
                   {"protocol", cell.protocol},
                   {"pattern", cell.pattern},
                   {"executor", cell.executor},
                   {"expected", cell.expected ? Json(record::name_of(*cell.expected)) : Json(nullptr)},
                   {"verdict", cell.state == Cell::State::done ? Json(record::name_of(cell.verdict)) : Json(nullptr)},
                   {"as_expected", cell.as_expected()},
                   {"summary", cell.summary},
                   {"wall_ms", rounded(cell.wall_ms)},
                   {"command", cell.command},
                   {"fix_command", cell.fix_command},
                   {"fix_mends", cell.fix_mends ? Json(*cell.fix_mends) : Json(nullptr)}});
  }
  for (const auto& [store, why] : left_out) out.push_back({{"store", store}, {"why", why}});
  return line({{"schema", kJsonSchema},
               {"seed", seed},
               {"checked", cells.size() - waiting},
               {"not_as_expected", differing},
               {"not_run", waiting},
               {"left_out", out},
               {"wall_ms", rounded(wall_ms)},
               {"cells", all}});
}

std::string kv_verify_json(const kv::FolderReport& report) {
  Json files = Json::array();
  kv::Position last = 0;
  for (const kv::FileReport& file : report.files) {
    last = std::max(last, file.last);
    files.push_back({{"name", file.name},
                     {"needed", file.is_needed},
                     {"first", file.first},
                     {"last", file.last},
                     {file.is_checkpoint ? "rows" : "commits", file.items},
                     {"bytes", file.bytes},
                     {"torn_bytes", file.torn_bytes},
                     {"damage", file.damage ? Json(file.damage->message) : Json(nullptr)}});
  }
  const Error* const problem = report.first_problem();
  return line({{"schema", kJsonSchema},
               {"folder", report.folder},
               {"store_id", fmt::format("{:016x}", report.store_id)},
               {"format", report.format},
               {"intact", problem == nullptr},
               {"problem", problem ? Json(problem->message) : Json(nullptr)},
               {"commits", last},
               {"closed", report.settled == last},
               {"files", files},
               {"unfinished", report.unfinished},
               {"foreign", report.foreign}});
}

std::string kv_rows_json(const kv::Contents& contents) {
  Json rows = Json::array();
  for (const auto& [key, value] : contents.rows) {
    Json row = Json::object();
    add_bytes(row, "key", key);
    add_bytes(row, "value", value);
    rows.push_back(std::move(row));
  }
  return line({{"schema", kJsonSchema},
               {"position", contents.last},
               {"damage", contents.damage ? Json(contents.damage->message) : Json(nullptr)},
               {"rows", std::move(rows)}});
}

std::string kv_log_json(const std::vector<LoggedTransaction>& transactions, const std::optional<Error>& damage) {
  Json commits = Json::array();
  for (const LoggedTransaction& transaction : transactions) {
    Json writes = Json::array();
    for (const auto& [key, value] : transaction.writes) {
      Json write = Json::object();
      add_bytes(write, "key", key);
      if (value)
        add_bytes(write, "value", *value);
      else
        write["erased"] = true;
      writes.push_back(std::move(write));
    }
    commits.push_back({{"position", transaction.position},
                       {"file", transaction.file},
                       {"offset", transaction.offset},
                       {"writes", std::move(writes)}});
  }
  return line({{"schema", kJsonSchema},
               {"damage", damage ? Json(damage->message) : Json(nullptr)},
               {"commits", std::move(commits)}});
}

}  // namespace lockstep::cli
