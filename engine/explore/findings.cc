// findings.cc: see findings.h.
#include "engine/explore/findings.h"

#include <algorithm>

#include "engine/explore/tally.h"

namespace lockstep {
namespace {

bool is_actual(const record::OrderViolation& order, const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [&order](const Finding& finding) {
    return std::any_of(finding.shortest.cycles.begin(), finding.shortest.cycles.end(), [&order](const auto& cycle) {
      return cycle.size() == order.size() && std::all_of(order.begin(), order.end(), [&cycle](const auto& leg) {
               return std::find(cycle.begin(), cycle.end(), leg.actor) != cycle.end();
             });
    });
  });
}

}  // namespace

void put_in_order(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(badness_of(a.verdict), -static_cast<double>(a.runs)) <
           std::pair(badness_of(b.verdict), -static_cast<double>(b.runs));
  });
}

std::vector<record::OrderViolation> potential_of(const std::vector<Finding>& findings) {
  std::vector<record::OrderViolation> potential;
  for (const Finding& each : findings) {
    const auto document = each.shortest.documents.find(record::kLockOrderDocument);
    if (document == each.shortest.documents.end()) continue;
    Result<std::vector<record::OrderViolation>> orders = record::order_violations_of(document->second);
    if (!orders) continue;
    for (record::OrderViolation& order : *orders) {
      const bool known = std::find(potential.begin(), potential.end(), order) != potential.end();
      if (!known && !is_actual(order, findings)) potential.push_back(std::move(order));
    }
  }
  return potential;
}

}  // namespace lockstep
