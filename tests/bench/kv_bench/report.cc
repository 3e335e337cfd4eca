// report.cc: tables and JSON of a contest.
#include "tests/bench/kv_bench/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/bench/kv_bench/json.h"

namespace lockstep::bench {
namespace {

std::string_view name_of(Durability durability) {
  return durability == Durability::sync ? "sync" : durability == Durability::async ? "async" : "none";
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

template <class Get>
double median_of(const Record& record, Get get) {
  std::vector<double> values;
  for (const Round& round : record.rounds) values.push_back(get(round));
  return median(std::move(values));
}

/// Median over the rounds of `get` as a share of the first contestant's in the same round; 0 when they share no round.
template <class Get>
double share(const Record& record, const Record& first, Get get) {
  std::vector<double> values;
  for (std::size_t i = 0; i < std::min(record.rounds.size(), first.rounds.size()); ++i)
    if (get(first.rounds[i]) > 0) values.push_back(get(record.rounds[i]) / get(first.rounds[i]));
  return median(std::move(values));
}

double per_second(const Round& round) { return round.per_second(); }
double per_cpu_second(const Round& round) { return round.per_cpu_second(); }

std::string aborts_of(const Record& record) {
  std::map<std::string, std::uint64_t> sum;
  std::uint64_t begun = 0;
  for (const Round& round : record.rounds) {
    begun += round.committed;
    for (const auto& [cause, count] : round.aborts) sum[cause] += count, begun += count;
  }
  std::string text;
  for (const auto& [cause, count] : sum)
    text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", cause,
                        100 * static_cast<double>(count) / static_cast<double>(begun));
  return text.empty() ? "-" : text;
}

std::string first_fault_of(const Record& record) {
  if (!record.refused.empty()) return record.refused;
  for (const Round& round : record.rounds)
    if (!round.broken.empty()) return "stopped: " + round.broken;
  return "WRONG: " + record.broken_invariant;
}

std::string row_of(const Record& record, const Record& first) {
  const auto median_of_member = [&](auto member) {
    return median_of(record, [member](const Round& r) { return r.*member; });
  };
  const double rows =
      median_of(record, [](const Round& r) { return r.seconds > 0 ? static_cast<double>(r.rows) / r.seconds : 0; });
  std::string row =
      fmt::format("{:<24}{:>12.0f}{:>8.1f} %{:>8.1f} %", record.contestant.name(), median_of(record, per_second),
                  100 * share(record, first, per_second), 100 * share(record, first, per_cpu_second));
  for (const auto quantile : {&Round::p50_us, &Round::p90_us, &Round::p99_us, &Round::p999_us})
    row += fmt::format("{:>10.1f}", median_of_member(quantile));
  row += fmt::format("{:>8.2f}{:>8.0f}  {}", median_of_member(&Round::cpu_seconds), record.filled.bytes_per_key,
                     aborts_of(record));
  if (rows > 0) row += fmt::format("; {:.2f}M rows/s", rows / 1e6);
  return row;
}

}  // namespace

std::string describe(const Settings& s) {
  const std::string what =
      s.workload == Workload::tpcc
          ? "TPC-C new-order and payment, 1 warehouse"
          : fmt::format("{} records, {}-byte values, {}, theta {}", s.records, s.value_bytes,
                        s.scan > 0 ? fmt::format("scans of {} keys", s.scan)
                                   : fmt::format("{} operations, {} % read", s.ops, s.read_percent),
                        s.theta);
  return fmt::format("{}; {} threads; durability {}; {} x {} s after {} s; seed {}", what, s.threads,
                     name_of(s.durability), s.rounds, s.seconds, s.warmup, s.seed);
}

std::string text_of(const Settings& settings, const std::vector<Record>& records) {
  std::string text = describe(settings) + "\n";
  text += fmt::format("{:<24}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}  {}\n", "", "committed/s", "share",
                      "by CPU", "p50 us", "p90", "p99", "p99.9", "CPU s", "B/key", "aborts");
  for (const Record& record : records) {
    if (!record.rounds.empty()) text += row_of(record, records.front()) + "\n";
    if (record.failed()) text += fmt::format("{:<24}{}\n", record.contestant.name(), first_fault_of(record));
  }
  return text;
}

std::string json_of(const Settings& s, const std::vector<Record>& records) {
  Json json;
  json["settings"] = {{"workload", s.workload == Workload::tpcc ? "tpcc" : "ycsb"},
                      {"threads", s.threads},
                      {"records", s.records},
                      {"ops", s.ops},
                      {"read_percent", s.read_percent},
                      {"theta", s.theta},
                      {"value_bytes", s.value_bytes},
                      {"scan", s.scan},
                      {"durability", name_of(s.durability)},
                      {"seconds", s.seconds},
                      {"warmup", s.warmup},
                      {"rounds", s.rounds},
                      {"seed", s.seed}};
  for (const Record& record : records) {
    Json one = {{"engine", record.contestant.engine},
                {"protocol", record.contestant.protocol},
                {"name", record.contestant.name()},
                {"refused", record.refused},
                {"broken_invariant", record.broken_invariant},
                {"filled", record.filled},
                {"committed_per_second", median_of(record, per_second)},
                {"share_of_first", share(record, records.front(), per_second)},
                {"share_of_first_by_cpu", share(record, records.front(), per_cpu_second)},
                {"rounds", record.rounds}};
    json["contestants"].push_back(std::move(one));
  }
  return json.dump(2) + "\n";
}

}  // namespace lockstep::bench
