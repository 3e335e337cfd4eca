// comparison.cc: a comparison as JSON.
#include "engine/record/comparison.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kComparisonFormat = "lockstep-comparison";

Json json_of(const Estimate& e) { return {{"median", e.median}, {"low", e.low}, {"high", e.high}}; }

Estimate estimate_of(const Json& json) {
  return {json.at("median").get<double>(), json.at("low").get<double>(), json.at("high").get<double>()};
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class T>
std::optional<T> optional_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<T>(json.get<T>());
}

/// Of what a workload may not have: null.
Json number_or_null(int number) { return number < 0 ? Json(nullptr) : Json(number); }

int read_percent_of(const Json& json) {
  const Json& percent = json.at("read_percent");
  return percent.is_null() ? -1 : percent.get<int>();
}

Json json_of(const ComparedRow& row) {
  Json rounds = Json::array();
  for (const ComparedRound& one : row.rounds) {
    rounds.push_back({{"seconds", one.seconds},
                      {"committed", one.committed},
                      {"per_s", one.per_s()},
                      {"correct", one.correct},
                      {"note", one.note}});
  }
  return {{"strategy", row.strategy},
          {"store", row.store},
          {"protocol", row.protocol},
          {"pattern", row.pattern},
          {"executor", row.executor},
          {"sessions", row.sessions},
          {"theta", row.theta},
          {"read_percent", number_or_null(row.read_percent)},
          {"rate", row.rate},
          {"correct", row.correct()},
          {"expected_correct", row.expected_correct},
          {"invariant_broken", row.invariant_broken},
          {"broken", row.broken},
          {"history",
           {{"claim", row.claim},
            {"on_record", row.on_record},
            {"share", row.share_on_record()},
            {"broken", row.history_broken},
            {"anomaly", row.anomaly},
            {"proof", row.proof}}},
          {"given_up", row.given_up},
          {"gave_up", row.gave_up},
          {"place", row.place},
          {"vs_best", row.vs_best ? json_of(*row.vs_best) : Json(nullptr)},
          {"committed", row.committed},
          {"committed_per_s", json_of(row.committed_per_s)},
          {"latency_ms",
           {{"p50", row.p50_ms}, {"p90", row.p90_ms}, {"p99", row.p99_ms}, {"p999", row.p999_ms}, {"max", row.max_ms}}},
          {"histogram", row.histogram},
          {"retries", row.retries},
          {"retries_per_commit", row.retries_per_commit()},
          {"refused", row.refused},
          {"aborts", row.aborts},
          {"waits", or_null(row.waits)},
          {"wait_s", or_null(row.wait_s)},
          {"cpu_s", row.cpu_s},
          {"server_cpu_s", or_null(row.server_cpu_s)},
          {"peak_rss_bytes", row.peak_rss_bytes},
          {"server_rss_bytes", or_null(row.server_rss_bytes)},
          {"rounds", rounds}};
}

ComparedRow row_of(const Json& json) {
  ComparedRow row;
  json.at("strategy").get_to(row.strategy);
  json.at("store").get_to(row.store);
  json.at("protocol").get_to(row.protocol);
  json.at("pattern").get_to(row.pattern);
  json.at("executor").get_to(row.executor);
  json.at("sessions").get_to(row.sessions);
  json.at("theta").get_to(row.theta);
  row.read_percent = read_percent_of(json);
  json.at("rate").get_to(row.rate);
  json.at("expected_correct").get_to(row.expected_correct);
  json.at("invariant_broken").get_to(row.invariant_broken);
  json.at("broken").get_to(row.broken);
  if (const auto history = json.find("history"); history != json.end()) {  // not in the first comparisons
    history->at("claim").get_to(row.claim);
    history->at("on_record").get_to(row.on_record);
    history->at("broken").get_to(row.history_broken);
    history->at("anomaly").get_to(row.anomaly);
    row.proof = history->value("proof", std::string());
  }
  row.given_up = json.value("given_up", std::uint64_t{0});
  row.gave_up = json.value("gave_up", std::string());
  json.at("place").get_to(row.place);
  if (!json.at("vs_best").is_null()) row.vs_best = estimate_of(json.at("vs_best"));
  json.at("committed").get_to(row.committed);
  row.committed_per_s = estimate_of(json.at("committed_per_s"));
  const Json& latency = json.at("latency_ms");
  latency.at("p50").get_to(row.p50_ms);
  latency.at("p90").get_to(row.p90_ms);
  latency.at("p99").get_to(row.p99_ms);
  latency.at("p999").get_to(row.p999_ms);
  latency.at("max").get_to(row.max_ms);
  json.at("histogram").get_to(row.histogram);
  json.at("retries").get_to(row.retries);
  json.at("refused").get_to(row.refused);
  json.at("aborts").get_to(row.aborts);
  row.waits = optional_of<std::uint64_t>(json.at("waits"));
  row.wait_s = optional_of<double>(json.at("wait_s"));
  json.at("cpu_s").get_to(row.cpu_s);
  row.server_cpu_s = optional_of<double>(json.at("server_cpu_s"));
  json.at("peak_rss_bytes").get_to(row.peak_rss_bytes);
  row.server_rss_bytes = optional_of<std::uint64_t>(json.at("server_rss_bytes"));
  for (const Json& one : json.at("rounds")) {
    row.rounds.push_back({.seconds = one.at("seconds").get<double>(),
                          .committed = one.at("committed").get<std::uint64_t>(),
                          .correct = one.at("correct").get<bool>(),
                          .note = one.at("note").get<std::string>()});
  }
  return row;
}

