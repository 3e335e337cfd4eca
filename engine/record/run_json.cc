// run_json.cc: field by field.
#include "engine/record/run_json.h"

#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>

namespace lockstep::record {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Outcomes& outcomes) {
  Json faults = Json::object();
  for (const auto& [name, count] : outcomes.faults) faults[name] = count;
  return {{"committed", outcomes.committed},
          {"aborted", outcomes.aborted},
          {"faults", faults},
          {"retries", outcomes.retries}};
}

Json json_of(const std::vector<Invariant>& invariants) {
  Json all = Json::array();
  for (const Invariant& invariant : invariants) {
    Json each = {{"text", invariant.text}, {"held", invariant.held}};
    if (!invariant.held) each["detail"] = invariant.detail;
    all.push_back(std::move(each));
  }
  return all;
}

}  // namespace

Json json_of(const Run& run) {
  return {{"id", run.id},
          {"scenario", run.scenario},
          {"store", run.store},
          {"store_version", run.store_version},
          {"protocol", run.protocol},
          {"pattern", run.pattern},
          {"executor", run.executor},
          {"schedule", run.schedule},
          {"seed", run.seed},
          {"verdict", name_of(run.verdict)},
          {"as_expected", run.as_expected()},
          {"outcomes", json_of(run.outcomes)},
          {"cycles", run.cycles},
          {"victims", run.victims},
          {"invariants", json_of(run.invariants)}};
}

Json environment_json(const std::map<std::string, std::string>& environment) {
  Json all = Json::object();
  for (const auto& [name, text] : environment) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, wrong] = std::from_chars(text.data(), end, number);
    const bool is_number = wrong == std::errc() && rest == end && (text == "0" || (text[0] != '0' && text[0] != '-'));
    all[name] = is_number ? Json(number) : Json(text);
  }
  return all;
}

Json measured_json(const std::string& text) {
  std::string digits;
  std::size_t at = 0;
  for (; at < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[at])) != 0 || text[at] == '.' || text[at] == ',');
       ++at) {
    if (text[at] != ',') digits += text[at];  // "1,234.5"
  }
  double number = 0;
  const auto [rest, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool is_number = wrong == std::errc() && rest == digits.data() + digits.size();
  const std::string unit = at < text.size() && text[at] == ' ' ? text.substr(at + 1) : text.substr(at);
  return {{"value", text},
          {"number", is_number ? Json(number) : Json(nullptr)},
          {"unit", is_number ? Json(unit) : Json(nullptr)}};
}

std::string program_error_json(const std::string& actor, const Error& error) {
  return Json({{"actor", actor}, {"fault", name_of(error.fault)}, {"code", error.code}, {"said", error.message}})
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lockstep::record
