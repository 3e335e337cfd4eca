// data.h: the rows of the store at a moment of a run: what is committed and in which version, what transactions have
// written that nobody else sees, and what each of them sees.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/record/moments.h"
#include "engine/record/run.h"
#include "reports/lane_rows.h"

namespace lockstep::reports {

struct Data {
  struct Row {
    std::optional<std::string> value;  ///< nullopt: there is no such row
    std::uint32_t version = 0;         ///< how often it has been committed since the begin
    int by = record::kNobody;          ///< the actor of the latest version
    friend bool operator==(const Row&, const Row&) = default;
  };
  using Rows = std::map<std::string, Row>;
  struct Actor {
    std::map<std::string, std::optional<std::string>> written;  ///< not committed; nullopt: erased
    std::optional<Rows> view;  ///< with a snapshot: what was committed when it was taken
  };
  Rows committed;
  std::vector<Actor> actors;

  void apply(const Change& change);
};

/// What the run began with; nullopt when the recording does not say, or statements changed rows in ways that the
/// recording does not tell (SQL).
std::optional<Data> data_at_begin(const record::Run& run);
/// What plain reads of the run see. Only with data_at_begin().
record::ReadsSee reads_of(const record::Run& run);

}  // namespace lockstep::reports