ComparedGroup group_of(const Json& json) {
  ComparedGroup group;
  json.at("store").get_to(group.store);
  json.at("executor").get_to(group.executor);
  json.at("sessions").get_to(group.sessions);
  json.at("theta").get_to(group.theta);
  group.read_percent = read_percent_of(json);
  json.at("rows").get_to(group.rows);
  json.at("rate").get_to(group.rate);
  group.helpers = json.value("helpers", 0);
  for (const Json& row : json.at("rows_of")) group.strategies.push_back(row_of(row));
  return group;
}

}  // namespace

std::string ComparedRow::what_is_wrong() const {
  if (invariant_broken > 0) return fmt::format("{} in {} of {} rounds", broken, invariant_broken, rounds.size());
  return fmt::format("{}; in {} of {} rounds", anomaly, history_broken, rounds.size());
}

std::vector<std::string> ComparedRow::steps_of_proof() const {
  std::vector<std::string> steps;
  for (std::size_t from = 0; from < proof.size();) {
    const std::size_t end = std::min(proof.find('\n', from), proof.size());
    if (end > from) steps.push_back(proof.substr(from, end - from));
    from = end + 1;
  }
  return steps;
}

std::string ComparedRow::why_not_measured() const {
  if (place != "not measured") return {};
  if (given_up > 0) return fmt::format("{} transactions were given up; the first: {}", given_up, gave_up);
  return "no transaction committed";
}

std::string Comparison::history_note() const {
  std::uint64_t on_record = 0, all = 0;
  int broken = 0;
  std::set<std::string> claims;
  for (const ComparedGroup& group : groups) {
    for (const ComparedRow& row : group.strategies) {
      on_record += row.on_record;
      all += row.on_record + row.committed;
      broken += row.history_broken;
      if (row.on_record > 0) claims.insert(row.claim);
    }
  }
  if (on_record == 0) return {};
  return fmt::format(
      "{} transactions ({:.1f} %) were on record and held against the isolation of their strategy ({}): {}. They "
      "are judged by rows that they read and wrote besides; anomalies can be missed, none is invented",
      on_record, 100 * static_cast<double>(on_record) / static_cast<double>(all), fmt::join(claims, ", "),
      broken == 0 ? std::string("no anomaly") : fmt::format("anomalies in {} round{}", broken, broken == 1 ? "" : "s"));
}

bool Comparison::as_expected() const noexcept {
  for (const ComparedGroup& group : groups) {
    for (const ComparedRow& row : group.strategies) {
      if (row.invariant_broken > 0 && row.expected_correct) return false;
      if (row.history_broken > 0) return false;
    }
  }
  return true;
}

std::string to_json(const Comparison& comparison) {
  Json groups = Json::array();
  for (const ComparedGroup& group : comparison.groups) {
    Json rows = Json::array();
    for (const ComparedRow& row : group.strategies) rows.push_back(json_of(row));
    groups.push_back({{"store", group.store},
                      {"executor", group.executor},
                      {"sessions", group.sessions},
                      {"theta", group.theta},
                      {"read_percent", number_or_null(group.read_percent)},
                      {"rows", group.rows},
                      {"rate", group.rate},
                      {"helpers", group.helpers},
                      {"rows_of", rows}});
  }
  const Json json = {{"format", kComparisonFormat},
                     {"version", kComparisonVersion},
                     {"workload", comparison.workload},
                     {"title", comparison.title},
                     {"ending", name_of(comparison.ending)},
                     {"round_s", comparison.round_s},
                     {"warmup_s", comparison.warmup_s},
                     {"ramp_s", comparison.ramp_s},
                     {"rounds", comparison.rounds},
                     {"think_ms", comparison.think_ms},
                     {"retry", comparison.retry},
                     {"workers", comparison.workers},
                     {"driver_ns", comparison.driver_ns},
                     {"verdict", comparison.verdict},
                     {"notes", comparison.notes},
                     {"groups", groups}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Comparison> comparison_of(const std::string& text) {
  const auto refused = [](const std::string& why) {
    return Error{Fault::invalid, {}, "the comparison cannot be read: " + why};
  };
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != kComparisonFormat) return refused("it is something else");
    if (const int version = json.at("version").get<int>(); version != kComparisonVersion) {
      return refused(fmt::format("it has version {} and this program reads version {}", version, kComparisonVersion));
    }
    Comparison comparison;
    json.at("workload").get_to(comparison.workload);
    json.at("title").get_to(comparison.title);
    const auto ending = ending_named(json.at("ending").get<std::string>());
    if (!ending) return refused("its ending is not known");
    comparison.ending = *ending;
    json.at("round_s").get_to(comparison.round_s);
    json.at("warmup_s").get_to(comparison.warmup_s);
    json.at("ramp_s").get_to(comparison.ramp_s);
    json.at("rounds").get_to(comparison.rounds);
    json.at("think_ms").get_to(comparison.think_ms);
    json.at("retry").get_to(comparison.retry);
    json.at("workers").get_to(comparison.workers);
    json.at("driver_ns").get_to(comparison.driver_ns);
    json.at("verdict").get_to(comparison.verdict);
    json.at("notes").get_to(comparison.notes);
    for (const Json& group : json.at("groups")) comparison.groups.push_back(group_of(group));
    return comparison;
  } catch (const Json::exception&) {
    return refused("a part of it is missing or has another form");
  }
}

}  // namespace lockstep::record
