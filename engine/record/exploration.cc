// exploration.cc: see exploration.h.
#include "engine/record/exploration.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExplorationFormat = "lockstep-exploration";

Error no_exploration(const std::string& why) {
  return {Fault::invalid, {}, "the numbers of the search cannot be read: " + why};
}

template <class T>
Json known_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class T>
std::optional<T> known_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional<T>(json.get<T>());
}

Json json_of(const ExplorationSummary::WayToEnd& each) {
  return {{"verdict", name_of(each.verdict)},
          {"what", each.what},
          {"runs", each.runs},
          {"interleavings", known_or_null(each.interleavings)},
          {"share", known_or_null(each.share)},
          {"preemptions", known_or_null(each.preemptions)},
          {"fewest_steps", each.fewest_steps},
          {"schedule", each.schedule},
          {"run", each.run}};
}

/// nullopt for a verdict that this program does not know.
std::optional<ExplorationSummary::WayToEnd> finding_of(const Json& json) {
  ExplorationSummary::WayToEnd finding;
  const std::optional<Verdict> verdict = verdict_named(json.at("verdict").get<std::string>());
  if (!verdict) return std::nullopt;
  finding.verdict = *verdict;
  json.at("what").get_to(finding.what);
  json.at("runs").get_to(finding.runs);
  finding.interleavings = known_of<double>(json.at("interleavings"));
  finding.share = known_of<double>(json.at("share"));
  finding.preemptions = known_of<int>(json.at("preemptions"));
  json.at("fewest_steps").get_to(finding.fewest_steps);
  json.at("schedule").get_to(finding.schedule);
  json.at("run").get_to(finding.run);
  return finding;
}

}  // namespace

std::string to_json(const ExplorationSummary& summary) {
  Json findings = Json::array();
  for (const ExplorationSummary::WayToEnd& each : summary.findings) findings.push_back(json_of(each));
  const Json json = {{"format", kExplorationFormat},
                     {"version", kExplorationVersion},
                     {"strategy", summary.strategy},
                     {"sampled", summary.sampled},
                     {"complete", summary.complete},
                     {"as_expected", summary.as_expected},
                     {"expected", summary.expected ? Json(name_of(*summary.expected)) : Json(nullptr)},
                     {"model", summary.model},
                     {"grain", summary.grain},
                     {"interleavings", known_or_null(summary.interleavings)},
                     {"classes", known_or_null(summary.classes)},
                     {"runs", summary.runs},
                     {"pruned", summary.pruned},
                     {"left_out", summary.left_out},
                     {"seconds", summary.seconds},
                     {"seed", summary.seed},
                     {"findings", std::move(findings)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ExplorationSummary> exploration_of(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || json.value("format", "") != kExplorationFormat)
    return no_exploration("it is something else");
  // The library's errors end here.
  try {
    if (const int version = json.at("version"); version != kExplorationVersion) {
      return no_exploration(
          fmt::format("it has version {}, this program reads version {}", version, kExplorationVersion));
    }
    ExplorationSummary summary;
    json.at("strategy").get_to(summary.strategy);
    json.at("sampled").get_to(summary.sampled);
    json.at("complete").get_to(summary.complete);
    json.at("as_expected").get_to(summary.as_expected);
    if (!json.at("expected").is_null()) summary.expected = verdict_named(json.at("expected").get<std::string>());
    json.at("model").get_to(summary.model);
    json.at("grain").get_to(summary.grain);
    summary.interleavings = known_of<double>(json.at("interleavings"));
    summary.classes = known_of<std::uint64_t>(json.at("classes"));
    json.at("runs").get_to(summary.runs);
    json.at("pruned").get_to(summary.pruned);
    json.at("left_out").get_to(summary.left_out);
    json.at("seconds").get_to(summary.seconds);
    json.at("seed").get_to(summary.seed);
    for (const Json& each : json.at("findings")) {
      std::optional<ExplorationSummary::WayToEnd> finding = finding_of(each);
      if (!finding) return no_exploration("it has a verdict that is not known");
      summary.findings.push_back(std::move(*finding));
    }
    return summary;
  } catch (const Json::exception&) {
    return no_exploration("a part of it is missing or has another form");
  }
}

}  // namespace lockstep::record
