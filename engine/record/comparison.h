// comparison.h: strategies side by side under load: what `lockstep compare` saves.
//
// Kept in a recording as the document "comparison" (schema.h), as JSON of this form. The recording's own row holds the
// name of the workload, the command, the seed and the environment. Its verdict is "anomaly" when a strategy that is
// said to be safe broke an invariant. Every number is of the measured time alone, without warm-up.
//
//   {"format": "lockstep-comparison", "version": 1,
//    "workload": "stock/oversell", "title": "…", "ending": "complete",   or interrupted, unavailable
//    "round_s": 2, "warmup_s": 0.5, "ramp_s": 0, "rounds": 5, "think_ms": 0, "retry": "jitter", "workers": 2,
//    "driver_ns": 210,                   what the driver itself costs a transaction, CPU, measured without a store
//    "verdict": ["…", …],                sentences, one for each group
//    "notes": ["…", …],
//    "groups": [                         those that are compared with each other: one for each combination of these
//     {"store": "postgres", "executor": "threads", "sessions": 32, "theta": 0, "read_percent": 50, "rows": 100,
//      "rate": 0,                        read_percent: null where the workload has no reads to choose
//      "helpers": 0,                     threads at most that make the store's calls, where these block; 0: none
//      "rows_of": [                      best first, then those that are WRONG
//       {"strategy": "for-update", "store": …, "protocol": "read-committed", "pattern": "for-update",
//        "executor": …, "sessions": …,
//        "theta": 0, "read_percent": 50, "rate": 0,        rate: wanted transactions a second; 0 = closed loop
//        "correct": true, "expected_correct": true,
//        "invariant_broken": 0, "broken": "",              rounds that broke one, and what was seen first
//        "history": {"claim": "serializable", "on_record": 4012, "share": 0.05, "broken": 0, "anomaly": "",
//          "proof": ""},                                   transactions whose history was held against the claim, as a
//                                                          share of all that committed then and in the measured time;
//                                                          rounds in which it shows an anomaly, the first, and its
//                                                          proof: a line a step
//        "given_up": 0, "gave_up": "",                     transactions that could not be tried again; why the first
//        "place": "best",                                  best, slower, no clear difference, wrong, not measured
//        "vs_best": {"median": 0.75, "low": 0.73, "high": 0.78},    null for wrong ones; 99 % interval;
//                                                          high 1e9: no bound
//        "committed": 52100, "committed_per_s": {"median", "low", "high"},
//        "latency_ms": {"p50", "p90", "p99", "p999", "max"}, "histogram": [[middle in ns, count], …],
//        "retries_per_commit": 0.01,
//        "refused": 12,                                    by the rule of the business, not by the store
//        "aborts": {"deadlock": 3, …}, "waits": 120, "wait_s": 0.4,   waits: null where a server has them, which does
//        not
//                                                          count them
//        "cpu_s": 1.1, "server_cpu_s": 2.0,                null where the server cannot be looked at
//        "peak_rss_bytes": …, "server_rss_bytes": …,
//        "rounds": [{"seconds": 2, "committed": 10400, "per_s": 5200, "correct": true, "note": ""}, …]}, …]}, …]}
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/run.h"

namespace lockstep::record {

inline constexpr int kComparisonVersion = 1;
/// The name of the document in a recording.
inline constexpr const char* kComparisonDocument = "comparison";

/// An estimate with its interval.
struct Estimate {
  double median = 0, low = 0, high = 0;
};

struct ComparedRound {
  double seconds = 0;
  std::uint64_t committed = 0;
  bool correct = true;
  std::string note;  ///< why the round does not count; empty: it does

  double per_s() const noexcept { return seconds > 0 ? static_cast<double>(committed) / seconds : 0; }
};

/// One strategy at one load.
struct ComparedRow {
  std::string strategy, store, protocol, pattern, executor;
  int sessions = 1;
  double theta = 0;
  int read_percent = 0;  ///< below 0: the workload has no reads to choose
  double rate = 0;
  bool expected_correct = true;
  int invariant_broken = 0;
  std::string broken;
  std::string claim;
  std::uint64_t on_record = 0;
  int history_broken = 0;
  std::string anomaly;
  std::string proof;
  std::uint64_t given_up = 0;
  std::string gave_up;
  std::string place;
  std::optional<Estimate> vs_best;
  std::uint64_t committed = 0;
  Estimate committed_per_s;
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> histogram;
  std::uint64_t retries = 0, refused = 0;
  std::optional<std::uint64_t> waits;  ///< nullopt: not counted, because they are inside a server
  std::optional<double> wait_s;
  std::map<std::string, std::uint64_t> aborts;
  double cpu_s = 0;
  std::optional<double> server_cpu_s;
  std::uint64_t peak_rss_bytes = 0;
  std::optional<std::uint64_t> server_rss_bytes;
  std::vector<ComparedRound> rounds;

  bool correct() const noexcept { return invariant_broken == 0 && history_broken == 0; }
  /// The share of the committed transactions of which the history was checked.
  double share_on_record() const noexcept {
    return on_record > 0 ? static_cast<double>(on_record) / static_cast<double>(committed + on_record) : 0;
  }
  /// So many transactions were given up that the others are another load than that of the other strategies.
  bool gives_up() const noexcept { return given_up * 100 > committed; }
  /// Why nothing was measured; empty when something was.
  std::string why_not_measured() const;
  /// For a strategy that is not correct: what was seen, and in how many of its rounds.
  std::string what_is_wrong() const;
  /// The proof of the anomaly, a line a step; empty when there is none.
  std::vector<std::string> steps_of_proof() const;
  double retries_per_commit() const noexcept {
    return committed > 0 ? static_cast<double>(retries) / static_cast<double>(committed) : 0;
  }
};

struct ComparedGroup {
  std::string store, executor;
  int sessions = 1;
  double theta = 0;
  int read_percent = 0;
  std::uint64_t rows = 0;
  double rate = 0;
  int helpers = 0;
  std::vector<ComparedRow> strategies;
};

struct Comparison {
  std::string workload, title;
  Ending ending = Ending::complete;
  double round_s = 0, warmup_s = 0, ramp_s = 0, think_ms = 0;
  int rounds = 0, workers = 0;
  std::string retry;
  double driver_ns = 0;
  std::vector<std::string> verdict, notes;
  std::vector<ComparedGroup> groups;

  /// No strategy that is said to be safe broke an invariant, and no history shows what its protocol forbids.
  bool as_expected() const noexcept;
  /// How much history was checked, and what that can show; empty when there is none.
  std::string history_note() const;
};

/// The JSON above.
std::string to_json(const Comparison& comparison);
/// Reads it. Fault::invalid for what is no comparison, or of another version.
Result<Comparison> comparison_of(const std::string& json);

}  // namespace lockstep::record
