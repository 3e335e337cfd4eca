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

/// What a recording tells of the rows of the store, with its rows as told by lane_rows().
struct DataTold {
  std::optional<Data> begin;                          ///< what the run began with; nullopt: the rows are not shown
  record::ReadsSee reads = record::ReadsSee::latest;  ///< what plain reads see
  bool reads_are_dirty = false;                       ///< they see what nobody has committed
  bool by_times = false;                              ///< nobody steered: commits stand in the order of their answers
  /// Whether the locks are those that the store told; else they are those that the operations must have got.
  bool locks_are_told = true;
  std::string untold;  ///< why the rows are not shown, a sentence; empty: they are, or the run has no store
};

/// At most this many rows are shown.
inline constexpr std::size_t kDataRowsMost = 40;

DataTold data_told(const record::Run& run, const std::vector<LaneRow>& rows);

}  // namespace lockstep::reports
