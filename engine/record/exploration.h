// exploration.h: what a search of the interleavings has found, in numbers: what a page of it shows.
//
// Kept as the document "exploration" (schema.h) in the recording of the worst run that was found, as JSON of this form:
//
//   {"format": "lockstep-exploration", "version": 1,
//    "strategy": "exhaustive", "sampled": false, "complete": true, "as_expected": true, "expected": "deadlock",
//    "model": "kv serial as sqlite/immediate",        empty: the interleavings themselves were gone through
//    "grain": ["between statements"],                 what was one step, and what was none; empty: not said
//    "interleavings": 13712800, "classes": 412, "runs": 412, "pruned": 3, "left_out": 0, "seconds": 0.4, "seed": 1,
//                                                     interleavings, classes: null when they are too many, or not known
//    "findings": [{"verdict": "deadlock", "what": "P0 → P1 → P0", "runs": 30, "interleavings": 1400, "share": 0.1,
//                  "preemptions": 1, "fewest_steps": true, "schedule": "T1 T2 …", "run": "7f3a…"}, …]}
//                                                     interleavings, share, preemptions: null when not known; run:
//                                                     empty when it was not saved. The worst first
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

inline constexpr int kExplorationVersion = 1;
/// The name of the document in a recording.
inline constexpr const char* kExplorationDocument = "exploration";

struct ExplorationSummary {
  struct WayToEnd {
    Verdict verdict = Verdict::clean;
    std::string what;
    std::uint64_t runs = 0;
    std::optional<double> interleavings, share;
    std::optional<int> preemptions;
    bool fewest_steps = false;
    std::string schedule;
    std::string run;
  };

  std::string strategy, model;
  bool sampled = false;
  bool complete = false;
  bool as_expected = true;
  std::optional<Verdict> expected;
  std::vector<std::string> grain;
  std::optional<double> interleavings;
  std::optional<std::uint64_t> classes;
  std::uint64_t runs = 0, pruned = 0, left_out = 0, seed = 0;
  double seconds = 0;
  std::vector<WayToEnd> findings;
};

/// The JSON above.
std::string to_json(const ExplorationSummary& summary);
/// Reads it. Fault::invalid for what is none, or of another version.
Result<ExplorationSummary> exploration_of(const std::string& json);

}  // namespace lockstep::record
