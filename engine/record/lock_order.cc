// lock_order.cc: see lock_order.h.
#include "engine/record/lock_order.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep::record {

using Json = nlohmann::ordered_json;

std::string to_json(const std::vector<OrderViolation>& violations) {
  Json all = Json::array();
  for (const OrderViolation& violation : violations) {
    Json legs = Json::array();
    for (const OrderLeg& leg : violation) {
      legs.push_back({{"actor", leg.actor},
                      {"holds", leg.holds},
                      {"held_at", leg.held_at},
                      {"wants", leg.wants},
                      {"wanted_at", leg.wanted_at}});
    }
    all.push_back(std::move(legs));
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<OrderViolation>> order_violations_of(const std::string& text) {
  try {
    std::vector<OrderViolation> violations;
    for (const Json& each : Json::parse(text)) {
      OrderViolation& violation = violations.emplace_back();
      for (const Json& leg : each) {
        violation.push_back(
            {leg.at("actor"), leg.at("holds"), leg.at("held_at"), leg.at("wants"), leg.at("wanted_at")});
      }
    }
    return violations;
  } catch (const Json::exception&) {
    return Error{Fault::invalid, {}, "the lock orders cannot be read: a part is missing or has another form"};
  }
}

std::string text_of(const OrderViolation& violation) {
  std::string text;
  for (const OrderLeg& leg : violation) {
    text += fmt::format("{}{} takes {} ({}) and then {} ({})", text.empty() ? "" : ", ", leg.actor, leg.holds,
                        leg.held_at, leg.wants, leg.wanted_at);
  }
  return text;
}

}  // namespace lockstep::record
