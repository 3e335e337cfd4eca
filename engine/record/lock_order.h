// lock_order.h: potential deadlocks: actors take the same locks in orders that do not go together, although none hung
// this time.
//
// Kept in a recording as the document "lock-order" (schema.h), when there is one:
//
//   [[{"actor": "T1", "holds": "A", "held_at": "file.cc:12", "wants": "B", "wanted_at": "file.cc:13"}, …], …]
//
// One list a potential deadlock: each actor wants what the next one holds, the last what the first holds.
#pragma once

#include <string>
#include <vector>

#include "kv/base/result.h"

namespace lockstep::record {

/// The name of the document in a recording.
inline constexpr const char* kLockOrderDocument = "lock-order";

/// One actor of a potential deadlock.
struct OrderLeg {
  std::string actor;
  std::string holds, held_at;  ///< a lock, and the line that took it
  std::string wants, wanted_at;
  friend bool operator==(const OrderLeg&, const OrderLeg&) = default;
};
using OrderViolation = std::vector<OrderLeg>;

std::string to_json(const std::vector<OrderViolation>& violations);
/// Fault::invalid for what is none.
Result<std::vector<OrderViolation>> order_violations_of(const std::string& json);
/// For people: "T1 takes A (x.cc:12) and then B (x.cc:13), T2 takes B (x.cc:20) and then A (x.cc:21)".
std::string text_of(const OrderViolation& violation);

}  // namespace lockstep::record
