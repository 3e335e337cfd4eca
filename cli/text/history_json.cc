// history_json.cc: verdicts on histories as JSON.
#include <nlohmann/json.hpp>

#include "cli/text/history_text.h"

namespace lockstep::cli {
namespace {

using check::Judgement;
using Object = nlohmann::ordered_json;

Object value_of(Judgement judgement) {
  if (judgement == Judgement::unknown) return "unknown";
  return judgement == Judgement::holds;
}

Object object_of(const histories::ClaimVerdict& verdict) {
  Object object = {{"claim", verdict.claim}, {"valid", value_of(verdict.answer)}};
  if (!verdict.why.empty()) object["why"] = verdict.why;
  return object;
}

Object object_of(const check::Anomaly& anomaly) {
  Object cycle = Object::array();
  for (const check::Dependency& step : anomaly.cycle)
    cycle.push_back({{"from", step.from}, {"to", step.to}, {"edge", step.what}});
  return {{"name", anomaly.name}, {"proof", anomaly.why}, {"cycle", std::move(cycle)}};
}

Object object_of(const JudgedFile& file) {
  if (!file.error.empty()) return {{"file", file.path}, {"valid", nullptr}, {"error", file.error}};
  const histories::Judged& judged = file.judged;
  Object object = {{"file", file.path},
                   {"model", name_of(judged.model)},
                   {"recognised", judged.recognised},
                   {"valid", value_of(judged.answer())},
                   {"operations", judged.operations},
                   {"succeeded", judged.committed},
                   {"failed", judged.failed},
                   {"unknown", judged.unknown}};
  object["claims"] = Object::array();
  for (const histories::ClaimVerdict& verdict : judged.asked) object["claims"].push_back(object_of(verdict));
  object["levels"] = Object::object();
  for (const histories::ClaimVerdict& verdict : judged.levels)
    object["levels"][verdict.claim] = value_of(verdict.answer);
  object["weakest_broken"] = judged.weakest_broken ? Object(name_of(*judged.weakest_broken)) : Object(nullptr);
  object["strongest_holding"] = Object::array();
  for (const check::Claim claim : judged.strongest) object["strongest_holding"].push_back(name_of(claim));
  object["anomalies"] = Object::array();
  for (const check::Anomaly& anomaly : judged.anomalies) object["anomalies"].push_back(object_of(anomaly));
  object["transactions"] = Object::array();
  for (const histories::InvolvedTransaction& one : judged.involved) object["transactions"].push_back(one.str());
  object["rules"] = judged.rules;
  object["notes"] = judged.notes;
  if (!file.page.empty()) object["page"] = file.page;
  return object;
}

}  // namespace

std::string histories_json(const std::vector<JudgedFile>& files) {
  Object all = {{"schema", 1}, {"files", Object::array()}};
  for (const JudgedFile& file : files) all["files"].push_back(object_of(file));
  return all.dump(-1, ' ', false, Object::error_handler_t::replace) + "\n";
}

}  // namespace lockstep::cli
