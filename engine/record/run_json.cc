// run_json.cc: field by field.
#include "engine/record/run_json.h"

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

std::string program_error_json(const std::string& actor, const Error& error) {
  return Json({{"actor", actor}, {"fault", name_of(error.fault)}, {"code", error.code}, {"said", error.message}})
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lockstep::record
