// result.cc: the names and classes of faults, in one table.
#include "kv/base/result.h"

#include <algorithm>
#include <array>

namespace lockstep {
namespace {

enum class Kind : std::uint8_t { retry_safe, refused, stopped, environment };

struct FaultRow {
  Fault fault;
  std::string_view name;
  Kind kind;
};

constexpr std::array kFaults = {
    FaultRow{Fault::deadlock, "deadlock", Kind::retry_safe},
    FaultRow{Fault::serialization_failure, "serialization_failure", Kind::retry_safe},
    FaultRow{Fault::validation_failure, "validation_failure", Kind::retry_safe},
    FaultRow{Fault::wounded, "wounded", Kind::retry_safe},
    FaultRow{Fault::died, "died", Kind::retry_safe},
    FaultRow{Fault::no_wait_conflict, "no_wait_conflict", Kind::retry_safe},
    FaultRow{Fault::lock_timeout, "lock_timeout", Kind::retry_safe},
    FaultRow{Fault::statement_timeout, "statement_timeout", Kind::retry_safe},
    FaultRow{Fault::idle_timeout, "idle_timeout", Kind::retry_safe},
    FaultRow{Fault::busy, "busy", Kind::retry_safe},
    FaultRow{Fault::busy_snapshot, "busy_snapshot", Kind::retry_safe},
    FaultRow{Fault::unsafe_claim, "unsafe_claim", Kind::retry_safe},
    FaultRow{Fault::claim_exceeded, "claim_exceeded", Kind::refused},
    FaultRow{Fault::constraint, "constraint", Kind::refused},
    FaultRow{Fault::version_changed, "version_changed", Kind::retry_safe},
    FaultRow{Fault::refused, "refused", Kind::refused},
    FaultRow{Fault::invalid, "invalid", Kind::refused},
    FaultRow{Fault::unsupported, "unsupported", Kind::refused},
    FaultRow{Fault::cancelled, "cancelled", Kind::stopped},
    FaultRow{Fault::hung, "hung", Kind::stopped},
    FaultRow{Fault::outcome_unknown, "outcome_unknown", Kind::environment},
    FaultRow{Fault::unavailable, "unavailable", Kind::environment},
    FaultRow{Fault::permission, "permission", Kind::environment},
    FaultRow{Fault::disk_full, "disk_full", Kind::environment},
    FaultRow{Fault::io, "io", Kind::environment},
    FaultRow{Fault::internal, "internal", Kind::environment},
    FaultRow{Fault::certification_failure, "certification_failure", Kind::retry_safe},
};

const FaultRow& row_of(Fault fault) noexcept {
  const FaultRow& row = kFaults[static_cast<std::size_t>(fault)];
  LOCKSTEP_CHECK(row.fault == fault, "the table of faults is out of order at {}", row.name);
  return row;
}

}  // namespace

std::string_view name_of(Fault fault) noexcept { return row_of(fault).name; }

std::optional<Fault> fault_named(std::string_view name) noexcept {
  if (name == "out_of_stock") return Fault::refused;  // in recordings of older versions
  const auto* row = std::find_if(kFaults.begin(), kFaults.end(), [name](const FaultRow& r) { return r.name == name; });
  return row == kFaults.end() ? std::nullopt : std::optional(row->fault);
}

bool is_retry_safe(Fault fault) noexcept { return row_of(fault).kind == Kind::retry_safe; }

bool is_environment(Fault fault) noexcept { return row_of(fault).kind == Kind::environment; }

}  // namespace lockstep
